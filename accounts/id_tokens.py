"""ID tokens of Google and Firebase: whose signature, for whom, by whom, and still good.

Rules: OpenID Connect Core 1.0, section 3.1.3.7, and Firebase's "Verify ID tokens". Their keys rotate, so they
are kept only as long as the answer that brought them says.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import requests
import structlog
from cryptography.x509 import load_pem_x509_certificate
from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from common.errors import Unavailable

logger = structlog.get_logger("parlor.id_tokens")
ALGORITHM = "RS256"
LEEWAY_SECONDS = 10
MAX_TOKEN_LENGTH = 8_192
_MAX_KEYS_BYTES = 100_000
_TIMEOUT_SECONDS = (3, 5)
# A key id we don't know may be brand-new, but a forger can make up any number of them.
_REFETCH_SECONDS = 30
_MAX_AGE = re.compile(r"max-age=(\d+)")


class InvalidIdToken(Exception):
    """The token is not one we may believe; why is for the log only."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say: made by one of `issuers` for `audience`, signed with a key of `keys_url`."""

    keys_url: str
    issuers: frozenset[str]
    audience: str
    # Other clients of ours the token may have been handed to (`azp`).
    parties: frozenset[str] = frozenset()
    needs_auth_time: bool = False


def verify(token: str, expected: Expected, *, nonce: str | None = None) -> dict[str, Any]:
    """The claims of a good token. Raises InvalidIdToken, or Unavailable when the keys can't be had."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidIdToken("too long")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key_of(token, expected.keys_url),
            algorithms=[ALGORITHM],
            audience=expected.audience,
            issuer=list(expected.issuers),
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "aud", "iss", "sub"], "strict_aud": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise InvalidIdToken(type(error).__name__) from error
    _check_claims(claims, expected, nonce)
    return claims


def read_unsigned(token: str, expected: Expected) -> dict[str, Any]:
    """The claims of a token of Firebase's emulator, which signs nothing. For debug only."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            audience=expected.audience,
            issuer=list(expected.issuers),
            leeway=LEEWAY_SECONDS,
            options={"verify_signature": False, "verify_aud": True, "verify_iss": True, "verify_exp": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise InvalidIdToken(type(error).__name__) from error
    _check_claims(claims, expected, None)
    return claims


def _check_claims(claims: dict[str, Any], expected: Expected, nonce: str | None) -> None:
    subject, party, moment = claims.get("sub"), claims.get("azp"), claims.get("auth_time")
    if not isinstance(subject, str) or not 0 < len(subject) <= 128:
        raise InvalidIdToken("sub")
    if party is not None and party not in {expected.audience, *expected.parties}:
        raise InvalidIdToken("azp")
    if nonce is not None and claims.get("nonce") != nonce:
        raise InvalidIdToken("nonce")
    if expected.needs_auth_time and not _is_past(moment):
        raise InvalidIdToken("auth_time")


def _is_past(moment: Any) -> bool:
    is_number = isinstance(moment, int) and not isinstance(moment, bool)
    return is_number and 0 < moment <= time.time() + LEEWAY_SECONDS


def _key_of(token: str, keys_url: str) -> Any:
    header = jwt.get_unverified_header(token)
    if header.get("alg") != ALGORITHM or not isinstance(header.get("kid"), str):
        raise InvalidIdToken("header")
    key = _public_keys(keys_url).get(header["kid"])
    if key is None and cache.add(f"accounts:id-keys-refetched:{keys_url}", 1, timeout=_REFETCH_SECONDS):
        key = _fetch(keys_url).get(header["kid"])
    if key is None:
        raise InvalidIdToken("kid")
    return _load(key)


def _public_keys(keys_url: str) -> dict[str, Any]:
    kept = cache.get(f"accounts:id-keys:{keys_url}")
    return kept if kept is not None else _fetch(keys_url)


def _fetch(keys_url: str) -> dict[str, Any]:
    try:
        with requests.get(keys_url, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True) as response:
            body = response.raw.read(_MAX_KEYS_BYTES + 1, decode_content=True)
            if response.status_code != 200 or len(body) > _MAX_KEYS_BYTES:
                raise ValueError(f"answer {response.status_code} of {len(body)} bytes")
            keys = _by_id(json.loads(body))
            cache.set(f"accounts:id-keys:{keys_url}", keys, timeout=_lifetime(response.headers))
    except (requests.RequestException, ValueError, OSError) as error:
        logger.warning("id_token_keys_unavailable", error=type(error).__name__)
        raise Unavailable(_("Signing in this way does not work at the moment.")) from error
    return keys


def _by_id(document: Any) -> dict[str, Any]:
    """Both forms they come in: `{kid: certificate}` (X.509) and `{"keys": [{"kid": …}]}` (JWK)."""
    if not isinstance(document, dict):
        raise ValueError("not an object")
    if isinstance(document.get("keys"), list):
        return {str(key["kid"]): key for key in document["keys"] if isinstance(key, dict) and "kid" in key}
    return {kid: text for kid, text in document.items() if isinstance(text, str)}


def _load(key: Any) -> Any:
    if isinstance(key, dict):
        return jwt.PyJWK(key, algorithm=ALGORITHM).key
    return load_pem_x509_certificate(key.encode()).public_key()


def _lifetime(headers: Mapping[str, str]) -> int:
    """Seconds the keys may be kept: what Cache-Control allows, less their age, and at most a day."""
    allowed = _MAX_AGE.search(headers.get("Cache-Control", ""))
    age = headers.get("Age", "0")
    seconds = (int(allowed[1]) if allowed else 0) - (int(age) if age.isascii() and age.isdigit() else 0)
    return max(0, min(seconds, 86_400))
