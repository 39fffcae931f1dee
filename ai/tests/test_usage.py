"""Whose token counts are believed, what calls cost, and how they are logged."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.tests.factories import make_user
from ai import pricing
from ai.gateway import ReplyStream, open_stream
from ai.models import AIModel, ModelCall
from ai.providers.base import ReportedUsage
from ai.services.usage import record_call
from ai.testing.fake_provider import Behaviour, FakeProvider, input_words
from ai.testing.fixtures import use_provider
from ai.tests.factories import make_outcome, make_request
from ai.tokens import estimate_request_tokens, estimate_tokens
from ai.types import Attempt, CompletionRequest, Usage
from common.db import TransactionRequired

PROVIDERS = ["anthropic", "openai", "gemini"]
LONG = " ".join(["lighthouse"] * 400)


async def receive(request: CompletionRequest) -> ReplyStream:
    async with open_stream(request) as stream:
        async for _text in stream:
            pass
    return stream


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("usage", ["none", "negative", "huge", "nan", "text"])
async def test_m12_absurd_usage_is_replaced_by_our_own_count(
    fake_provider: FakeProvider, settings: Any, provider: str, usage: str
) -> None:
    use_provider(settings, fake_provider, provider)
    fake_provider.default = Behaviour(usage=usage, text="A short answer of eight words, no more.")
    request = make_request()
    stream = await receive(request)
    own_output = stream.outcome.usage.output_tokens
    assert stream.outcome.status == "complete"
    assert stream.outcome.usage == Usage(estimate_request_tokens(request), own_output)
    # Each word was counted by itself, which rounds nothing up.
    assert own_output == estimate_tokens("A short answer of eight words, no more.") == 10
    assert stream.outcome.cost_micro_usd > 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_cached_tokens_are_counted_once(
    fake_provider: FakeProvider, settings: Any, provider: str
) -> None:
    use_provider(settings, fake_provider, provider)
    written = 50 if provider == "anthropic" else None
    fake_provider.default = Behaviour(cached_tokens=300, cache_write_tokens=written)
    stream = await receive(make_request(LONG))
    words = input_words(fake_provider.requests[0].body)
    assert stream.outcome.usage == Usage(words, 20, 300, written or 0)


@pytest.mark.django_db(transaction=True)
async def test_m12_more_output_than_was_allowed_is_not_believed(fake_provider: FakeProvider) -> None:
    fake_provider.default = Behaviour(tokens=60)
    stream = await receive(make_request(max_output_tokens=50))
    assert stream.outcome.usage.output_tokens == 50


@pytest.mark.django_db(transaction=True)
async def test_a_reply_cut_off_by_us_keeps_the_providers_input_and_our_output(
    fake_provider: FakeProvider,
) -> None:
    fake_provider.default = Behaviour("silence", cached_tokens=100)
    async with open_stream(make_request(LONG)) as stream:
        text = await anext(stream)
        while text.count(" ") < 3:
            text += await anext(stream)
    words = input_words(fake_provider.requests[0].body)
    assert stream.outcome.status == "stopped"
    assert stream.outcome.usage == Usage(words, estimate_tokens(text), 100)


def believe(reported: ReportedUsage, **changes: int) -> Usage:
    bounds = {"own_input": 100, "own_output": 30, "max_output": 500, "context_window": 10_000, **changes}
    return pricing.believable_usage(reported, **bounds)


@pytest.mark.parametrize(
    ("reported", "believed"),
    [
        (ReportedUsage(120, 40), Usage(120, 40)),
        (ReportedUsage(120.0, 40.0), Usage(120, 40)),
        (ReportedUsage(2_400, 500), Usage(2_400, 500)),
        (ReportedUsage(2_401, 501), Usage(100, 30)),
        (ReportedUsage(0, 0), Usage(100, 30)),
        (ReportedUsage(12, 40), Usage(12, 40)),
        (ReportedUsage(11, 40), Usage(100, 40)),
        (ReportedUsage(True, True), Usage(100, 30)),
        (ReportedUsage(120.5, "40"), Usage(100, 30)),
        (ReportedUsage(120, 40, 120, 0), Usage(120, 40, 120, 0)),
        (ReportedUsage(120, 40, 121, 0), Usage(100, 40)),
        (ReportedUsage(120, 40, -1, 0), Usage(100, 40)),
        (ReportedUsage(120, 40, 80, 80), Usage(120, 40)),
        (ReportedUsage(None, None, 50, None), Usage(100, 30)),
    ],
)
def test_m12_each_count_is_checked_by_itself(reported: ReportedUsage, believed: Usage) -> None:
    assert believe(reported) == believed


def test_m12_no_count_is_larger_than_the_window_or_the_limit() -> None:
    assert believe(ReportedUsage(900, None), context_window=800) == Usage(100, 30)
    assert believe(ReportedUsage(None, None), own_output=900) == Usage(100, 500)


def test_a_reply_without_text_may_have_no_output() -> None:
    assert believe(ReportedUsage(120, 0), own_output=0) == Usage(120, 0)


def test_cost_is_exact_to_the_micro_dollar() -> None:
    model = AIModel(
        input_price=Decimal("2"),
        output_price=Decimal("10"),
        cached_price=Decimal("0.1"),
        cache_write_price=Decimal("2.5"),
    )
    assert pricing.cost_micro_usd(model, Usage(1_000, 200, 600, 100)) == 300 * 2 + 60 + 250 + 2_000
    assert pricing.cost_micro_usd(model, Usage(5, 0, 5, 0)) == 1
    assert pricing.cost_micro_usd(model, Usage(4, 0, 4, 0)) == 0
    assert pricing.cost_micro_usd(model, Usage()) == 0


@pytest.mark.django_db
def test_e4_a_call_is_logged_in_one_insert() -> None:
    user = make_user()
    attempts = (
        Attempt("claude-sonnet-5-5", "anthropic", "overloaded", 529, 80),
        Attempt("claude-sonnet-5-5", "anthropic", "ok", None, 350),
    )
    outcome = make_outcome(attempts=attempts)
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        record_call(outcome, user_id=user.id, purpose="chat", reference="generation:1")
    inserts = [query for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(inserts) == 1
    call = ModelCall.objects.get()
    assert (call.id, call.user_id, call.purpose, call.reference) == (
        outcome.call_id,
        user.id,
        "chat",
        "generation:1",
    )
    assert (call.model, call.provider, call.status) == ("claude-sonnet-5-5", "anthropic", "complete")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens, call.cache_write_tokens) == (
        100,
        20,
        40,
        10,
    )
    assert (call.cost_micro_usd, call.first_token_ms, call.duration_ms) == (1_234, 350, 2_000)
    assert [attempt["kind"] for attempt in call.attempts] == ["overloaded", "ok"]


@pytest.mark.django_db(transaction=True)
def test_logging_a_call_needs_the_callers_transaction() -> None:
    with pytest.raises(TransactionRequired):
        record_call(make_outcome(), user_id=None, purpose="chat", reference="")
    assert not ModelCall.objects.exists()


@pytest.mark.django_db
def test_the_log_outlives_the_user() -> None:
    user = make_user()
    with transaction.atomic():
        call = record_call(make_outcome(), user_id=user.id, purpose="chat", reference="")
    user.delete()
    call.refresh_from_db()
    assert call.user_id is None


def test_own_count_is_near_what_tokenizers_make_of_each_script() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("a") == 1
    assert estimate_tokens("The quick brown fox jumps over the lazy dog.") == 11
    assert estimate_tokens("我爱你中国") == 5
    assert estimate_tokens("Привет, как дела?") == 10
    assert estimate_tokens("😀😀") == 3
    assert estimate_tokens("\ud83d") == 1


def test_a_request_is_counted_with_everything_in_it() -> None:
    request = make_request("word " * 8, user_id=uuid4())
    assert estimate_request_tokens(request) == 10 + 4 + 9 + 4
