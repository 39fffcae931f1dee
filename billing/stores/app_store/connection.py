"""Apple's library as the operator's settings set it up. Only this package imports it."""

import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import requests
from appstoreserverlibrary.api_client import APIException, AppStoreServerAPIClient
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier
from django.conf import settings

from billing.stores.base import StoreError, UnknownObject

T = TypeVar("T")
_TIMEOUT_SECONDS = (3, 10)


class Client(AppStoreServerAPIClient):
    """With our time limits instead of its thirty seconds, and another address where one is set."""

    def _get_full_url(self, path: str) -> str:
        return f"{settings.APP_STORE_API_BASE or self._base_url}{path}"

    def _execute_request(  # noqa: PLR0917 - the library's own
        self, method: str, url: str, params: Any, headers: dict[str, str], json: Any, data: Any
    ) -> requests.Response:
        return requests.request(
            method,
            url,
            params=params,
            headers=headers,
            json=json,
            data=data,
            timeout=_TIMEOUT_SECONDS,
            allow_redirects=False,
        )


def is_configured() -> bool:
    """Whether we can tell what Apple signed, and ask it."""
    return all(
        (
            settings.APP_STORE_BUNDLE_ID,
            settings.APP_STORE_ROOT_CERTIFICATES,
            settings.APP_STORE_ISSUER_ID,
            settings.APP_STORE_KEY_ID,
            settings.APP_STORE_PRIVATE_KEY,
        )
    )


def verifier() -> SignedDataVerifier:
    """Raises StoreError where the settings make no sense."""
    return _verifier(
        tuple(settings.APP_STORE_ROOT_CERTIFICATES),
        settings.APP_STORE_ENVIRONMENT,
        settings.APP_STORE_BUNDLE_ID,
        settings.APP_STORE_APP_ID or None,
    )


def ask(operation: Callable[[Client], T]) -> T:
    """What Apple answers. Raises UnknownObject, StoreError."""
    client = _client(
        settings.APP_STORE_PRIVATE_KEY,
        settings.APP_STORE_KEY_ID,
        settings.APP_STORE_ISSUER_ID,
        settings.APP_STORE_BUNDLE_ID,
        settings.APP_STORE_ENVIRONMENT,
    )
    try:
        return operation(client)
    except APIException as error:
        status = error.http_status_code
        if status in {400, 404}:
            raise UnknownObject(f"the App Store answered {status}") from error
        is_passing = status in {408, 429} or status >= 500
        raise StoreError(f"the App Store answered {status}", is_passing=is_passing) from error
    except (requests.RequestException, ValueError, TypeError) as error:
        # No answer, or half of one.
        raise StoreError(f"App Store: {type(error).__name__}", is_passing=True) from error


@lru_cache(maxsize=4)
def _verifier(
    certificates: tuple[str, ...], environment: str, bundle_id: str, app_id: int | None
) -> SignedDataVerifier:
    try:
        roots = [_der(path.read_bytes()) for name in certificates for path in _files(Path(name))]
        # Without asking Apple whether its own certificates are still good: what it tells is asked for anyway.
        return SignedDataVerifier(roots, False, Environment(environment), bundle_id, app_id)
    except (OSError, ValueError) as error:
        raise StoreError("APP_STORE_… settings make no verifier", is_passing=False) from error


@lru_cache(maxsize=4)
def _client(key: str, key_id: str, issuer_id: str, bundle_id: str, environment: str) -> Client:
    try:
        text = key if "PRIVATE KEY" in key else Path(key).read_text()
        return Client(text.encode(), key_id, issuer_id, bundle_id, Environment(environment))
    except (OSError, ValueError) as error:
        raise StoreError("APP_STORE_PRIVATE_KEY is not a key", is_passing=False) from error


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]


def _der(content: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(content.decode().strip()) if b"-----BEGIN" in content else content
