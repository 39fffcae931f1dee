"""The two ways into the REST API: a bearer token, or the pages' session cookie with its CSRF token."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from accounts import authentication, tokens
from accounts.authentication import Identity
from accounts.models import User
from accounts.services import api_keys


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`. Whoever sends the header is judged by it alone."""

    def authenticate(self, request: Request) -> tuple[User, Identity] | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        return authentication.identify_access_token(authentication.bearer_token(header))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="parlor"'


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <API key>`, for the OpenAI-compatible face alone: there is no other way to send
    one, and it opens nothing else."""

    def authenticate(self, request: Request) -> tuple[User, None]:
        key = authentication.bearer_token(request.headers.get("Authorization", ""))
        return api_keys.identify_api_key(key), None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="parlor"'


class CookieAuthentication(SessionAuthentication):
    def authenticate(self, request: Request) -> tuple[User, Identity] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user = found[0]
        return user, Identity(user.pk, request.session.session_key or "", tokens.fingerprint(user))
