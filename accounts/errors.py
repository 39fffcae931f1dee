from allauth.core.exceptions import RateLimited as FlowRateLimited
from django.utils.translation import gettext_lazy as _

from common.errors import Conflict, DomainError, NotAuthenticated, PermissionDenied, RateLimited


class InvalidTicket(NotAuthenticated):
    title = _("The ticket is unknown, used or too old")


class InvalidRefreshToken(NotAuthenticated):
    title = _("The refresh token is not valid")


class RefreshTokenReused(InvalidRefreshToken):
    """An old refresh token came back: somebody has a copy, so the session was ended."""

    title = _("This refresh token was used before; the session has been ended")


class ReasonRequired(DomainError):
    code = "invalid"
    status = 422
    title = _("Say why")


class ProveItAgain(PermissionDenied):
    """The sign-in is too old for a step like this; sign in again, or reauthenticate."""

    code = "reauthentication_required"
    title = _("Sign in again before this")


class LastWayIn(Conflict):
    """Without what was to be removed nobody could get into the account again."""

    title = _("This is your last way in; add another one first")


class TooManyTexts(RateLimited, FlowRateLimited):
    """A budget of text messages is used up; also django-allauth's own error, for its flows to catch."""

    title = _("Too many texts were asked for; wait a little and try again")


class TryAgain(RateLimited):
    """Another attempt with the same code is being looked at."""

    title = _("One attempt at a time; try again")
