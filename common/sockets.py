"""The door of every websocket: exact hosts, listed origins, and what to do about an unknown path.

Browsers always say the Origin of a websocket and send cookies with it, so a page of another site could
ride on a visitor's session. Native clients have no Origin; they may come in without one if they bring a
credential of their own (a ticket or a bearer header) instead of a cookie.
"""

from typing import Any
from urllib.parse import parse_qs

from channels.routing import URLRouter
from django.conf import settings
from django.http.request import split_domain_port, validate_host


class GuardedSocketRouter:
    def __init__(self, patterns: list[Any]) -> None:
        self._router = URLRouter(patterns)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = _Headers(scope)
        if not _host_allowed(headers):
            await _refuse(scope, receive, send, 400)
        elif not _origin_allowed(scope, headers):
            await _refuse(scope, receive, send, 403)
        else:
            await self._route(scope, receive, send)

    async def _route(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await self._router(scope, receive, send)
        except ValueError as error:
            if "No route found" not in str(error):
                raise
            await _refuse(scope, receive, send, 404)


class _Headers:
    def __init__(self, scope: dict[str, Any]) -> None:
        self._pairs = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]

    def all(self, name: bytes) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    def one(self, name: bytes) -> str:
        """The header's value; empty where it is absent or given more than once."""
        values = self.all(name)
        return values[0] if len(values) == 1 else ""


def _host_allowed(headers: _Headers) -> bool:
    domain, _port = split_domain_port(headers.one(b"host"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _origin_allowed(scope: dict[str, Any], headers: _Headers) -> bool:
    origins = headers.all(b"origin")
    if origins:
        return len(origins) == 1 and origins[0] in settings.ALLOWED_ORIGINS
    has_ticket = "ticket" in parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return has_ticket or headers.one(b"authorization").lower().startswith("bearer ")


async def _refuse(scope: dict[str, Any], receive: Any, send: Any, status: int) -> None:
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 4400 if status == 400 else 4403})
