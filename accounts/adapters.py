"""Where django-allauth asks us: addresses, phone numbers, providers, second factors, throttling, sessions."""

import base64
import time
from functools import cache
from typing import Any, ClassVar

from allauth.account import app_settings as account_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.fields import PhoneField
from allauth.account.internal.flows.email_verification import verify_email_indirectly
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from allauth.core.internal.httpkit import clean_client_ip, is_headless_request
from allauth.core.internal.ratelimit import truncate_ip
from allauth.headless.internal.restkit.response import ErrorResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import phones, throttle
from accounts.models import MAX_EMAIL_LENGTH, TextMessage, User
from accounts.services import phone_numbers, sessions, texts, ways_in
from common.errors import Invalid
from common.http import client_ip


class AccountAdapter(DefaultAccountAdapter):
    def clean_email(self, email: str) -> str:
        if len(email) > MAX_EMAIL_LENGTH:
            raise self.validation_error("invalid_login")
        return email

    def set_password(self, user: User, password: str) -> None:
        """Nothing but the password: hashing takes its time, in which staff may have suspended the user."""
        user.set_password(password)
        user.save(update_fields=["password"])

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        try:
            with transaction.atomic():
                return super().save_user(request, user, form, commit)
        except IntegrityError:
            # Another sign-up with this address was quicker by milliseconds.
            raise ImmediateHttpResponse(self._email_taken(request)) from None

    def phone_form_field(self, **kwargs: Any) -> PhoneField:
        """Numbers as people write them; `clean_phone` brings them into one form."""
        return PhoneField(**{"validators": [], **kwargs})

    def clean_phone(self, phone: str) -> str:
        try:
            number = phones.clean_number(phone)
        except Invalid as error:
            raise ValidationError(str(error.detail), code=error.fields[0].code) from error
        if not texts.can_send():
            raise ValidationError(_("Text messages are not set up here."), code="provider_unavailable")
        return number

    def get_user_by_phone(self, phone: str) -> User | None:
        return User.objects.filter(phone=phone, is_active=True).first()

    def get_phone(self, user: User) -> tuple[str, bool] | None:
        """The number on its way in, as long as there is one, else the proved one."""
        if user.unverified_phone:
            return user.unverified_phone, False
        return (user.phone, True) if user.phone else None

    def set_phone(self, user: User, phone: str, verified: bool) -> None:
        if verified:
            phone_numbers.prove_phone(user=user, number=phone)
        else:
            phone_numbers.claim_phone(user=user, number=phone)

    def set_phone_verified(self, user: User, phone: str) -> None:
        phone_numbers.prove_phone(user=user, number=phone)

    def send_verification_code_sms(self, user: User, phone: str, code: str, **kwargs: Any) -> None:
        minutes = account_settings.PHONE_VERIFICATION_TIMEOUT // 60
        body = _("%(code)s is your Parlor code. It is good for %(minutes)d minutes; tell it to nobody.")
        self._text(phone, body % {"code": code, "minutes": minutes}, TextMessage.Purpose.CODE)

    def send_unknown_account_sms(self, phone: str, **kwargs: Any) -> None:
        body = _("Somebody wanted to log in to Parlor with this number. It has no account; sign up instead.")
        self._text(phone, body, TextMessage.Purpose.NOTICE)

    def send_account_already_exists_sms(self, phone: str, **kwargs: Any) -> None:
        body = _("Somebody wanted to sign up to Parlor with this number. It has an account; log in instead.")
        self._text(phone, body, TextMessage.Purpose.NOTICE)

    def _text(self, phone: str, body: str, purpose: str) -> None:
        home = _home_of(self.get_client_ip(self.request))
        texts.send_text(number=phone, body=body, purpose=purpose, address=home)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever signed in a moment ago has proved enough; the others do it again, by what they have.

        django-allauth lets those without password and second factor pass; they get a code instead.
        """
        user = context.request.user
        if not super().is_reauthentication_required(app=app, **kwargs) or _signed_in_lately(user):
            return False
        if not get_reauthentication_flows(user):
            raise ReauthenticationRequired
        return True

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, Any]]:
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if not methods and isinstance(user, User):
            url = reverse("accounts:reauthenticate-code")
            methods = [{"id": "reauthenticate_by_code", "description": _("Use a code"), "url": url}]
        return methods

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        return _is_dispensable(email_address) and bool(super().can_delete_email(email_address))

    def get_client_ip(self, request: HttpRequest) -> str:
        address = clean_client_ip(client_ip(request))
        if address is None:
            raise PermissionDenied("The caller's address is unknown.")
        return address

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        if throttle.too_many_failures():
            raise self.validation_error("too_many_login_attempts")
        super().pre_authenticate(request, **credentials)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        throttle.count_failure()

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth adds the Host header, which would give a guesser one allowance per name of ours.
        return str(credentials.get("email", "")).strip().lower()

    def _email_taken(self, request: HttpRequest) -> HttpResponse:
        error = self.validation_error("email_taken")
        if is_headless_request(request):
            return ErrorResponse(request, exception=error)
        messages.error(request, error.messages[0])
        return redirect("account_signup")


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultSocialAccountAdapter.error_messages,
        "unverified_email": gettext_lazy("Verify your email first, then link other accounts."),
    }

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            self._refuse_unproved(request)
        elif sociallogin._did_authenticate_by_email and sociallogin.user:
            ways_in.clear_unproved(user=sociallogin.user, email=sociallogin._did_authenticate_by_email)
            verify_email_indirectly(request, sociallogin.user, sociallogin._did_authenticate_by_email)

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[User, str] | None:
        """The account of an address the provider proved; accounts that only claim it lose it."""
        for address in sociallogin.email_addresses:
            if not address.verified or not self.can_authenticate_by_email(sociallogin, address.email):
                continue
            ways_in.release(address.email)
            if user := ways_in.find_by_address(address.email):
                return user, address.email
        return None

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        user.display_name = _display_name(data.get("name"))
        return user

    def _refuse_unproved(self, request: HttpRequest) -> None:
        if not isinstance(request.user, User) or ways_in.is_proved(request.user):
            return
        error = self.validation_error("unverified_email")
        if is_headless_request(request):
            raise error
        messages.error(request, error.messages[0])
        raise ImmediateHttpResponse(redirect("accounts:ways-in"))


class MFAAdapter(DefaultMFAAdapter):
    """Secrets of authenticator apps are kept encrypted, by a key made from the installation's own."""

    def encrypt(self, text: str) -> str:
        return _fernet(settings.SECRET_KEY).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _fernet(settings.SECRET_KEY).decrypt(encrypted_text.encode()).decode()

    def get_totp_label(self, user: User) -> str:
        return str(user)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        user = authenticator.user
        if settings.ACCOUNTS_STAFF_MFA_REQUIRED and user.is_staff and ways_in.is_last_factor(authenticator):
            return False
        return _is_dispensable(authenticator)


class UserSessionsAdapter(DefaultUserSessionsAdapter):
    def end_sessions(self, sessions_to_end: list[UserSession]) -> None:
        for device in sessions_to_end:
            sessions.end_session(user_id=device.user_id, session_key=device.session_key)


def _home_of(address: str) -> str:
    """An IPv6 line has a whole network of addresses; what is counted is the network."""
    return str(truncate_ip(address))


def _is_dispensable(thing: EmailAddress | Authenticator) -> bool:
    way = ways_in.way_of(thing)
    return way is None or bool(ways_in.list_ways_in(thing.user) - {way})


def _signed_in_lately(user: Any) -> bool:
    records = get_authentication_records(context.request, user)
    return bool(records) and time.time() - records[-1]["at"] < account_settings.REAUTHENTICATION_TIMEOUT


def _display_name(name: Any) -> str:
    """A provider's name for somebody, as far as it fits; empty for none, and the model makes one up."""
    words = " ".join(name.split()) if isinstance(name, str) else ""
    return words[:60] if words.isprintable() else ""


@cache
def _fernet(secret: str) -> Fernet:
    digest = salted_hmac("accounts.mfa", "encryption key", secret=secret, algorithm="sha256").digest()
    return Fernet(base64.urlsafe_b64encode(digest))
