"""Access and refresh tokens: signed with one fixed algorithm, made for this service only.

The signature says that we made a token. Whether it still counts is asked of the database each time
(`accounts.authentication`, `accounts.services.sessions`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.models import TokenFamily, User
from common.errors import NotAuthenticated, TokenExpired
from common.ids import parse_uuid

ALGORITHM = "HS256"
ISSUER = "parlor"
AUDIENCES = {"access": "parlor:api", "refresh": "parlor:tokens"}
_REQUIRED = ["iss", "aud", "sub", "sid", "jti", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class Claims:
    user_id: UUID
    family_id: UUID
    token_id: UUID
    fingerprint: str


def make_access_token(user: User, family: TokenFamily) -> str:
    lifetime = timedelta(seconds=settings.HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN)
    return _encode(
        "access", user.id, family, family.current, timezone.now() + lifetime, auth=fingerprint(user)
    )


def make_refresh_token(user: User, family: TokenFamily) -> str:
    return _encode("refresh", user.id, family, family.current, family.expires_at, auth=fingerprint(user))


def read_token(token: str, use: str) -> Claims:
    """The claims of a token of ours. Raises TokenExpired, or NotAuthenticated for anything else amiss."""
    try:
        payload = jwt.decode(
            token,
            _key(settings.SECRET_KEY),
            algorithms=[ALGORITHM],
            audience=AUDIENCES[use],
            issuer=ISSUER,
            options={"require": _REQUIRED},
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NotAuthenticated(_("The token is not valid.")) from None
    user_id, family_id, token_id = (parse_uuid(payload[name]) for name in ("sub", "sid", "jti"))
    if user_id is None or family_id is None or token_id is None:
        raise NotAuthenticated(_("The token is not valid."))
    return Claims(user_id, family_id, token_id, fingerprint=str(payload.get("auth", "")))


def fingerprint(user: User) -> str:
    """Changes with the password and the session epoch, and tells nothing about either."""
    return salted_hmac("accounts.tokens.fingerprint", user.get_session_auth_hash()).hexdigest()


def is_same_fingerprint(user: User, claimed: str) -> bool:
    return constant_time_compare(fingerprint(user), claimed)


def _encode(
    use: str, user_id: UUID, family: TokenFamily, token_id: UUID, expires_at: datetime, **claims: Any
) -> str:
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCES[use],
        "sub": str(user_id),
        "sid": str(family.id),
        "jti": str(token_id),
        "iat": timezone.now(),
        "exp": expires_at,
        **claims,
    }
    return jwt.encode(payload, _key(settings.SECRET_KEY), algorithm=ALGORITHM)


@cache
def _key(secret: str) -> bytes:
    """A key of its own, so that no other signature made with the secret can pass for a token."""
    return salted_hmac("accounts.tokens", "signing key", secret=secret, algorithm="sha256").digest()
