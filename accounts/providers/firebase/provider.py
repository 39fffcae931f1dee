"""Firebase: an ID token of the operator's project, whichever way its owner signed in there.

Rules: Firebase's documentation, "Verify ID tokens", the part on third-party JWT libraries.
"""

import re
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base import Provider, ProviderAccount
from django.conf import settings
from django.http import HttpRequest

from accounts.id_tokens import Expected, InvalidIdToken, read_unsigned, verify
from accounts.models import PHONE_PATTERN, User

_KEPT = ("email", "email_verified", "name", "picture", "phone_number")


class FirebaseAccount(ProviderAccount):
    def get_avatar_url(self) -> None:
        """Pictures of other hosts are never loaded."""


class FirebaseProvider(Provider):
    id = "firebase"
    name = "Firebase"
    account_class = FirebaseAccount
    supports_token_authentication = True

    def verify_token(self, request: HttpRequest, token: dict[str, Any]) -> SocialLogin:
        offered = token.get("id_token")
        if not isinstance(offered, str):
            raise get_adapter().validation_error("invalid_token")
        try:
            claims = _claims(offered, self.app.client_id)
        except InvalidIdToken as error:
            raise get_adapter().validation_error("invalid_token") from error
        login = self.sociallogin_from_response(request, claims)
        _bring_number(login, claims.get("phone_number"))
        return login

    def extract_uid(self, data: dict[str, Any]) -> str:
        return str(data["sub"])

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        details = data.get("firebase")
        way = details.get("sign_in_provider") if isinstance(details, dict) else None
        return {**{name: data[name] for name in _KEPT if name in data}, "sign_in_provider": way}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"email": data.get("email"), "name": data.get("name")}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        if not isinstance(data.get("email"), str):
            return []
        verified = data.get("email_verified") is True
        return [EmailAddress(email=data["email"], verified=verified, primary=True)]


def _claims(token: str, project: str) -> dict[str, Any]:
    expected = Expected(
        keys_url=settings.FIREBASE_CERTS_URL,
        issuers=frozenset({f"https://securetoken.google.com/{project}"}),
        audience=project,
        needs_auth_time=True,
    )
    if settings.FIREBASE_AUTH_EMULATOR_HOST and settings.DEBUG:
        return read_unsigned(token, expected)
    return verify(token, expected)


def _bring_number(login: SocialLogin, number: Any) -> None:
    """A number Firebase proved is the new user's, unless somebody here proved it before."""
    if not isinstance(number, str) or not re.fullmatch(PHONE_PATTERN, number):
        return
    if not User.objects.filter(phone=number).exists():
        login.phone, login.phone_verified = number, True


provider_classes = [FirebaseProvider]
