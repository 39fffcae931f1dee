from django.utils.translation import gettext_lazy as _

from common.errors import DomainError, NotAuthenticated


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
