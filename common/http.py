"""Facts about a request that must not be taken on a stranger's word."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str:
    """The caller's address: the socket's, or what the trusted proxies in front of us recorded.

    With N trusted proxies the N-th address from the right of X-Forwarded-For is the one the outermost
    of them saw; everything left of it is the caller's own claim.
    """
    return ip_from_chain(request.META.get("HTTP_X_FORWARDED_FOR", ""), request.META.get("REMOTE_ADDR", ""))


def scope_ip(scope: dict[str, Any]) -> str:
    """The same for an ASGI scope."""
    forwarded = b",".join(value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for")
    peer = scope.get("client") or ("", 0)
    return ip_from_chain(forwarded.decode("latin-1"), peer[0])


def ip_from_chain(forwarded: str, peer: str) -> str:
    hops = settings.TRUSTED_PROXY_COUNT
    chain = [part.strip() for part in forwarded.split(",") if part.strip()]
    if hops and len(chain) >= hops:
        return chain[-hops]
    return peer


def user_id(request: Any) -> UUID:
    """Who asks, where a view or its permission has refused strangers already."""
    identity: UUID = request.user.pk
    return identity
