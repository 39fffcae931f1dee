"""What happens in django-allauth and Django that our own services must follow."""

from typing import Any

from allauth.account import signals as allauth_signals
from allauth.account.internal.flows.email_verification import verify_email_indirectly
from allauth.account.models import EmailAddress
from allauth.core.internal.httpkit import is_headless_request
from allauth.headless.constants import Client
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import signals
from accounts.models import User
from accounts.services import sessions, ways_in


@receiver(allauth_signals.email_confirmed)
def announce_verified_email(email_address: EmailAddress, **kwargs: Any) -> None:
    signals.email_verified.send(sender=User, user_id=email_address.user_id)


@receiver(user_logged_in)
def list_device(request: HttpRequest, **kwargs: Any) -> None:
    """Every way to sign in, the admin's too, shows among the user's devices."""
    if request.META.get("REMOTE_ADDR"):
        UserSession.objects.create_from_request(request)


@receiver(user_logged_out)
def end_this_session(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    # Django deletes the session only after this signal; the sockets that hear of it must not find it alive.
    if user is not None and request.session.session_key:
        sessions.end_session(user_id=user.pk, session_key=request.session.session_key)


@receiver(allauth_signals.password_changed)
@receiver(allauth_signals.password_set)
def keep_only_this_session(request: HttpRequest, user: User, **kwargs: Any) -> None:
    sessions.end_other_sessions(user_id=user.pk, session_key=request.session.session_key or "")
    if is_headless_request(request) == Client.APP:
        # The session goes on under a new key, so the app needs new tokens: answer as after a sign-in.
        request.allauth.headless._pre_user = AnonymousUser()  # type: ignore[attr-defined]


@receiver(allauth_signals.password_reset)
def end_every_session(user: User, **kwargs: Any) -> None:
    sessions.end_all_sessions(user_id=user.pk)


@receiver(allauth_signals.password_reset)
def take_over_by_reset(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """A link came back from the address an account nobody had proved was made with: it proves both."""
    if user.email and not ways_in.has_proved_address(user) and not _came_by_text(request):
        ways_in.clear_unproved(user=user, email=user.email, keep_password=True)
        verify_email_indirectly(request, user, user.email)


def _came_by_text(request: HttpRequest) -> bool:
    return bool(getattr(request, "was_reset_by_text", False))


@receiver(allauth_signals.authentication_step_completed)
def take_over_unproved_account(user: User, method: str, email: str | None = None, **kwargs: Any) -> None:
    """A code came back from an address nobody had proved: whoever made the account may be a stranger."""
    if method == "code" and email:
        ways_in.clear_unproved(user=user, email=email)


@receiver(pre_delete, sender=EmailAddress)
@receiver(pre_delete, sender=SocialAccount)
@receiver(pre_delete, sender=Authenticator)
def keep_a_way_in(instance: Any, origin: Any, **kwargs: Any) -> None:
    """Nobody locks themselves out, whichever face the wish comes by, and not by two wishes at once either."""
    way = ways_in.way_of(instance)
    leaves_altogether = getattr(origin, "model", type(origin)) is User
    may_leave_none = leaves_altogether or getattr(origin, "may_leave_none", False)
    if way is None or may_leave_none or not instance.user_id:
        return
    user = ways_in.lock(instance.user)
    if user.is_active and way in ways_in.list_ways_in(user):
        ways_in.require_another(user, way)
