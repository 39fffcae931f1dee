"""X13 and X14: who may open a websocket at all."""

from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.urls import path
from pytest_django import Settings

from common.sockets import GuardedSocketRouter

# Channels closes old database connections when a socket ends.
pytestmark = pytest.mark.django_db
ORIGIN = "https://parlor.example"


@pytest.fixture(autouse=True)
def _site(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["parlor.example"]
    settings.ALLOWED_ORIGINS = [ORIGIN]


async def handshake(
    *,
    origin: str | None = ORIGIN,
    host: str = "parlor.example",
    query: str = "",
    extra: list[Any] | None = None,
) -> Any:
    headers = [(b"host", host.encode()), *(extra or [])]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    router = GuardedSocketRouter([path("ws/", AsyncWebsocketConsumer.as_asgi())])
    communicator = WebsocketCommunicator(router, f"/ws/{query}", headers=headers)
    connected, code = await communicator.connect()
    if connected:
        await communicator.disconnect()
    return connected or code


async def test_opens_for_a_listed_origin() -> None:
    assert await handshake() is True


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "https://parlor.example.evil.example",
        "https://evil-parlor.example",
        "https://sub.parlor.example",
        "http://parlor.example",
        "https://parlor.example:444",
        "https://parlor.example/",
    ],
)
async def test_refuses_a_foreign_origin_even_with_a_ticket(origin: str) -> None:
    assert await handshake(origin=origin) == 4403
    assert await handshake(origin=origin, query="?ticket=x") == 4403


async def test_without_an_origin_only_a_credential_of_its_own_opens() -> None:
    cookie = [(b"cookie", b"parlor_session=abc")]
    assert await handshake(origin=None, extra=cookie) == 4403
    assert await handshake(origin=None, query="?ticket=x") is True
    assert await handshake(origin=None, extra=[(b"authorization", b"Bearer x")]) is True


async def test_refuses_two_origins() -> None:
    assert await handshake(extra=[(b"origin", ORIGIN.encode())]) == 4403


@pytest.mark.parametrize(
    "host", ["evil.example", "parlor.example.evil.example", "", "parlor.example@evil", "127.0.0.1"]
)
async def test_refuses_an_unknown_host(host: str) -> None:
    assert await handshake(host=host) == 4400
