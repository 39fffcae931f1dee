"""E5: the alert, the hard cap, and an account that runs against them."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.tests.factories import make_user
from ai import selectors
from ai.errors import ProviderFailed, SpendCapReached
from ai.gateway import ReplyStream, open_stream
from ai.models import ModelCall, SpendLimit
from ai.services import spend
from ai.services.usage import record_call
from ai.tasks import check_daily_spend
from ai.testing.fake_provider import Behaviour, FakeProvider
from ai.tests.factories import make_outcome, make_request
from ai.types import CallOutcome
from common.db import in_thread
from common.models import OutboxMessage

pytestmark = pytest.mark.django_db(transaction=True)
ONE_DOLLAR = 1_000_000


def set_limits(*, alert: str = "50", cap: str = "500") -> None:
    limit = SpendLimit.objects.get()
    limit.daily_alert_usd, limit.daily_cap_usd = Decimal(alert), Decimal(cap)
    limit.save()


def log_call(cost: int, *, at: datetime | None = None) -> None:
    with transaction.atomic():
        call = record_call(make_outcome(cost_micro_usd=cost), user_id=None, purpose="chat", reference="")
    if at is not None:
        ModelCall.objects.filter(id=call.id).update(created_at=at)


def log_outcome(outcome: CallOutcome) -> None:
    with transaction.atomic():
        record_call(outcome, user_id=None, purpose="chat", reference="")


async def receive() -> ReplyStream:
    stream = open_stream(make_request())
    async with stream:
        async for _text in stream:
            pass
    await in_thread(log_outcome, stream.outcome)
    return stream


def test_the_shipped_limits_are_data() -> None:
    limit = selectors.get_spend_limit()
    assert (limit.daily_alert_usd, limit.daily_cap_usd) == (Decimal(50), Decimal(500))


def test_there_is_one_row_of_limits_and_no_negative_one() -> None:
    with pytest.raises(IntegrityError, match="ai_spend_limit_one_row"), transaction.atomic():
        SpendLimit.objects.create(id=2)
    with pytest.raises(IntegrityError, match="ai_spend_limit_not_negative"), transaction.atomic():
        SpendLimit.objects.update(daily_cap_usd=-1)


async def test_e5_the_cap_refuses_new_calls_before_the_provider_is_asked(fake_provider: FakeProvider) -> None:
    await in_thread(set_limits, cap="2")
    await in_thread(log_call, 2 * ONE_DOLLAR)
    with pytest.raises(SpendCapReached) as caught:
        await receive()
    error = caught.value
    assert (error.code, error.status, error.kind) == ("provider_unavailable", 503, "spend_cap")
    assert 0 < (error.retry_after or 0) <= 25 * 3600
    assert fake_provider.requests == []


async def test_e5_a_raised_cap_lets_calls_through_at_once(fake_provider: FakeProvider) -> None:
    await in_thread(set_limits, cap="2")
    await in_thread(log_call, 2 * ONE_DOLLAR)
    with pytest.raises(SpendCapReached):
        await receive()
    await in_thread(set_limits, cap="3")
    stream = await receive()
    assert stream.outcome.status == "complete"


async def test_models_that_cost_nothing_go_on_past_the_cap() -> None:
    await in_thread(set_limits, cap="0")
    stream = await receive()
    assert stream.outcome.provider == "echo"
    assert stream.outcome.status == "complete"


async def test_x56_a_burner_account_spends_the_cap_and_one_call_at_most(fake_provider: FakeProvider) -> None:
    await in_thread(set_limits, cap="0.01")
    fake_provider.default = Behaviour(tokens=200)
    costs: list[int] = []
    with pytest.raises(SpendCapReached):
        await burn(costs)
    spent = await in_thread(selectors.cost_between, timezone.now() - timedelta(hours=1))
    assert spent == sum(costs)
    assert 10_000 <= spent <= 10_000 + max(costs)
    assert len(fake_provider.requests) == len(costs) == 5


async def burn(costs: list[int]) -> None:
    for _ in range(50):
        costs.append((await receive()).outcome.cost_micro_usd)


async def test_x56_neither_do_fifty_calls_at_once(fake_provider: FakeProvider) -> None:
    await in_thread(set_limits, cap="0.02")
    fake_provider.default = Behaviour(tokens=400, first_delay=0.1)
    results = await asyncio.gather(*(receive() for _ in range(50)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, SpendCapReached)]
    # Each may cost 500 tokens at 10 USD a million: four fit under two cents.
    assert len(fake_provider.requests) == 4
    assert len(refused) == 46
    spent = await in_thread(selectors.cost_between, timezone.now() - timedelta(hours=1))
    assert spent <= 20_000


async def test_an_ended_call_counts_until_it_is_logged(fake_provider: FakeProvider) -> None:
    await in_thread(set_limits, cap="0.01")
    await in_thread(log_call, 4_000)
    fake_provider.default = Behaviour(tokens=400)
    stream = open_stream(make_request())
    async with stream:
        async for _text in stream:
            pass
    assert stream.outcome.cost_micro_usd > 4_000
    second = await receive()
    with pytest.raises(SpendCapReached):
        await receive()
    await in_thread(log_outcome, stream.outcome)
    with pytest.raises(SpendCapReached):
        await receive()
    assert second.outcome.status == "complete"


async def test_a_failed_call_that_cost_nothing_frees_its_worst_case(
    fake_provider: FakeProvider, settings: Any
) -> None:
    settings.AI_MAX_RETRIES = 0
    await in_thread(set_limits, cap="0.01")
    fake_provider.default = Behaviour("error_status", status=401)
    for _ in range(4):
        with pytest.raises(ProviderFailed):
            await receive()
    fake_provider.default = Behaviour()
    assert (await receive()).outcome.status == "complete"


def test_costs_are_summed_by_the_operators_day(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    now = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
    midnight_in_tokyo = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    log_call(100, at=midnight_in_tokyo - timedelta(microseconds=1))
    log_call(20, at=midnight_in_tokyo)
    log_call(3, at=now)
    spend.today.forget()
    assert spend.today.read(now) == 23
    assert spend.today.read(now - timedelta(hours=3, seconds=1)) == 123


def test_old_rows_are_summed_once_and_new_ones_again_and_again(django_assert_num_queries: Any) -> None:
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    log_call(100, at=now - timedelta(hours=3))
    log_call(20, at=now - timedelta(minutes=1))
    spend.today.forget()
    with django_assert_num_queries(2):
        assert spend.today.read(now) == 120
    with django_assert_num_queries(0):
        assert spend.today.read(now) == 120
    # What is settled is not asked for again, so a row slipped in there stays unseen.
    log_call(7, at=now - timedelta(hours=2))
    log_call(3, at=now)
    spend.today._fresh_until = 0
    assert spend.today.read(now + timedelta(seconds=10)) == 123


def test_e5_staff_are_told_once_a_day_of_the_alert_and_of_the_cap() -> None:
    make_user("boss@example.com", staff=True)
    make_user("user@example.com")
    make_user("gone@example.com", staff=True, is_active=False)
    set_limits(alert="1", cap="2")
    log_call(ONE_DOLLAR - 1)
    check_daily_spend()
    assert mail.outbox == []
    log_call(1)
    for _ in range(3):
        spend.today.forget()
        check_daily_spend()
    assert [message.subject for message in mail.outbox] == ["AI costs passed the daily alert"]
    assert mail.outbox[0].bcc == ["boss@example.com"]
    assert "1.00 USD" in mail.outbox[0].body
    log_call(ONE_DOLLAR)
    for _ in range(3):
        spend.today.forget()
        check_daily_spend()
    subjects = [message.subject for message in mail.outbox]
    assert subjects[1:] == ["Parlor stopped calling AI models: the daily cap is reached"]
    assert OutboxMessage.objects.filter(task="ai.mail_spend_warning").count() == 2


async def test_e5_a_call_that_finds_the_alert_passed_tells_staff_too(fake_provider: FakeProvider) -> None:
    await in_thread(make_user, "boss@example.com", staff=True)
    await in_thread(set_limits, alert="1")
    await in_thread(log_call, ONE_DOLLAR)
    spend.today.forget()
    await receive()
    await receive()
    assert len(mail.outbox) == 1


async def test_passing_the_alert_between_two_calls_is_no_matter_for_the_event_loop(
    fake_provider: FakeProvider,
) -> None:
    await in_thread(set_limits, alert="0.01")
    fake_provider.default = Behaviour(tokens=400)
    for _ in range(4):
        assert (await receive()).outcome.status == "complete"


def test_a_call_nobody_logs_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spend, "_UNLOGGED_SECONDS", 0.0)
    call = uuid4()
    assert spend.today.admit(call, spent=0, worst_case=10, cap=10)
    assert not spend.today.admit(uuid4(), spent=0, worst_case=10, cap=10)
    spend.today.end(call, 10)
    assert spend.today.admit(uuid4(), spent=0, worst_case=10, cap=10)
