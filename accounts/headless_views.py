"""What our contract adds to django-allauth's headless API: logging in by a number alone, resets by code."""

import re
from http import HTTPStatus
from typing import Any, ClassVar

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.fields import PhoneField
from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.core import ratelimit
from allauth.decorators import rate_limit
from allauth.headless.account import views
from allauth.headless.account.inputs import (
    RequestLoginCodeInput,
    RequestPasswordResetInput,
    ResetPasswordInput,
)
from allauth.headless.account.response import PasswordResetKeyResponse, PhoneNumbersResponse
from allauth.headless.adapter import get_adapter
from allauth.headless.base.response import APIResponse, AuthenticationResponse, ConflictResponse
from allauth.headless.base.views import AuthenticatedAPIView
from allauth.headless.constants import Client
from allauth.headless.internal.restkit import inputs
from allauth.headless.internal.restkit.response import ErrorResponse
from allauth.headless.socialaccount import views as social_views
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator

from accounts.adapters import AccountAdapter
from accounts.authentication import signed_in_user
from accounts.password_codes import PasswordCodeProcess
from accounts.reauthentication import ReauthenticationProcess
from accounts.services import phone_numbers, ways_in

_KEY_OF_LINK = re.compile(r"[0-9A-Za-z_]+-.{20,}")


class LoginView(views.LoginView):
    """A number without a password asks for a texted code, as `auth/code/request` does."""

    def handle(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        body = self._parse_json(request) or {}
        if request.method == "POST" and body.get("phone") and "password" not in body:
            return RequestLoginCodeView.as_view(client=self.client)(request, *args, **kwargs)
        return super().handle(request, *args, **kwargs)


class RequestCodeInput(RequestLoginCodeInput):
    def clean_email(self) -> str:
        email = str(super().clean_email())
        if email:
            self._user = ways_in.find_by_address(email)
        return email

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and not (cleaned.get("email") or cleaned.get("phone")):
            self.add_error(None, AccountAdapter().validation_error("select_only_one"))
        return cleaned


class RequestLoginCodeView(views.RequestLoginCodeView):
    """`{email}` or `{phone}`; without either django-allauth's own view would fall over."""

    input_class = RequestCodeInput


class ManagePhoneView(views.ManagePhoneView):
    """The user's number: GET, POST `{phone}` to change it, DELETE to take it off."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.user = request.user
        if request.method not in ("GET", "POST") and not request.user.is_authenticated:
            return AuthenticationResponse(request)
        return super().dispatch(request, *args, **kwargs)

    def handle(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "DELETE":
            return self.delete(request)
        return super().handle(request, *args, **kwargs)

    def delete(self, request: HttpRequest) -> HttpResponse:
        raise_if_reauthentication_required(request, app="allauth.account")
        phone_numbers.remove_phone(user=signed_in_user(request))
        return PhoneNumbersResponse(request, [])


class RequestResetInput(RequestPasswordResetInput):
    """`{email}`, or `{phone}` for a texted code."""

    phone = PhoneField(required=False, validators=[])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = False

    def clean_email(self) -> str:
        if not self.cleaned_data["email"]:
            return ""
        email = str(super().clean_email())
        found = ways_in.find_by_address(email)
        self.users = [found] if found else []
        return email

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and bool(cleaned.get("email")) == bool(cleaned.get("phone")):
            self.add_error(None, AccountAdapter().validation_error("select_only_one"))
        return cleaned


class RequestPasswordResetView(views.RequestPasswordResetView):
    """Apps get a code by mail or text, which needs no link to open; browsers get the mail with a link."""

    input_class = RequestResetInput

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        email, phone = self.input.cleaned_data["email"], self.input.cleaned_data["phone"]
        if self.client == Client.BROWSER and email:
            return super().post(request, *args, **kwargs)
        limited = ratelimit.consume_or_429(request, action="reset_password", key=email.lower() or phone)
        if limited:
            return limited
        PasswordCodeProcess.begin(request=request, email=email, phone=phone)
        return AuthenticationResponse(request)


class ResetByCodeInput(ResetPasswordInput):
    def clean_key(self) -> str:
        return str(self._clean_key_code())


@method_decorator(rate_limit(action="reset_password_from_key"), name="handle")
class ResetPasswordView(views.ResetPasswordView):
    """`{key, password}`: the code of a reset this session asked for, else the key of a mailed link."""

    process: PasswordCodeProcess | None

    def handle(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get("X-Password-Reset-Key") or (self._parse_json(request) or {}).get("key")
        self.process = None if _is_key_of_link(key) else PasswordCodeProcess.resume(request)
        return super(views.ResetPasswordView, self).handle(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.process:
            # First, because it takes away what a stranger may have put there, old password included.
            self.process.confirm_code()
        return super().post(request, *args, **kwargs)

    def get_input_class(self) -> type[inputs.Input] | None:
        if self.request.method == "POST" and self.process:
            return ResetByCodeInput
        return super().get_input_class()

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.process is None:
            return super().get(request, *args, **kwargs)
        checked = ResetByCodeInput(
            {"key": request.headers.get("X-Password-Reset-Key", "")}, **self.get_input_kwargs()
        )
        checked.fields.pop("password")
        if not checked.is_valid() or self.process.user is None:
            self.process.record_invalid_attempt()
            return ErrorResponse(request, input=checked)
        self.process.confirm_code()
        return PasswordResetKeyResponse(request, self.process.user)


class ReauthenticationCodeInput(inputs.Input):
    code = inputs.CharField(required=False)


class ReauthenticateByCodeView(AuthenticatedAPIView):
    """Step-up for accounts without password and second factor.

    POST without a code sends one to the account's address or number and answers 202; POST `{code}` proves it
    and answers as a sign-in does. A fifth wrong code ends it.
    """

    input_class = ReauthenticationCodeInput

    @method_decorator(rate_limit(action="reauthenticate"))
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        code = self.input.cleaned_data["code"]
        if not code:
            process = ReauthenticationProcess.begin(request)
            return APIResponse(request, data={"recipient": process.recipient}, status=HTTPStatus.ACCEPTED)
        found = ReauthenticationProcess.resume(request)
        if found is None:
            return ConflictResponse(request)
        if not found.enter(code):
            self.input.add_error("code", get_account_adapter().validation_error("incorrect_code"))
            return ErrorResponse(request, input=self.input)
        return AuthenticationResponse(request)


class DisconnectInput(inputs.Input):
    provider = inputs.CharField()
    account = inputs.CharField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.user = kwargs.pop("user")
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            wanted = {"provider": cleaned["provider"], "uid": cleaned["account"]}
            cleaned["account"] = SocialAccount.objects.filter(user=self.user, **wanted).first()
            if cleaned["account"] is None:
                raise get_adapter().validation_error("account_not_found")
        return cleaned


class ManageProvidersView(social_views.ManageProvidersView):
    """django-allauth keeps the last provider of whoever has no password; here any other way in will do."""

    input_class: ClassVar[dict[str, type[inputs.Input]]] = {"DELETE": DisconnectInput}

    @transaction.atomic
    def delete(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().delete(request, *args, **kwargs)


def _is_key_of_link(key: Any) -> bool:
    """Codes are six digits; the key of a link has two parts, and is much longer."""
    return isinstance(key, str) and _KEY_OF_LINK.fullmatch(key) is not None
