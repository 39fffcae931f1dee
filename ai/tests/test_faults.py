"""Providers that hang, drip, lie and break, through the gateway and a real socket."""

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ai.errors import ProviderFailed
from ai.gateway import ReplyStream, open_stream
from ai.models import AIModel
from ai.testing.fake_provider import Behaviour, FakeProvider, input_words, reply_words
from ai.testing.fixtures import use_provider
from ai.tests.factories import make_request
from ai.types import CallOutcome, CompletionRequest, Usage

pytestmark = pytest.mark.django_db(transaction=True)
THREE_WORDS = "word0 word1 word2 "
# Long enough for a machine that is busy with other things, far below every default time-out.
SOON = 4.0


@pytest.fixture(autouse=True)
def _one_try(settings: Any, fake_provider: FakeProvider) -> None:
    AIModel.objects.update(fallback=None)
    settings.AI_MAX_RETRIES = 0


@pytest.fixture(params=["anthropic", "openai", "gemini"])
def provider(request: pytest.FixtureRequest, settings: Any, fake_provider: FakeProvider) -> str:
    use_provider(settings, fake_provider, request.param)
    return request.param


async def fail(request: CompletionRequest | None = None) -> tuple[str, ProviderFailed, CallOutcome]:
    """What was received before the failure, the failure, and the outcome."""
    stream = open_stream(request or make_request())
    pieces: list[str] = []
    with pytest.raises(ProviderFailed) as caught:
        await _receive(stream, pieces)
    assert caught.value.code == "provider_unavailable"
    assert caught.value.status == 503
    outcome = caught.value.outcome
    assert outcome is not None
    assert outcome is stream.outcome
    assert outcome.status == "failed"
    assert outcome.error_code == caught.value.kind
    return "".join(pieces), caught.value, outcome


async def _receive(stream: ReplyStream, pieces: list[str], pause: float = 0) -> None:
    async with stream:
        async for piece in stream:
            if not pieces:
                await asyncio.sleep(pause)
            pieces.append(piece)


async def closed(fake_provider: FakeProvider) -> bool:
    (received,) = fake_provider.requests
    return await asyncio.to_thread(fake_provider.wait_until, lambda: received.closed_by_client, 1.0)


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that answers no connection attempt: its queue is full and nobody accepts."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        time.sleep(0.05)
        yield server.getsockname()[1]
        for client in waiting:
            client.close()


async def test_f10_a_connection_that_never_opens_times_out(settings: Any) -> None:
    with full_backlog() as port:
        settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{port}"
        settings.AI_CONNECT_TIMEOUT = 0.3
        began = time.monotonic()
        text, error, outcome = await fail()
    assert text == ""
    assert error.kind == "connect_timeout"
    assert error.retryable
    assert 0.25 < time.monotonic() - began < SOON
    assert outcome.usage == Usage()


async def test_f10_a_refused_connection_fails_at_once(settings: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{unused.getsockname()[1]}"
        _text, error, _outcome = await fail()
    assert error.kind == "connect"
    assert error.retryable


@pytest.mark.parametrize(
    "case",
    [
        (Behaviour("silence_before_headers"), ""),
        (Behaviour("silence_after_headers"), ""),
        (Behaviour("pings", after=0), ""),
        (Behaviour("silence"), THREE_WORDS),
        (Behaviour("pings"), THREE_WORDS),
    ],
)
async def test_f10_silence_ends_in_time_and_closes_the_connection(
    fake_provider: FakeProvider, provider: str, settings: Any, case: tuple[Behaviour, str]
) -> None:
    behaviour, received_text = case
    # The time between texts counts from the last one, however long the first may take.
    settings.AI_FIRST_TOKEN_TIMEOUT = 30 if received_text else 0.3
    settings.AI_TOKEN_GAP_TIMEOUT = 0.3
    fake_provider.default = behaviour
    began = time.monotonic()
    text, error, outcome = await fail()
    assert text == received_text
    assert error.kind == ("token_timeout" if received_text else "first_token_timeout")
    assert error.retryable
    assert 0.25 < time.monotonic() - began < SOON
    assert await closed(fake_provider)
    assert outcome.usage.output_tokens == (5 if received_text else 0)


async def test_f10_a_first_text_may_take_longer_than_the_time_between_texts(
    fake_provider: FakeProvider, settings: Any
) -> None:
    settings.AI_TOKEN_GAP_TIMEOUT = 0.3
    fake_provider.default = Behaviour(first_delay=0.6, tokens=3)
    async with open_stream(make_request()) as stream:
        assert "".join([piece async for piece in stream]) == THREE_WORDS


async def test_f10_one_byte_now_and_then_is_no_sign_of_life(
    fake_provider: FakeProvider, provider: str, settings: Any
) -> None:
    settings.AI_FIRST_TOKEN_TIMEOUT = 0.3
    fake_provider.default = Behaviour("drip", pause=0.05)
    began = time.monotonic()
    text, error, _outcome = await fail()
    assert (text, error.kind) == ("", "first_token_timeout")
    assert time.monotonic() - began < SOON
    assert await closed(fake_provider)


async def test_f10_a_reply_that_goes_on_for_ever_ends_at_the_total(
    settings: Any, fake_provider: FakeProvider, provider: str
) -> None:
    settings.AI_TOTAL_TIMEOUT = 0.5
    fake_provider.default = Behaviour(tokens=1_000, rate=20)
    text, error, _outcome = await fail()
    assert error.kind == "total_timeout"
    assert "".join(reply_words(1_000)).startswith(text)
    assert 1 <= text.count(" ") <= 14
    assert await closed(fake_provider)


async def test_a_slow_reader_is_not_taken_for_a_silent_provider(
    fake_provider: FakeProvider, settings: Any
) -> None:
    settings.AI_TOKEN_GAP_TIMEOUT = 0.4
    fake_provider.default = Behaviour(tokens=30, rate=200)
    pieces: list[str] = []
    stream = open_stream(make_request())
    await _receive(stream, pieces, pause=0.7)
    assert "".join(pieces) == "".join(reply_words(30))
    assert stream.outcome.status == "complete"


async def test_f11_an_error_event_after_text_keeps_the_text(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour("error_event")
    text, error, outcome = await fail()
    assert text == THREE_WORDS
    assert error.kind == ("server_error" if provider == "openai" else "overloaded")
    assert len(fake_provider.requests) == 1
    assert outcome.usage.output_tokens == 5


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("truncated", "truncated"),
        ("invalid_json", "bad_response"),
        ("deep_json", "bad_response"),
        ("invalid_utf8", "bad_response"),
        ("long_line", "too_large"),
    ],
)
async def test_f12_a_broken_stream_keeps_what_came_before(
    fake_provider: FakeProvider, provider: str, scenario: str, kind: str
) -> None:
    fake_provider.default = Behaviour(scenario)
    text, error, outcome = await fail()
    assert (text, error.kind) == (THREE_WORDS, kind)
    assert outcome.usage.output_tokens == 5
    assert [attempt.kind for attempt in outcome.attempts] == ["ok"]


async def test_f12_a_stream_without_its_end_mark_is_not_whole(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour("no_terminator", tokens=5)
    text, error, _outcome = await fail()
    assert text == "".join(reply_words(5))
    assert error.kind == "truncated"
    assert error.retryable


async def test_f12_text_that_waited_for_a_slow_reader_survives_the_break(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("truncated", tokens=300, after=300, rate=1_000)
    pieces: list[str] = []
    with pytest.raises(ProviderFailed):
        await _receive(open_stream(make_request()), pieces, pause=0.8)
    assert "".join(pieces) == "".join(reply_words(300))


async def test_f12_a_page_instead_of_a_stream_is_refused(fake_provider: FakeProvider, provider: str) -> None:
    fake_provider.default = Behaviour("html")
    text, error, outcome = await fail()
    assert (text, error.kind) == ("", "bad_response")
    assert not error.retryable
    assert outcome.error_detail == "the answer is text/html, not an event stream"


async def test_f12_a_compressed_answer_is_refused_unopened(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("gzip_bomb")
    tracemalloc.start()
    text, error, _outcome = await fail()
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (text, error.kind) == ("", "bad_response")
    assert fake_provider.requests[0].headers["accept-encoding"] == "identity"
    assert peak < 6_000_000


async def test_f12_a_line_of_ten_megabytes_takes_little_memory(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("long_line")
    tracemalloc.start()
    _text, error, _outcome = await fail()
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.kind == "too_large"
    assert peak < 6_000_000


async def test_f13_a_million_tokens_are_cut_at_the_limit_and_the_provider_stopped(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour("endless")
    text = ""
    async with open_stream(make_request(max_output_tokens=100)) as stream:
        async for piece in stream:
            text += piece
    assert "".join(reply_words(64) * 4).startswith(text)
    assert 60 <= len(text.split()) <= 130
    assert stream.outcome.status == "length"
    assert stream.outcome.usage.output_tokens == 100
    assert await closed(fake_provider)


async def test_f13_endless_junk_ends_at_the_bound_of_bytes(
    settings: Any, fake_provider: FakeProvider, provider: str
) -> None:
    settings.AI_MAX_RESPONSE_BYTES = 2_000_000
    fake_provider.default = Behaviour("endless_junk")
    text, error, _outcome = await fail()
    assert (text, error.kind) == ("", "too_large")
    assert await closed(fake_provider)


async def test_an_empty_reply_is_a_failure_whose_cost_is_kept(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour(tokens=0)
    text, error, outcome = await fail()
    assert (text, error.kind) == ("", "empty")
    assert outcome.usage == Usage(input_words(fake_provider.requests[0].body), 0)
    assert outcome.cost_micro_usd > 0


@pytest.mark.parametrize(
    ("behaviour", "kind", "retryable"),
    [
        (Behaviour("error_status", status=400), "rejected", False),
        (Behaviour("error_status", status=400, message="Your credit balance is too low"), "account", False),
        (Behaviour("error_status", status=401), "auth", False),
        (Behaviour("error_status", status=402), "account", False),
        (Behaviour("error_status", status=403), "auth", False),
        (Behaviour("error_status", status=404), "not_found", False),
        (Behaviour("error_status", status=413), "rejected", False),
        (Behaviour("error_status", status=429), "rate_limited", True),
        (Behaviour("error_status", status=500), "server_error", True),
        (Behaviour("error_status", status=503), "overloaded", True),
        (Behaviour("error_status", status=529), "overloaded", True),
        (Behaviour("endless_error", status=500), "server_error", True),
        (Behaviour("redirect"), "bad_response", False),
        (Behaviour("disconnect"), "connect", True),
    ],
)
async def test_each_refusal_has_its_kind(
    fake_provider: FakeProvider, behaviour: Behaviour, kind: str, retryable: bool
) -> None:
    fake_provider.default = behaviour
    text, error, outcome = await fail()
    assert (text, error.kind, error.retryable) == ("", kind, retryable)
    assert outcome.usage == Usage()
    assert outcome.cost_micro_usd == 0
    assert len(fake_provider.requests) == 1


async def test_a_key_in_the_providers_words_is_not_kept(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour(
        "error_status", status=401, message="Incorrect key: sk-ant-api03-abcdefghij_klm"
    )
    _text, error, outcome = await fail()
    assert outcome.error_detail == "Incorrect key: [key]"
    assert "sk-ant" not in error.provider_detail
    assert "key" not in str(error.detail)


async def test_the_user_is_told_when_to_come_back(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("error_status", status=429, retry_after="40")
    _text, error, _outcome = await fail()
    assert error.retry_after == 40
