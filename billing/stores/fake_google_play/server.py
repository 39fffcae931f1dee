"""The fake's wire: the Play Developer API, Google's token endpoint and keys, and Pub/Sub's pushes."""

import base64
import hashlib
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from billing.stores.fake_google_play.market import Market
from billing.stores.fake_google_play.records import Document, Product, Subscription

ACCOUNT = "parlor@fake-play.iam.gserviceaccount.com"
PUSHER = "pusher@fake-play.iam.gserviceaccount.com"
KEY_ID = "fake-google-key"
_TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"  # noqa: S105
_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_LONGEST_SILENCE_SECONDS = 60
_TOKEN = re.compile(r"[A-Za-z0-9._-]{20,}")
_GOOD: tuple[int, Document] = (200, {})

FailureKind = Literal["500", "reset", "timeout_after"]


class Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)


@cache
def private_key(name: str = KEY_ID) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class FakeGooglePlay(Market):
    """`with FakeGooglePlay(package="app.parlor") as play:` serves on a port of its own until the end."""

    def __init__(self, package: str = "app.parlor") -> None:
        super().__init__(package)
        self.requests: list[Request] = []
        self.access_tokens: set[str] = set()
        self.page_size = 1000
        # Only such an answer of the API, whatever is asked: (status, body).
        self.next_answer: tuple[int, bytes] | None = None
        self._failures: list[tuple[str, str, FailureKind]] = []
        self._is_over = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def certs_url(self) -> str:
        return f"{self.api_base}/oauth2/v3/certs"

    @property
    def credentials(self) -> str:
        """The JSON text of a service account's key, as the Cloud console hands it out."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "fake-play",
                "private_key_id": KEY_ID,
                "private_key": pem(private_key()),
                "client_email": ACCOUNT,
                "client_id": "100000000000000000001",
                "token_uri": f"{self.api_base}/token",
            }
        )

    def fail_next(self, method: str, path_prefix: str, kind: FailureKind) -> None:
        """The next such request fails: "500" and "reset" before anything is done, "timeout_after" after it.

        The prefix is that of the whole path, or of what follows `/applications/{package}`.
        """
        with self.lock:
            self._failures.append((method, path_prefix, kind))

    def push_token(
        self,
        audience: str,
        email: str = PUSHER,
        key: RSAPrivateKey | None = None,
        **claims: Any,
    ) -> str:
        """An OIDC token as Pub/Sub sends it; a claim of None is left out."""
        now = int(time.time())
        content: Document = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "azp": "113774264463038321964",
            "sub": "113774264463038321964",
            "email": email,
            "email_verified": True,
            "iat": now,
            "exp": now + 3600,
            **claims,
        }
        told = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(told, pem(key or private_key()), algorithm="RS256", headers={"kid": KEY_ID})

    def envelope(self, notification: Document) -> bytes:
        """The body of a push. The same notification has the same message id each time."""
        data = json.dumps(notification, sort_keys=True).encode()
        number = int.from_bytes(hashlib.sha256(data).digest()[:6])
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": str(number),
            "message_id": str(number),
            "publishTime": "2026-01-01T00:00:00.000Z",
        }
        return json.dumps(
            {"message": message, "subscription": "projects/fake-play/subscriptions/rtdn"}
        ).encode()

    def push(  # noqa: PLR0917
        self,
        url: str,
        notification: Document,
        audience: str = "",
        email: str = PUSHER,
        signed: bool = True,
        key: RSAPrivateKey | None = None,
        copies: int = 1,
    ) -> list[int]:
        """The statuses answered, in order. The audience is the address unless told otherwise."""
        headers = {"Content-Type": "application/json"}
        if signed:
            headers["Authorization"] = f"Bearer {self.push_token(audience or url, email, key)}"
        body = self.envelope(notification)
        return [requests.post(url, body, headers=headers, timeout=30).status_code for _ in range(copies)]

    def _failure_of(self, method: str, path: str) -> FailureKind | None:
        inside = path.removeprefix(f"/androidpublisher/v3/applications/{self.package}")
        with self.lock:
            for planned in self._failures:
                if planned[0] == method and (path.startswith(planned[1]) or inside.startswith(planned[1])):
                    self._failures.remove(planned)
                    return planned[2]
        return None

    def _wait_in_silence(self) -> None:
        self._is_over.wait(_LONGEST_SILENCE_SECONDS)

    def _answer(self, request: Request, bearer: str, body: bytes) -> tuple[int, Document]:
        with self.lock:
            self.requests.append(request)
            if request.path == "/token":
                return self._exchange(body)
            if request.path == "/oauth2/v3/certs":
                return 200, {"keys": [self._public_key()]}
            try:
                self.catch_up()
                return self._answer_api(request, bearer)
            except Refusal as refusal:
                return refusal.status, _error(refusal)

    def _public_key(self) -> Document:
        found = jwt.algorithms.RSAAlgorithm.to_jwk(private_key().public_key(), as_dict=True)
        return {**found, "kid": KEY_ID, "alg": "RS256", "use": "sig"}

    def _exchange(self, body: bytes) -> tuple[int, Document]:
        """A signed assertion of the service account for an access token (RFC 7523)."""
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        try:
            claims = jwt.decode(
                form["assertion"],
                private_key().public_key(),
                algorithms=["RS256"],
                # Whatever token_uri says, the assertion is made out to Google.
                audience=_TOKEN_AUDIENCE,
                issuer=ACCOUNT,
            )
            is_good = form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        except (jwt.PyJWTError, KeyError) as error:
            return 400, {"error": "invalid_grant", "error_description": str(error)}
        if not is_good or _SCOPE not in str(claims.get("scope", "")).split():
            return 400, {"error": "invalid_scope"}
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self.access_tokens.add(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3599}

    def _answer_api(self, request: Request, bearer: str) -> tuple[int, Document]:
        prefix = "/androidpublisher/v3/applications/"
        if not request.path.startswith(prefix):
            raise Refusal(404, "notFound")
        if bearer not in self.access_tokens:
            raise Refusal(401, "authError")
        package, _, inside = request.path.removeprefix(prefix).partition("/")
        if package != self.package:
            raise Refusal(404, "applicationNotFound")
        for method, pattern, answer in self._routes():
            found = re.fullmatch(pattern, inside)
            if found and method == request.method:
                return answer(request, *(unquote(piece) for piece in found.groups()))
        raise Refusal(404, "notFound")

    def _routes(self) -> list[tuple[str, str, Callable[..., tuple[int, Document]]]]:
        plan, product = (
            r"purchases/subscriptions/([^/]+)/tokens/([^/:]+)",
            (r"purchases/products/([^/]+)/tokens/([^/:]+)"),
        )
        return [
            ("GET", r"purchases/subscriptionsv2/tokens/([^/:]+)", self._get_subscription),
            ("POST", f"{plan}:acknowledge", self._acknowledge_subscription),
            ("POST", f"{plan}:cancel", self._cancel_subscription),
            ("GET", product, self._get_product),
            ("POST", f"{product}:acknowledge", self._acknowledge_product),
            ("POST", f"{product}:consume", self._consume_product),
            ("GET", r"purchases/voidedpurchases", self._list_voided),
            ("GET", r"orders/([^/:]+)", self._get_order),
            ("POST", r"orders/([^/:]+):refund", self._refund_order),
        ]

    def _get_subscription(self, request: Request, token: str) -> tuple[int, Document]:
        return 200, self._subscription(token).document()

    def _acknowledge_subscription(self, request: Request, product: str, token: str) -> tuple[int, Document]:
        bought = self._subscription(token, product)
        if bought.is_acknowledged or bought.state not in {"ACTIVE", "CANCELED"}:
            raise Refusal(400, "invalidPurchaseState")
        bought.is_acknowledged = True
        return _GOOD

    def _cancel_subscription(self, request: Request, product: str, token: str) -> tuple[int, Document]:
        bought = self._subscription(token, product)
        if bought.state in {"CANCELED", "EXPIRED", "PENDING"}:
            raise Refusal(400, "subscriptionNotActive")
        self.cancel(token)
        return _GOOD

    def _get_product(self, request: Request, product: str, token: str) -> tuple[int, Document]:
        return 200, self._product(product, token).document()

    def _acknowledge_product(self, request: Request, product: str, token: str) -> tuple[int, Document]:
        bought = self._product(product, token)
        if bought.is_acknowledged or bought.state != 0:
            raise Refusal(400, "invalidPurchaseState")
        bought.is_acknowledged = True
        return _GOOD

    def _consume_product(self, request: Request, product: str, token: str) -> tuple[int, Document]:
        bought = self._product(product, token)
        if bought.is_consumed or bought.state != 0:
            raise Refusal(400, "invalidPurchaseState")
        bought.is_consumed = bought.is_acknowledged = True
        return _GOOD

    def _get_order(self, request: Request, order_id: str) -> tuple[int, Document]:
        if order_id not in self.orders:
            raise Refusal(404, "orderNotFound")
        return 200, self.orders[order_id].document()

    def _refund_order(self, request: Request, order_id: str) -> tuple[int, Document]:
        if order_id not in self.orders:
            raise Refusal(404, "orderNotFound")
        if self.orders[order_id].state not in {"PROCESSED", "PARTIALLY_REFUNDED"}:
            raise Refusal(400, "orderNotRefundable")
        self.refund(order_id, revoke=request.query.get("revoke") == "true")
        return _GOOD

    def _list_voided(self, request: Request) -> tuple[int, Document]:
        since = int(request.query.get("startTime", "0"))
        has_plans = request.query.get("type") == "1"
        found = [
            each
            for each in self.voided
            if int(each["voidedTimeMillis"]) >= since
            and (has_plans or each["purchaseToken"] in self.products)
        ]
        size = min(int(request.query.get("maxResults", "1000")), self.page_size)
        token = request.query.get("token", "0")
        if not token.isdecimal():
            raise Refusal(400, "invalidPageToken")
        first = int(token)
        page: Document = {"voidedPurchases": found[first : first + size]} if found else {}
        if first + size < len(found):
            page["tokenPagination"] = {"nextPageToken": str(first + size)}
        return 200, page

    def _subscription(self, token: str, product: str = "") -> Subscription:
        _check_form(token)
        bought = self.subscriptions.get(token)
        if bought is None or (product and bought.product_id != product):
            raise Refusal(404, "purchaseTokenNotFound")
        return bought

    def _product(self, product: str, token: str) -> Product:
        _check_form(token)
        bought = self.products.get(token)
        if bought is None or bought.product_id != product:
            raise Refusal(404, "purchaseTokenNotFound")
        return bought


def _check_form(token: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise Refusal(400, "invalid")


def _error(refusal: Refusal) -> Document:
    errors = [{"message": str(refusal), "domain": "androidpublisher", "reason": refusal.reason}]
    return {"error": {"code": refusal.status, "message": str(refusal), "errors": errors}}


class _Server(ThreadingHTTPServer):
    # A handler that is still silent is woken and waited for, so that no socket is left open.
    daemon_threads = False

    def __init__(self, play: FakeGooglePlay) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.play = play

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        play, parts = self.server.play, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(
            self.command, parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}
        )
        failure = play._failure_of(self.command, parts.path)
        if failure == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if failure == "500":
            self._write(500, {"error": {"code": 500, "message": "Internal error", "status": "INTERNAL"}})
            return
        status, answer = play._answer(request, self._bearer(), body)
        if failure == "timeout_after":
            play._wait_in_silence()
            return
        is_api = parts.path.startswith("/androidpublisher/")
        if is_api and play.next_answer:
            (status, content), play.next_answer = play.next_answer, None
            self._write_bytes(status, content)
            return
        self._write(status, answer)

    def _bearer(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _write(self, status: int, answer: Document) -> None:
        self._write_bytes(status, json.dumps(answer).encode() if answer else b"")

    def _write_bytes(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Cache-Control", "public, max-age=3600")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is in `requests`."""
