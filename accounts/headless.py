"""django-allauth's headless API with our own tokens: the last step of signing in, and refreshing."""

from typing import Any

from allauth.core import context
from allauth.core.internal.httpkit import authenticated_user, get_authorization_credential
from allauth.headless.tokens.strategies.jwt import JWTTokenStrategy
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from accounts import authentication
from accounts.errors import InvalidRefreshToken
from accounts.services import sessions
from common.errors import NotAuthenticated


class TokenStrategy(JWTTokenStrategy):
    """Tokens whose state is in the database: a refresh token works once, and log-out works at once."""

    def get_session_token(self, request: HttpRequest) -> str | None:
        offered = request.headers.get("X-Session-Token")
        if offered:
            return offered
        token = get_authorization_credential(request, settings.HEADLESS_JWT_AUTHORIZATION_HEADER_SCHEME)
        if token is None:
            return None
        try:
            return authentication.identify_access_token(token)[1].session_key
        except NotAuthenticated:
            return None

    def create_access_token_payload(self, request: HttpRequest) -> dict[str, Any] | None:
        pair = sessions.issue_token_pair(
            user=authenticated_user(request), session_key=self.create_session_token(request)
        )
        return {
            "access_token": pair.access,
            "refresh_token": pair.refresh,
        }

    def refresh_token(self, refresh_token: str) -> tuple[str, str] | None:
        try:
            pair = sessions.rotate_refresh_token(
                token=refresh_token,
                received_at=getattr(context.request, "received_at", None) or timezone.now(),
                has_company=getattr(context.request, "has_company", False),
            )
        except InvalidRefreshToken:
            return None
        return pair.access, pair.refresh
