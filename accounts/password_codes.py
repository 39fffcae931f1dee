"""Resetting a password by a code, mailed or texted: django-allauth's process, which knows addresses only."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.internal.flows.password_reset_by_code import PasswordResetVerificationProcess
from allauth.account.internal.flows.signup import send_unknown_account_mail
from allauth.account.utils import user_pk_to_url_str
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.services import phone_numbers, ways_in


class PasswordCodeProcess(PasswordResetVerificationProcess):
    @classmethod
    def begin(cls, *, request: HttpRequest, email: str = "", phone: str = "") -> "PasswordCodeProcess":
        """Send a code to the address or number. Nobody can tell from the answer whether it has an account."""
        user = _find_user(email, phone)
        state = cls.initial_state(user, email or None, phone or None)
        process = cls(request, state=state, user=user)
        process.send()
        process.persist()
        return process

    @classmethod
    def resume(cls, request: HttpRequest) -> "PasswordCodeProcess | None":
        found = super().resume(request)
        return cls(request, state=found.state, user=found.user) if found else None

    def send(self) -> None:
        email, phone = self.state.get("email"), self.state.get("phone")
        if self.user is None:
            _tell_stranger(self.request, email, phone)
        elif email:
            self.state["code"] = get_adapter().generate_password_reset_code()
            get_adapter().send_mail("account/email/password_reset_code", email, self._mail_context(self.user))
        else:
            self.state["code"] = get_adapter().generate_phone_verification_code(user=self.user, phone=phone)
            get_adapter().send_verification_code_sms(user=self.user, phone=phone, code=self.state["code"])

    def _mail_context(self, user: User) -> dict[str, Any]:
        """The code, and the link as well for whoever reads the mail on a computer."""
        key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
        url = get_adapter().get_reset_password_from_key_url(key)
        return {"request": self.request, "code": self.state["code"], "password_reset_url": url}

    def confirm_code(self) -> None:
        if self.state.get("email"):
            if not self.state.get("code_confirmed"):
                # Whoever proves the address now may not be who made the account.
                ways_in.clear_unproved(user=self.user, email=self.state["email"])
            super().confirm_code()
            return
        self.state["code_confirmed"] = True
        self.persist()
        phone_numbers.prove_phone(user=self.user, number=self.state["phone"])

    def finish(self) -> HttpResponse | None:
        self.state.setdefault("email", None)
        # A number proves nothing about the account's address.
        self.request.was_reset_by_text = bool(self.state.get("phone"))
        return super().finish()


def _tell_stranger(request: HttpRequest, email: str | None, phone: str | None) -> None:
    if email:
        send_unknown_account_mail(request, email)
    else:
        get_adapter().send_unknown_account_sms(phone)


def _find_user(email: str, phone: str) -> User | None:
    if phone:
        return get_adapter().get_user_by_phone(phone)
    return ways_in.find_by_address(email)
