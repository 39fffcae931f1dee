"""HTTP: Stripe's API under /v1, the hosted pages beside it."""

import hmac
import json
import socket
import struct
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import api, lifecycle, pages
from .errors import StripeError
from .forms import decode
from .world import API_VERSION, PUBLIC, new_id, with_base

if TYPE_CHECKING:
    from .shop import FakeStripe

_STYLE = Path(__file__).with_name("style.css")
_MAX_BODY = 1_000_000


@dataclass(frozen=True)
class Request:
    """One API request as it came in."""

    method: str
    path: str
    idempotency_key: str | None
    params: dict[str, Any]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, shop: "FakeStripe") -> None:
        self.shop = shop
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is printed as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """The shop keeps its own list of requests."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self._body()
        params = decode(parts.query) | decode(body)
        key = self.headers.get("Idempotency-Key")
        if parts.path.startswith("/v1/"):
            self.server.shop.requests.append(Request(self.command, parts.path, key, params))
        fault = self.server.shop.faults.take(self.command, parts.path)
        if fault == "reset":
            self._reset()
        elif parts.path.startswith("/v1/"):
            self._serve_api(parts.path, params, key, fault)
        elif parts.path == "/style.css":
            self._send(200, _STYLE.read_bytes(), "text/css; charset=utf-8")
        else:
            self._serve_page(parts.path, params)

    def _body(self) -> str:
        length = min(int(self.headers.get("Content-Length") or 0), _MAX_BODY)
        return self.rfile.read(length).decode("utf-8", "replace")

    def _reset(self) -> None:
        # Zero lingering makes the close an RST, as a broken network does.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _serve_api(self, path: str, params: dict[str, Any], key: str | None, fault: str | None) -> None:
        request_id = new_id("req", 14)
        try:
            self._check_key()
            _refuse_on_order(fault)
            answered = self._answer(path, params, key, request_id)
        except StripeError as error:
            answered = api.Answer(error.status, error.body)
        if fault == "timeout_after":
            return
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
        if key:
            headers["Idempotency-Key"] = key
        if answered.is_replayed:
            headers["Idempotent-Replayed"] = "true"
        shown = with_base(answered.body, self.server.shop.public_base)
        self._send(answered.status, json.dumps(shown).encode(), "application/json", headers)

    def _check_key(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        is_right = hmac.compare_digest(given.encode(), self.server.shop.secret_key.encode())
        if not is_right or given.startswith(("sk_live", "rk_live")):
            raise StripeError("Invalid API Key provided.", status=401, code="api_key_invalid")

    def _answer(self, path: str, params: dict[str, Any], key: str | None, request_id: str) -> api.Answer:
        with self.server.shop.changing(request_id, key) as world:
            lifecycle.catch_up(world)
            return api.answer(world, self.command, path, params, key)

    def _serve_page(self, path: str, form: dict[str, Any]) -> None:
        shop = self.server.shop
        with shop.changing() as world:
            lifecycle.catch_up(world)
            page = pages.respond(world, self.command, path, form)
        if page.location:
            self._send(303, b"", "text/html", {"Location": page.location.replace(PUBLIC, shop.public_base)})
            return
        html = page.html.replace("STYLESHEET", shop.stylesheet_url).replace(PUBLIC, shop.public_base)
        style = urlsplit(shop.stylesheet_url)
        policy = (
            f"default-src 'none'; style-src 'self' {style.scheme}://{style.netloc};"
            " base-uri 'none'; frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        self._send(page.status, html.encode(), "text/html; charset=utf-8", headers)

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _refuse_on_order(fault: str | None) -> None:
    if fault == "500":
        raise StripeError("Something went wrong on Stripe's end.", status=500, kind="api_error")
    if fault == "429":
        raise StripeError("Too many requests.", status=429, code="rate_limit")
