"""Google: django-allauth's provider, with ID tokens judged by our own rules."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.google import provider
from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter as BaseAdapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.conf import settings
from django.http import HttpRequest

from accounts.id_tokens import Expected, InvalidIdToken, verify

ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
_KEPT = ("email", "email_verified", "name", "picture", "locale")


def verify_google_token(token: str, client_id: str, nonce: str | None = None) -> dict[str, Any]:
    expected = Expected(
        keys_url=settings.GOOGLE_CERTS_URL,
        issuers=ISSUERS,
        audience=client_id,
        parties=frozenset(settings.GOOGLE_CLIENT_IDS),
    )
    return verify(token, expected, nonce=nonce)


class GoogleOAuth2Adapter(BaseAdapter):
    """The redirect on the web: the same token, straight from Google, judged by the same rules."""

    @property
    def authorize_url(self) -> str:
        return str(settings.GOOGLE_AUTHORIZE_URL)

    @property
    def access_token_url(self) -> str:
        return str(settings.GOOGLE_TOKEN_URL)

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> SocialLogin:
        id_token = kwargs["response"].get("id_token")
        if not isinstance(id_token, str):
            raise OAuth2Error("no id_token")
        try:
            claims = verify_google_token(id_token, app.client_id)
        except InvalidIdToken as error:
            raise OAuth2Error("invalid id_token") from error
        return self.get_provider().sociallogin_from_response(request, claims)


class GoogleProvider(provider.GoogleProvider):
    oauth2_adapter_class = GoogleOAuth2Adapter

    def verify_token(self, request: HttpRequest, token: dict[str, Any]) -> SocialLogin:
        offered = token.get("id_token")
        nonce = token.get("nonce")
        if not isinstance(offered, str) or not isinstance(nonce, str | None):
            raise get_adapter().validation_error("invalid_token")
        try:
            claims = verify_google_token(offered, self.app.client_id, nonce)
        except InvalidIdToken as error:
            raise get_adapter().validation_error("invalid_token") from error
        return self.sociallogin_from_response(request, claims)

    def extract_uid(self, data: dict[str, Any]) -> str:
        return str(data["sub"])

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        return {name: data[name] for name in _KEPT if name in data}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"email": data.get("email"), "name": data.get("name")}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        if not isinstance(data.get("email"), str):
            return []
        # The text "false" is true in Python, and nothing but the JSON value true is a promise.
        verified = data.get("email_verified") is True
        return [EmailAddress(email=data["email"], verified=verified, primary=True)]


provider_classes = [GoogleProvider]
