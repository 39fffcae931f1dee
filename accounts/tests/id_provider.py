"""A stand-in for Google's and Firebase's key servers (and Google's token endpoint), on a local port."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

GOOGLE_CLIENT = "parlor-web.apps.example"
ANDROID_CLIENT = "parlor-android.apps.example"
PROJECT = "parlor-test"


@cache
def private_key(name: str) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys.example")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private_key(name).public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private_key(name), hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def pem(name: str) -> bytes:
    return private_key(name).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def google_claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": GOOGLE_CLIENT,
        "azp": GOOGLE_CLIENT,
        "sub": "1234567890",
        "email": "ada@example.com",
        "email_verified": True,
        "name": "Ada Lovelace",
        "iat": now,
        "exp": now + 3600,
    }
    return _changed(claims, changes)


def firebase_claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": f"https://securetoken.google.com/{PROJECT}",
        "aud": PROJECT,
        "sub": "fire-1",
        "user_id": "fire-1",
        "auth_time": now - 5,
        "iat": now,
        "exp": now + 3600,
        "email": "ada@example.com",
        "email_verified": True,
        "firebase": {"sign_in_provider": "password", "identities": {}},
    }
    return _changed(claims, changes)


def _changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`None` takes a claim away."""
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def sign(claims: dict[str, Any], key: str = "first", **header: Any) -> str:
    return jwt.encode(claims, pem(key), algorithm="RS256", headers={"kid": key, **header})


class KeyServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys = ["first"]
        self.status = 200
        self.headers = {"Cache-Control": "public, max-age=3600"}
        self.body: bytes | None = None
        self.fetches = 0
        self.id_token = ""
        self.exchanges: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        if self.path.startswith("/authorize?"):
            self._consent()
            return
        self.server.fetches += 1
        certificates = {name: certificate(name) for name in self.server.keys}
        self._answer(self.server.status, self.server.body or json.dumps(certificates).encode())

    def _consent(self) -> None:
        """The user agreed at once."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.send_response(302)
        self.send_header(
            "Location", f"{asked['redirect_uri']}?{urlencode({'code': 'c', 'state': asked['state']})}"
        )
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.exchanges.append({name: values[0] for name, values in parse_qs(body).items()})
        answer = {"access_token": "at", "token_type": "Bearer", "expires_in": 3600}
        self._answer(200, json.dumps({**answer, "id_token": self.server.id_token}).encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running_key_server(settings: Any) -> Iterator[KeyServer]:
    with key_server() as server:
        _point_to(server, settings)
        yield server


def _point_to(server: KeyServer, settings: Any) -> None:
    settings.GOOGLE_CLIENT_IDS = [GOOGLE_CLIENT, ANDROID_CLIENT]
    settings.GOOGLE_CERTS_URL = settings.FIREBASE_CERTS_URL = f"{server.url}/certs"
    settings.GOOGLE_TOKEN_URL = f"{server.url}/token"
    settings.SOCIALACCOUNT_PROVIDERS = {
        "google": {
            **settings.SOCIALACCOUNT_PROVIDERS["google"],
            "APPS": [{"client_id": GOOGLE_CLIENT, "secret": "google-secret"}],
        },
        "firebase": {"APPS": [{"client_id": PROJECT, "secret": ""}]},
    }
