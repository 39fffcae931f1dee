"""What is kept between calls: connections, and nothing of anybody's conversation."""

import asyncio
import json
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ai import gateway, runtime
from ai.errors import ProviderFailed
from ai.gateway import open_stream
from ai.testing.fake_provider import Behaviour, FakeProvider, reply_words
from ai.tests.factories import make_request

pytestmark = pytest.mark.django_db(transaction=True)


async def reply_to(text: str) -> str:
    async with open_stream(make_request(text)) as stream:
        return "".join([piece async for piece in stream])


async def test_no_reply_reaches_another_call_however_calls_end(
    fake_provider: FakeProvider, settings: Any
) -> None:
    settings.AI_MAX_RETRIES = 0
    settings.AI_BREAKER_FAILURES = 10_000
    settings.AI_TOKEN_GAP_TIMEOUT = 0.2
    chance = random.Random(7)
    scenarios = ["normal", "normal", "silence", "truncated", "error_event", "no_terminator", "html"]

    async def call(number: int) -> None:
        tag = f"tag{number:04}"
        order = {"scenario": chance.choice(scenarios), "text": f"{tag} " * 8, "pause": 0.001}
        received: list[str] = []
        patience = chance.choice([0.001, 0.01, 0.05, 5.0])
        result = (
            await asyncio.gather(
                asyncio.wait_for(_collect(f"[[fake {json.dumps(order)}]]", received), patience),
                return_exceptions=True,
            )
        )[0]
        assert result is None or isinstance(result, TimeoutError | ProviderFailed), result
        assert set("".join(received).split()) <= {tag}

    for _ in range(6):
        await asyncio.gather(*(call(chance.randrange(10_000)) for _ in range(60)))


async def _collect(text: str, received: list[str]) -> None:
    async with open_stream(make_request(text)) as stream:
        async for piece in stream:
            received.append(piece)


async def test_closing_ends_the_connections_and_the_next_call_opens_new_ones(
    fake_provider: FakeProvider,
) -> None:
    await reply_to("Hello.")
    await reply_to("Hello.")
    await gateway.aclose()
    await gateway.aclose()
    assert await reply_to("Hello.") == "".join(reply_words(20))
    ports = [received.connection for received in fake_provider.requests]
    assert ports[0] == ports[1] != ports[2]


def test_each_event_loop_has_its_own_connections_and_a_dead_one_is_forgotten(
    fake_provider: FakeProvider,
) -> None:
    async def call() -> None:
        assert await reply_to("Hello.") == "".join(reply_words(20))
        await gateway.aclose()

    for _ in range(3):
        asyncio.run(call())
    asyncio.run(_touch())
    asyncio.run(_touch())
    assert len([loop for loop in runtime._runtimes if loop.is_closed()]) == 1


async def _touch() -> None:
    runtime.current()


async def test_a_hundred_replies_at_once_arrive_whole(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour(tokens=30, rate=100)
    replies = await asyncio.gather(*(reply_to("Hello.") for _ in range(100)))
    assert set(replies) == {"".join(reply_words(30))}


def test_the_gateway_is_imported_without_the_http_client() -> None:
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings.test';"
        "django.setup();"
        "import ai.gateway, ai.tasks, ai.services.usage; print('aiohttp' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "False"


@pytest.fixture
def fake_process(settings: Any) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ai.testing.fake_provider"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL = "key", url
    yield url
    process.terminate()
    process.wait(10)
    process.stdout.close()


async def test_the_fake_provider_can_be_steered_from_another_process(fake_process: str) -> None:
    def ask(method: str, path: str, order: dict[str, Any] | None = None) -> dict[str, Any]:
        body = json.dumps(order).encode() if order is not None else None
        request = urllib.request.Request(f"{fake_process}{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())

    async def steer(method: str, path: str, order: dict[str, Any] | None = None) -> dict[str, Any]:
        return await asyncio.to_thread(ask, method, path, order)

    await steer("POST", "/_control", {"default": {"text": "by default"}, "queue": [{"text": "only once"}]})
    assert await reply_to("Hello.") == "only once"
    assert await reply_to("Hello.") == "by default"
    assert await reply_to('Hello. [[fake {"text": "as I asked"}]]') == "as I asked"
    seen = await steer("GET", "/_requests")
    assert seen["open"] == 0
    assert [received["closed_by_client"] for received in seen["requests"]] == [False] * 3
    assert seen["requests"][0]["body"]["messages"][0]["content"] == "Hello."
    await steer("DELETE", "/_requests")
    assert (await steer("GET", "/_requests"))["requests"] == []
    await gateway.aclose()
