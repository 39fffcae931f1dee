"""Wrong settings for the providers are found at start-up, not by the first user."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from ai.models import ProviderName

_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1", "host.docker.internal"}
_POSITIVE = (
    "AI_CONNECT_TIMEOUT",
    "AI_FIRST_TOKEN_TIMEOUT",
    "AI_TOKEN_GAP_TIMEOUT",
    "AI_TOTAL_TIMEOUT",
    "AI_PLACE_TIMEOUT",
    "AI_MAX_CALLS_IN_FLIGHT",
    "AI_MAX_RESPONSE_BYTES",
    "AI_BREAKER_FAILURES",
)


@checks.register()
def provider_addresses(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = []
    for provider in ProviderName.values:
        if provider != ProviderName.ECHO:
            found += _check_provider(provider.upper())
    return found


def _check_provider(prefix: str) -> list[checks.CheckMessage]:
    key, address = getattr(settings, f"{prefix}_API_KEY"), getattr(settings, f"{prefix}_BASE_URL")
    found: list[checks.CheckMessage] = []
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        found.append(checks.Error(f"{prefix}_API_KEY holds characters no key has.", id="ai.E002"))
    if not address and prefix == ProviderName.COMPATIBLE.upper():
        return found
    if not _is_address(address):
        return [
            *found,
            checks.Error(
                f"{prefix}_BASE_URL is not an address to build on: {address!r}.",
                hint="It looks like https://host/path, without a query, a fragment or a password.",
                id="ai.E001",
            ),
        ]
    parts = urlsplit(address)
    if key and parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS:
        found.append(
            checks.Warning(f"{prefix}_API_KEY is sent without encryption to {parts.hostname}.", id="ai.W001")
        )
    return found


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    extras = parts.query or parts.fragment or parts.username or parts.password
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port_is_fine and not extras


@checks.register()
def gateway_limits(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    return [
        checks.Error(f"{name} must be greater than zero.", id="ai.E003")
        for name in _POSITIVE
        if getattr(settings, name) <= 0
    ]
