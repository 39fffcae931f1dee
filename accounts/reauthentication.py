"""Proving oneself again by a code, for accounts without password and second factor."""

from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.code_verification import AbstractCodeVerificationProcess
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.core.internal.cryptokit import compare_user_code
from django.http import HttpRequest

from accounts.authentication import signed_in_user
from accounts.models import User
from accounts.services import texts

_SESSION_KEY = "accounts_reauthentication"


class ReauthenticationProcess(AbstractCodeVerificationProcess):
    """A code to the account's own address or number; its state is in the session, like django-allauth's."""

    def __init__(self, request: HttpRequest, state: dict[str, Any]) -> None:
        self.request = request
        super().__init__(
            user=signed_in_user(request),
            state=state,
            timeout=app_settings.LOGIN_BY_CODE_TIMEOUT,
            max_attempts=app_settings.LOGIN_BY_CODE_MAX_ATTEMPTS,
        )

    @classmethod
    def begin(cls, request: HttpRequest) -> "ReauthenticationProcess":
        """Send a code. Raises TooManyTexts when it goes by text and none may be sent now."""
        user = signed_in_user(request)
        email = _address_of(user)
        process = cls(request, cls.initial_state(user, email, None if email else user.phone))
        process.send()
        process.persist()
        return process

    @classmethod
    def resume(cls, request: HttpRequest) -> "ReauthenticationProcess | None":
        state = request.session.get(_SESSION_KEY)
        if not isinstance(state, dict) or state.get("user_id") != str(request.user.pk):
            return None
        process = cls(request, state)
        return process if process.abort_if_invalid() else None

    @property
    def recipient(self) -> str:
        return str(self.state.get("email") or self.state.get("phone"))

    def enter(self, code: str) -> bool:
        """Whether the code was right; a fifth wrong one ends the process."""
        if not compare_user_code(actual=code, expected=self.code):
            self.record_invalid_attempt()
            return False
        self.abort()
        if phone := self.state.get("phone"):
            texts.note_code_used(number=phone)
        record_authentication(self.request, self.user, method="code", reauthenticated=True)
        return True

    def send(self) -> None:
        adapter = get_adapter()
        email, phone = self.state.get("email"), self.state.get("phone")
        self.state["code"] = adapter.generate_login_code()
        if email:
            adapter.send_mail("account/email/login_code", email, {"request": self.request, "code": self.code})
        elif phone:
            adapter.send_verification_code_sms(user=self.user, phone=phone, code=self.code)

    def persist(self) -> None:
        self.request.session[_SESSION_KEY] = self.state

    def abort(self) -> None:
        self.request.session.pop(_SESSION_KEY, None)


def _address_of(user: User) -> str | None:
    address = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary", "id").first()
    return address.email if address else None
