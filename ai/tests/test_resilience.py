"""Retries, fall-back, circuit breaker and the bound on calls in flight."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ai import runtime
from ai.errors import ModelUnavailable, ProviderFailed
from ai.gateway import ReplyStream, open_stream
from ai.models import AIModel
from ai.providers.failures import retry_after_seconds
from ai.testing.fake_provider import Behaviour, FakeProvider, reply_words
from ai.tests.factories import make_model, make_request
from ai.types import CompletionRequest
from common.db import in_thread

pytestmark = pytest.mark.django_db(transaction=True)
WHOLE = "".join(reply_words(20))


@pytest.fixture(autouse=True)
def _hasty(settings: Any) -> None:
    AIModel.objects.update(fallback=None)
    settings.AI_FIRST_TOKEN_TIMEOUT = 1.0
    settings.AI_RETRY_BASE_SECONDS = 0.02
    settings.AI_MAX_RETRIES = 2
    settings.AI_BREAKER_FAILURES = 50


@pytest.fixture
def chain() -> None:
    """first -> second -> third -> first."""
    first, second, third = (make_model(name) for name in ("first", "second", "third"))
    for model, fallback in ((first, second), (second, third), (third, first)):
        model.fallback = fallback
        model.save()


async def receive(request: CompletionRequest | None = None) -> tuple[str, ReplyStream]:
    stream = open_stream(request or make_request())
    async with stream:
        text = "".join([piece async for piece in stream])
    return text, stream


def kinds(stream: ReplyStream) -> list[str]:
    return [attempt.kind for attempt in stream.outcome.attempts]


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour("error_status", status=429), "rate_limited"),
        (Behaviour("error_status", status=500), "server_error"),
        (Behaviour("error_status", status=502), "server_error"),
        (Behaviour("error_status", status=503), "overloaded"),
        (Behaviour("error_status", status=529), "overloaded"),
        (Behaviour("disconnect"), "connect"),
        (Behaviour("error_event", after=0), "overloaded"),
    ],
)
async def test_f11_what_may_heal_is_tried_again_before_the_first_text(
    fake_provider: FakeProvider, behaviour: Behaviour, kind: str
) -> None:
    fake_provider.queue(behaviour, behaviour)
    text, stream = await receive()
    assert text == WHOLE
    assert kinds(stream) == [kind, kind, "ok"]
    assert len(fake_provider.requests) == 3


async def test_f11_retries_end(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("error_status", status=500)
    with pytest.raises(ProviderFailed) as caught:
        await receive()
    assert caught.value.kind == "server_error"
    assert len(fake_provider.requests) == 3


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour("error_status", status=400),
        Behaviour("error_status", status=401),
        Behaviour("html"),
        Behaviour("silence_before_headers"),
    ],
)
async def test_f11_what_would_not_heal_is_not_tried_again(
    fake_provider: FakeProvider, behaviour: Behaviour
) -> None:
    fake_provider.default = behaviour
    with pytest.raises(ProviderFailed):
        await receive()
    assert len(fake_provider.requests) == 1


async def test_f11_after_the_first_text_nothing_is_tried_again(
    fake_provider: FakeProvider, chain: None
) -> None:
    fake_provider.queue(Behaviour("error_event", after=1))
    pieces: list[str] = []
    stream = open_stream(make_request(model="first"))
    with pytest.raises(ProviderFailed):
        await _collect(stream, pieces)
    assert pieces == ["word0 "]
    assert len(fake_provider.requests) == 1


async def _collect(stream: ReplyStream, pieces: list[str]) -> None:
    async with stream:
        async for piece in stream:
            pieces.append(piece)


async def test_f11_retry_after_is_honoured(fake_provider: FakeProvider) -> None:
    fake_provider.queue(Behaviour("error_status", status=429, retry_after="0.4"))
    began = time.monotonic()
    text, _stream = await receive()
    assert text == WHOLE
    first, second = fake_provider.requests
    assert second.began_at - first.began_at >= 0.4
    assert time.monotonic() - began < 1.5


async def test_f11_a_long_retry_after_is_told_instead_of_waited_for(fake_provider: FakeProvider) -> None:
    fake_provider.queue(Behaviour("error_status", status=429, retry_after="30"))
    began = time.monotonic()
    with pytest.raises(ProviderFailed) as caught:
        await receive()
    assert caught.value.retry_after == 30
    assert time.monotonic() - began < 1
    assert len(fake_provider.requests) == 1


async def test_waits_grow_and_differ(fake_provider: FakeProvider, settings: Any) -> None:
    settings.AI_RETRY_BASE_SECONDS = 0.1
    waits = set()
    for _ in range(3):
        fake_provider.reset()
        fake_provider.queue(*[Behaviour("error_status", status=500)] * 2)
        await receive()
        first, second, third = (received.began_at for received in fake_provider.requests)
        assert 0.05 <= second - first <= 0.16
        assert 0.1 <= third - second <= 0.26
        waits.add(round(second - first, 4))
    assert len(waits) == 3


def test_retry_after_is_read_in_every_form() -> None:
    assert retry_after_seconds("3") == 3
    assert retry_after_seconds("1.5") == 1.5
    assert retry_after_seconds(None, "250") == 0.25
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after_seconds("99999999999") == 86_400
    for nonsense in (None, "", "soon", "-3", "nan", "1e999e"):
        assert retry_after_seconds(nonsense) is None


# --- fall-back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour("error_status", status=500),
        Behaviour("error_status", status=401),
        Behaviour("error_status", status=404),
        Behaviour("silence_after_headers"),
        Behaviour("html"),
        Behaviour(tokens=0),
        Behaviour("error_event", after=0),
    ],
)
async def test_f11_another_model_answers_before_the_first_text(
    fake_provider: FakeProvider, settings: Any, chain: None, behaviour: Behaviour
) -> None:
    settings.AI_MAX_RETRIES = 0
    fake_provider.queue(behaviour)
    text, stream = await receive(make_request(model="first"))
    assert text == WHOLE
    assert stream.model == stream.outcome.model == "second"
    assert [received.model for received in fake_provider.requests] == ["first", "second"]
    assert [attempt.model for attempt in stream.outcome.attempts] == ["first", "second"]


async def test_each_model_of_a_ring_is_tried_once(
    fake_provider: FakeProvider, settings: Any, chain: None
) -> None:
    settings.AI_MAX_RETRIES = 0
    fake_provider.default = Behaviour("error_status", status=500)
    with pytest.raises(ProviderFailed):
        await receive(make_request(model="second"))
    assert [received.model for received in fake_provider.requests] == ["second", "third", "first"]


async def test_a_conversation_that_is_not_accepted_is_not_shown_to_others(
    fake_provider: FakeProvider, chain: None
) -> None:
    fake_provider.default = Behaviour("error_status", status=400)
    with pytest.raises(ProviderFailed) as caught:
        await receive(make_request(model="first"))
    assert caught.value.kind == "rejected"
    assert len(fake_provider.requests) == 1


async def test_models_that_cannot_be_used_are_stepped_over(
    fake_provider: FakeProvider, settings: Any, chain: None
) -> None:
    settings.AI_MAX_RETRIES = 0
    await in_thread(AIModel.objects.filter(slug="second").update, provider="gemini")
    fake_provider.queue(Behaviour("error_status", status=500))
    _text, stream = await receive(make_request(model="first"))
    assert stream.outcome.model == "third"


async def test_a_model_switched_off_is_not_available(fake_provider: FakeProvider, chain: None) -> None:
    await in_thread(AIModel.objects.filter(slug="first").update, is_enabled=False)
    with pytest.raises(ModelUnavailable) as caught:
        await receive(make_request(model="first"))
    assert caught.value.code == "provider_unavailable"
    assert fake_provider.requests == []


async def test_the_cost_is_that_of_the_model_that_answered(
    fake_provider: FakeProvider, settings: Any, chain: None
) -> None:
    settings.AI_MAX_RETRIES = 0
    await in_thread(AIModel.objects.filter(slug="second").update, input_price=0, output_price=1)
    fake_provider.queue(Behaviour("error_status", status=500))
    _text, stream = await receive(make_request(model="first"))
    assert stream.outcome.cost_micro_usd == 20


# --- circuit breaker -----------------------------------------------------------------------------------


@pytest.fixture
def _quick_breaker(settings: Any) -> None:
    settings.AI_MAX_RETRIES = 0
    settings.AI_BREAKER_FAILURES = 3
    settings.AI_BREAKER_SECONDS = 0.4


async def fail_times(count: int, kind: str) -> None:
    for _ in range(count):
        with pytest.raises(ProviderFailed) as caught:
            await receive()
        assert caught.value.kind == kind


@pytest.mark.usefixtures("_quick_breaker")
async def test_a_model_that_keeps_failing_is_left_alone_then_probed_by_one_call(
    fake_provider: FakeProvider,
) -> None:
    fake_provider.default = Behaviour("error_status", status=500)
    await fail_times(3, "server_error")
    await fail_times(2, "circuit_open")
    assert len(fake_provider.requests) == 3
    await asyncio.sleep(0.45)
    fake_provider.default = Behaviour(first_delay=0.2)
    results = await asyncio.gather(*(receive() for _ in range(5)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, ProviderFailed)]
    assert [error.kind for error in refused] == ["circuit_open"] * 4
    assert len(fake_provider.requests) == 4
    text, _stream = await receive()
    assert text == WHOLE


@pytest.mark.usefixtures("_quick_breaker")
async def test_a_failed_probe_closes_the_door_again(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("error_status", status=500)
    await fail_times(3, "server_error")
    await asyncio.sleep(0.45)
    await fail_times(1, "server_error")
    await fail_times(1, "circuit_open")
    assert len(fake_provider.requests) == 4


@pytest.mark.usefixtures("_quick_breaker")
async def test_a_probe_that_is_stopped_leaves_the_next_call_to_probe(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("error_status", status=500)
    await fail_times(3, "server_error")
    await asyncio.sleep(0.45)
    fake_provider.default = Behaviour("silence_before_headers")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(receive(), 0.1)
    fake_provider.default = Behaviour()
    text, _stream = await receive()
    assert text == WHOLE


@pytest.mark.usefixtures("_quick_breaker")
async def test_a_provider_that_always_breaks_in_mid_reply_is_left_alone_too(
    fake_provider: FakeProvider,
) -> None:
    fake_provider.default = Behaviour("truncated")
    await fail_times(3, "truncated")
    await fail_times(1, "circuit_open")


@pytest.mark.usefixtures("_quick_breaker")
async def test_conversations_that_are_not_accepted_do_not_open_the_circuit(
    fake_provider: FakeProvider,
) -> None:
    fake_provider.default = Behaviour("error_status", status=400)
    await fail_times(5, "rejected")
    assert len(fake_provider.requests) == 5


@pytest.mark.usefixtures("_quick_breaker")
async def test_a_good_reply_forgives_what_was_before(fake_provider: FakeProvider) -> None:
    for _ in range(3):
        fake_provider.queue(*[Behaviour("error_status", status=500)] * 2)
        await fail_times(2, "server_error")
        await receive()
    assert len(fake_provider.requests) == 9


@pytest.mark.usefixtures("_quick_breaker")
async def test_an_open_circuit_sends_the_call_to_the_fall_back(
    fake_provider: FakeProvider, chain: None
) -> None:
    fake_provider.queue(*[Behaviour("error_status", status=500), Behaviour()] * 3)
    for _ in range(3):
        await receive(make_request(model="first"))
    _text, stream = await receive(make_request(model="first"))
    assert kinds(stream) == ["circuit_open", "ok"]
    assert [received.model for received in fake_provider.requests][-1] == "second"


# --- calls in flight -------------------------------------------------------------------------------------


@pytest.fixture
def _two_places(settings: Any) -> Iterator[None]:
    settings.AI_MAX_CALLS_IN_FLIGHT = 2
    settings.AI_PLACE_TIMEOUT = 0.3
    return


@pytest.mark.usefixtures("_two_places")
async def test_no_more_calls_than_places_and_a_short_wait_is_fine(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour(tokens=4, rate=40)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, fake_provider.open_requests)
            await asyncio.sleep(0.005)

    watcher = asyncio.create_task(watch())
    results = await asyncio.gather(*(receive() for _ in range(4)))
    watcher.cancel()
    assert [text for text, _stream in results] == ["".join(reply_words(4))] * 4
    assert most == 2


@pytest.mark.usefixtures("_two_places")
async def test_a_long_wait_for_a_place_is_refused_and_places_come_back(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour("silence")
    holders = [open_stream(make_request()) for _ in range(2)]
    for holder in holders:
        await holder.__aenter__()
        await anext(holder)
    with pytest.raises(ProviderFailed) as caught:
        await receive()
    assert caught.value.kind == "busy"
    assert caught.value.retryable
    assert len(fake_provider.requests) == 2
    for holder in holders:
        await holder.__aexit__(None, None, None)
    fake_provider.default = Behaviour()
    results = await asyncio.gather(receive(), receive())
    assert [text for text, _stream in results] == [WHOLE, WHOLE]


@pytest.mark.usefixtures("_two_places")
async def test_every_way_to_end_gives_the_place_back(fake_provider: FakeProvider, settings: Any) -> None:
    settings.AI_MAX_RETRIES = 0
    settings.AI_FIRST_TOKEN_TIMEOUT = 0.1
    for scenario in ("normal", "error_status", "truncated", "silence_before_headers", "html", "endless"):
        fake_provider.default = Behaviour(scenario)
        for _ in range(3):
            outcome = (await asyncio.gather(receive(), return_exceptions=True))[0]
            assert getattr(outcome, "kind", "") != "busy"
    for _ in range(3):
        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(1):
        await runtime.current().take_place()
        await runtime.current().take_place()
    runtime.current().give_place_back()
    runtime.current().give_place_back()
