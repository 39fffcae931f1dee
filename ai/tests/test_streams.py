"""Replies that go well, through the gateway and a real socket, in each provider's format."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from ai.gateway import ReplyStream, open_stream
from ai.testing.fake_provider import Behaviour, FakeProvider, input_words, reply_words
from ai.testing.fixtures import use_provider
from ai.tests.factories import make_request
from ai.types import CompletionRequest, Usage

pytestmark = pytest.mark.django_db(transaction=True)
PROVIDERS = ["anthropic", "openai", "xai", "gemini", "compatible"]


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest, settings: Any, fake_provider: FakeProvider) -> str:
    use_provider(settings, fake_provider, request.param)
    return request.param


async def receive(request: CompletionRequest | None = None) -> tuple[str, ReplyStream]:
    async with open_stream(request or make_request()) as stream:
        text = "".join([piece async for piece in stream])
    return text, stream


async def test_a_reply_arrives_whole_with_the_providers_usage(
    fake_provider: FakeProvider, provider: str
) -> None:
    text, stream = await receive()
    assert text == "".join(reply_words(20))
    (received,) = fake_provider.requests
    outcome = stream.outcome
    assert outcome.status == "complete"
    assert outcome.provider == provider
    assert outcome.usage == Usage(input_tokens=input_words(received.body), output_tokens=20)
    assert [attempt.kind for attempt in outcome.attempts] == ["ok"]
    assert outcome.first_token_ms is not None
    assert 0 <= outcome.first_token_ms <= outcome.duration_ms
    assert await asyncio.to_thread(fake_provider.wait_until, lambda: received.is_finished)
    assert not received.closed_by_client


async def test_every_script_arrives_whole_though_every_byte_is_a_chunk(
    fake_provider: FakeProvider, provider: str
) -> None:
    poem = "žluťoučký кůň 我爱你 नमस्ते 👩‍🚀🏽 end"
    fake_provider.default = Behaviour("split_utf8", text=poem)
    text, stream = await receive()
    assert text == poem
    assert stream.outcome.status == "complete"


async def test_mixed_line_ends_cut_between_cr_and_lf_change_nothing(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour("line_ends", tokens=9, pause=0.002)
    text, stream = await receive()
    assert text == "".join(reply_words(9))
    assert stream.outcome.status == "complete"


async def test_empty_pieces_vanish_and_repeated_ones_stay(fake_provider: FakeProvider, provider: str) -> None:
    fake_provider.default = Behaviour("empty_deltas", tokens=3)
    async with open_stream(make_request()) as stream:
        pieces = [piece async for piece in stream]
    assert "" not in pieces
    assert "".join(pieces) == "word0 word0 word1 word1 word2 word2 "


async def test_reasoning_tools_and_unknown_events_are_passed_over(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour("junk", tokens=5)
    text, stream = await receive()
    assert text == "".join(reply_words(5))
    assert stream.outcome.status == "complete"


async def test_halves_of_emoji_are_joined_and_what_no_database_stores_is_left_out(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour("surrogates")
    text, _stream = await receive()
    assert text == "a😀b\ufffdcd"
    assert text.encode()


@pytest.mark.parametrize("finish", ["length", "refused"])
async def test_the_reason_of_the_end_is_told(fake_provider: FakeProvider, provider: str, finish: str) -> None:
    fake_provider.default = Behaviour(finish=finish, tokens=4)
    text, stream = await receive()
    assert text == "".join(reply_words(4))
    assert stream.outcome.status == finish


async def test_a_refusal_without_a_word_is_an_end_and_no_failure(
    fake_provider: FakeProvider, provider: str
) -> None:
    fake_provider.default = Behaviour(finish="refused", tokens=0)
    text, stream = await receive()
    assert text == ""
    assert stream.outcome.status == "refused"
    assert stream.outcome.first_token_ms is None


async def test_pieces_are_given_out_as_they_come(fake_provider: FakeProvider, provider: str) -> None:
    fake_provider.default = Behaviour(tokens=6, rate=20)
    times = []
    async with open_stream(make_request()) as stream:
        async for _piece in stream:
            times.append(asyncio.get_running_loop().time())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # A busy machine may deliver two pieces in one read.
    assert 4 <= len(times) <= 6
    assert max(gaps) < 0.2
    assert times[-1] - times[0] > 0.2


async def test_a_connection_serves_one_call_after_another(fake_provider: FakeProvider, provider: str) -> None:
    for _ in range(3):
        text, _stream = await receive()
        assert text == "".join(reply_words(20))
    assert len({received.connection for received in fake_provider.requests}) == 1


@pytest.mark.parametrize("phase", ["before the request", "before the first text", "in the middle"])
async def test_leaving_early_closes_the_connection_and_counts_what_came(
    fake_provider: FakeProvider, provider: str, phase: str
) -> None:
    fake_provider.default = Behaviour(
        "silence_before_headers" if phase == "before the first text" else "silence"
    )
    request = make_request()
    async with open_stream(request) as stream:
        if phase == "before the first text":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.2)
        elif phase == "in the middle":
            text = await first_words(stream, 3)
            assert text == "word0 word1 word2 "
    outcome = stream.outcome
    assert outcome.status == "stopped"
    if phase == "before the request":
        assert fake_provider.requests == []
        assert outcome.usage == Usage()
        return
    (received,) = fake_provider.requests
    assert await asyncio.to_thread(fake_provider.wait_until, lambda: received.closed_by_client, 1.0)
    assert outcome.usage.output_tokens == (5 if phase == "in the middle" else 0)
    assert outcome.usage.input_tokens > 0
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def first_words(stream: AsyncIterator[str], count: int) -> str:
    text = ""
    while text.count(" ") < count:
        text += await anext(stream)
    return text


async def test_stopping_from_another_task_closes_the_connection(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("silence")
    stream = open_stream(make_request())

    async def relay() -> None:
        async with stream:
            async for _piece in stream:
                pass

    task = asyncio.create_task(relay())
    await asyncio.to_thread(fake_provider.wait_until, lambda: len(fake_provider.requests) == 1)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (received,) = fake_provider.requests
    assert await asyncio.to_thread(fake_provider.wait_until, lambda: received.closed_by_client, 1.0)
    assert stream.outcome.status == "stopped"


async def test_an_error_of_the_reader_counts_as_stopped(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("silence")
    stream = open_stream(make_request())

    async def relay() -> None:
        async with stream:
            await anext(stream)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await relay()
    assert stream.outcome.status == "stopped"
    assert stream.outcome.error_code == ""
