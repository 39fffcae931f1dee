"""B10: one state machine for every store: what a store says and the time it is, and nothing else."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from psycopg import sql

from billing import selectors
from billing.models import CatalogueChange, Plan, Subscription, SubscriptionEvent, Wallet
from billing.models import Store as AnyStore
from billing.services import adjustments, renewals, subscriptions
from billing.stores.base import Standing, SubscriptionFacts
from billing.subscription_states import FOR_LIFE, GIVEN_UP, GRACE, SILENCE, Period, derive
from billing.tests.factories import assert_ledger_holds, make_wallet
from common.testing.database import as_superuser

END = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def state(standing: str, now: datetime, **fields: Any) -> tuple[str, datetime | None, datetime | None]:
    period = Period(fields.pop("period_start", None), fields.pop("period_end", END))
    fields = {"ends_at_period_end": False, "past_due_since": None, **fields}
    position = derive(standing=standing, period=period, now=now, **fields)
    return str(position.state), position.entitled_until, position.due_at


@pytest.mark.parametrize("standing", ["active", "trialing"])
def test_a_running_subscription_lasts_its_period_then_its_grace_then_waits_then_ends(standing: str) -> None:
    assert state(standing, END - SECOND) == (standing, END + GRACE, END)
    assert state(standing, END) == (standing, END + GRACE, END + SILENCE)
    assert state(standing, END + SILENCE) == ("grace", END + GRACE, END + GRACE)
    assert state(standing, END + GRACE - SECOND) == ("grace", END + GRACE, END + GRACE)
    assert state(standing, END + GRACE) == ("on_hold", None, END + GIVEN_UP)
    assert state(standing, END + GIVEN_UP) == ("expired", None, None)
    assert timedelta(days=3) == GRACE


def test_a_cancelled_one_ends_with_its_period_to_the_second() -> None:
    assert state("active", END - SECOND, ends_at_period_end=True) == ("cancelled", END, END)
    assert state("active", END, ends_at_period_end=True) == ("expired", None, None)


def test_a_failed_renewal_has_three_days_from_when_it_was_due() -> None:
    since = END
    later = END + timedelta(days=30)
    fields = {"past_due_since": since, "period_end": later}
    assert state("past_due", since, **fields) == ("grace", since + GRACE, since + GRACE)
    assert state("past_due", since + GRACE - SECOND, **fields)[0] == "grace"
    assert state("past_due", since + GRACE, **fields) == ("on_hold", None, since + GIVEN_UP)


def test_grace_is_never_longer_than_the_period_that_was_paid() -> None:
    day = timedelta(days=1)
    assert state("active", END, period_start=END - day) == ("active", END + day, END + SILENCE)
    assert state("active", END + day, period_start=END - day)[0] == "on_hold"
    assert state("past_due", END, period_start=END - day, past_due_since=END) == (
        "grace",
        END + day,
        END + day,
    )


def test_the_other_standings() -> None:
    assert state("pending", END) == ("pending", None, None)
    assert state("on_hold", END) == ("on_hold", None, None)
    assert state("ended", END - GRACE) == ("expired", None, None)
    assert state("active", END, period_end=None) == ("active", FOR_LIFE, None)


def test_every_combination_gives_its_tier_only_in_states_that_do() -> None:
    moments = [END + timedelta(days=days) for days in (-40, -1, 0, 1, 3, 4, 31, 400)]
    for standing, now, ends, since in product(Standing, moments, (True, False), (None, END)):
        position = derive(
            standing=standing,
            period=Period(None, END),
            ends_at_period_end=ends,
            past_due_since=since,
            now=now,
        )
        gives = position.state in ("trialing", "active", "grace", "cancelled")
        assert gives is (position.entitled_until is not None)
        assert position.entitled_until is None or position.entitled_until > now
        assert position.due_at is None or position.due_at > now


def told(user_id: Any, standing: Standing = Standing.ACTIVE, **fields: Any) -> SubscriptionFacts:
    fields = {"plan": "premium_monthly", "price": 999, "currency": "USD", "period_end": END, **fields}
    return SubscriptionFacts(external_id="sub_1", standing=standing, user_id=user_id, **fields)


@pytest.mark.django_db(transaction=True)
def test_every_change_is_an_event_and_the_tier_follows_at_once() -> None:
    now = END - timedelta(days=20)
    user_id = make_wallet(now=now)
    story = [
        told(user_id, Standing.PENDING),
        told(user_id, Standing.TRIALING),
        told(user_id),
        told(user_id),
        told(user_id, ends_at_period_end=True),
        told(user_id, plan="vip_monthly", price=2999),
        told(user_id, Standing.PAST_DUE, plan="vip_monthly", price=2999, past_due_since=now),
        told(user_id, Standing.ON_HOLD, plan="vip_monthly", price=2999),
        told(user_id, Standing.ENDED, plan="vip_monthly", price=2999),
        told(user_id),
    ]
    tiers = []
    for number, facts in enumerate(story):
        asked_at = now + timedelta(minutes=number)
        subscriptions.apply_facts(store=AnyStore.STRIPE, facts=facts, asked_at=asked_at, now=now)
        tiers.append(Wallet.objects.get(pk=user_id).tier_id)
    assert tiers == ["free", *["premium"] * 4, "vip", "vip", "free", "free", "free"]
    events = SubscriptionEvent.objects.order_by("number")
    assert [(event.from_state, event.to_state) for event in events] == [
        ("", "pending"),
        ("pending", "trialing"),
        ("trialing", "active"),
        ("active", "cancelled"),
        ("cancelled", "active"),
        ("active", "grace"),
        ("grace", "on_hold"),
        ("on_hold", "expired"),
    ]
    assert events[4].changes["plan_id"] == ["premium_monthly", "vip_monthly"]
    assert_ledger_holds(now=now)


@pytest.mark.django_db(transaction=True)
def test_an_older_answer_that_comes_later_changes_nothing() -> None:
    now = END - timedelta(days=20)
    user_id = make_wallet(now=now)
    late = told(user_id, ends_at_period_end=True)
    subscriptions.apply_facts(store=AnyStore.STRIPE, facts=told(user_id), asked_at=now, now=now)
    subscriptions.apply_facts(store=AnyStore.STRIPE, facts=late, asked_at=now - SECOND, now=now)
    assert Subscription.objects.get().state == "active"


@pytest.mark.django_db(transaction=True)
def test_the_right_ends_on_read_whatever_the_job_does() -> None:
    now = END - timedelta(days=20)
    user_id = make_wallet(now=now)
    facts = told(user_id, ends_at_period_end=True)
    subscriptions.apply_facts(store=AnyStore.STRIPE, facts=facts, asked_at=now, now=now)
    adjustments.set_tier(user_id=user_id, tier="vip", until=END - timedelta(days=1), reason="Sorry", now=now)
    assert selectors.get_wallet(user_id, now=now).tier.slug == "vip"
    assert selectors.get_wallet(user_id, now=END - timedelta(hours=2)).tier.slug == "premium"
    assert selectors.get_wallet(user_id, now=END).tier.slug == "free"
    assert renewals.look_at_due(now=END) == 2
    assert set(Subscription.objects.values_list("state", flat=True)) == {"expired"}
    assert_ledger_holds(now=END)


@pytest.mark.django_db(transaction=True)
def test_what_was_sold_and_what_happened_are_never_rewritten() -> None:
    user_id = make_wallet()
    subscriptions.apply_facts(store=AnyStore.STRIPE, facts=told(user_id), asked_at=END, now=END - GRACE)
    with as_superuser() as admin:
        for table in ("billing_subscriptionevent", "billing_cataloguechange", "billing_refund"):
            with pytest.raises(Exception, match="only ever added"):
                admin.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


@pytest.mark.django_db(transaction=True)
def test_b6_the_catalogue_keeps_its_history_and_a_change_never_touches_what_was_sold() -> None:
    now = END - timedelta(days=20)
    user_id = make_wallet(now=now)
    subscriptions.apply_facts(store=AnyStore.STRIPE, facts=told(user_id), asked_at=now, now=now)
    Plan.objects.filter(slug="premium_monthly").update(price=1299, bonus_credits=1)
    Plan.objects.filter(slug="premium_monthly").update(price=1299)
    change = CatalogueChange.objects.get()
    assert (change.table, change.slug) == ("plan", "premium_monthly")
    assert change.before is not None
    assert change.after is not None
    assert (change.before["price"], change.after["price"]) == (999, 1299)
    later = now + SECOND
    subscriptions.apply_facts(store=AnyStore.STRIPE, facts=told(user_id), asked_at=later, now=later)
    row = Subscription.objects.get()
    assert (row.price, row.bonus_credits) == (999, 200_000_000)
