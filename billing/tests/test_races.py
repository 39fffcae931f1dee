"""Real threads, each with a connection of its own, on the same wallets at the same moment."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction

from billing import database
from billing.errors import DailyMessageLimit, InsufficientCredits
from billing.models import Hold, LedgerTransaction, Tier
from billing.services import adjustments, grants, holds
from billing.tests.factories import (
    assert_ledger_holds,
    buckets,
    capture,
    in_parallel,
    make_wallet,
    reserve,
)
from common.credits import MICRO

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def test_m1_fifty_holds_where_the_balance_covers_one() -> None:
    user_id = make_wallet()
    results = in_parallel(*[lambda: reserve(user_id, 10) for _ in range(50)])
    assert sum(isinstance(result, holds.Reservation) for result in results) == 1
    assert sum(isinstance(result, InsufficientCredits) for result in results) == 49
    assert buckets(user_id)["daily"] == (10, 10)


def test_fifty_holds_take_exactly_the_ten_messages_of_the_day() -> None:
    user_id = make_wallet(purchased=1000)
    results = in_parallel(*[lambda: reserve(user_id, 1, counts_message=True) for _ in range(50)])
    assert sum(isinstance(result, holds.Reservation) for result in results) == 10
    assert sum(isinstance(result, DailyMessageLimit) for result in results) == 40


def test_m3_twenty_holds_with_one_key_are_one_hold() -> None:
    user_id = make_wallet()
    results = in_parallel(*[lambda: reserve(user_id, 2, key="same", counts_message=True) for _ in range(20)])
    assert len({result.hold_id for result in results}) == 1
    assert sum(result.is_new for result in results) == 1
    assert buckets(user_id)["daily"] == (10, 2)


def test_m5_one_key_with_two_amounts_has_one_effect() -> None:
    user_id = make_wallet()
    in_parallel(*[lambda amount=amount: reserve(user_id, amount, key="same") for amount in (2, 3) * 5])
    assert Hold.objects.count() == 1
    assert buckets(user_id)["daily"][1] in (2, 3)


def test_m9_capture_and_release_raced_a_thousand_times() -> None:
    user_id = make_wallet(purchased=1000)
    open_holds = [reserve(user_id, 1).hold_id for _ in range(1000)]
    start = Barrier(2)

    def race(end: Callable[[UUID], holds.Settlement], head_start: random.Random) -> list[holds.Settlement]:
        ends = []
        for hold_id in open_holds:
            start.wait()
            # Whoever sleeps a little usually loses, so that both win their share.
            if head_start.random() < 0.5:
                time.sleep(0.0005)
            ends.append(end(hold_id))
        return ends

    captures, releases = in_parallel(
        lambda: race(lambda hold_id: capture(hold_id, 1), random.Random(1)),
        lambda: race(lambda hold_id: holds.release_hold(hold_id=hold_id, reason="race"), random.Random(2)),
    )
    won = {"captured": 0, "released": 0}
    for captured, released in zip(captures, releases, strict=True):
        assert captured.applied is not released.applied
        assert captured.state == released.state == ("captured" if captured.applied else "released")
        won[captured.state] += 1
    assert min(won.values()) > 0, won
    assert won["captured"] + won["released"] == 1000
    assert sum(balance for balance, _held in buckets(user_id).values()) == 1010 - won["captured"]
    assert LedgerTransaction.objects.filter(kind="charge").count() == won["captured"]


def test_m10_capture_raced_with_the_sweeper() -> None:
    user_id = make_wallet(purchased=300)
    charged = 0
    for _ in range(60):
        hold = reserve(user_id, 1, ttl=timedelta(0))
        settled, _swept = in_parallel(lambda hold=hold: capture(hold.hold_id, 1), holds.expire_holds)
        assert settled.applied
        assert (settled.charged, settled.written_off) in ((MICRO, 0), (0, MICRO))
        charged += settled.charged // MICRO
    holds.expire_holds()
    assert sum(balance for balance, _held in buckets(user_id).values()) == 310 - charged
    assert not Hold.objects.filter(state="held").exists()


def test_two_sweepers_share_the_work() -> None:
    owners = [make_wallet() for _ in range(20)]
    for user_id in owners:
        for _ in range(5):
            reserve(user_id, 1, ttl=timedelta(0))
    counts = in_parallel(*[holds.expire_holds] * 4)
    # A wallet another sweeper works on is left to the next round.
    assert sum(counts) + holds.expire_holds() == 100
    assert all(buckets(user_id)["daily"] == (10, 0) for user_id in owners)


def test_the_sweeper_never_waits_for_a_wallet_somebody_holds() -> None:
    busy, idle = make_wallet(), make_wallet()
    for user_id in (busy, idle):
        reserve(user_id, 1, ttl=timedelta(0))

    def sweep() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1s'")
        return holds.expire_holds()

    with transaction.atomic():
        reserve(busy, 1)
        assert in_parallel(sweep) == [1]
    assert buckets(idle)["daily"] == (10, 0)
    assert holds.expire_holds() == 1
    assert buckets(busy)["daily"] == (10, 1)


def test_m35_two_wallets_touched_in_opposite_orders_show_no_deadlock() -> None:
    one, other = make_wallet(bonus=500), make_wallet(bonus=500)

    def move(source: object, target: object) -> None:
        hold = reserve(source, 1)
        capture(hold.hold_id, 1)
        grants.grant_credits(user_id=target, amount=MICRO, key=f"race:{uuid4()}")

    pairs = [(one, other), (other, one)] * 50
    results = in_parallel(*[lambda pair=pair: move(*pair) for pair in pairs])
    assert results == [None] * 100
    totals = [sum(balance for balance, _held in buckets(user_id).values()) for user_id in (one, other)]
    assert totals == [510, 510]


def test_m35_transactions_over_two_wallets_in_opposite_orders_are_retried_past_their_deadlock() -> None:
    one, other = make_wallet(), make_wallet()

    def give_both(first: UUID, second: UUID, met: Barrier) -> None:
        key = uuid4()
        tries = count()

        def work() -> None:
            with transaction.atomic():
                grants.grant_credits(user_id=first, amount=MICRO, key=f"{key}:1")
                if next(tries) == 0:
                    met.wait()
                grants.grant_credits(user_id=second, amount=MICRO, key=f"{key}:2")

        database.retrying(work)

    met = Barrier(2)
    assert in_parallel(lambda: give_both(one, other, met), lambda: give_both(other, one, met)) == [None] * 2
    assert buckets(one)["bonus"] == buckets(other)["bonus"] == (2, 0)


def test_an_adjustment_sent_twice_at_once_adjusts_once() -> None:
    user_id = make_wallet()

    def adjust() -> bool:
        return adjustments.adjust_credits(
            user_id=user_id, amount=5 * MICRO, reason="Goodwill", actor_id=None, token="form-1"
        ).applied

    assert sorted(in_parallel(*[adjust] * 10)) == [False] * 9 + [True]
    assert buckets(user_id)["bonus"] == (5, 0)


def test_holds_at_midnight_take_the_new_days_credits_and_no_more() -> None:
    before = datetime(2026, 5, 4, 23, 59, tzinfo=UTC)
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    user_id = make_wallet(now=before)
    Tier.objects.filter(slug="free").update(messages_per_day=None)
    old = reserve(user_id, 6, now=before)
    results = in_parallel(
        *[lambda: reserve(user_id, 2, now=midnight, ttl=timedelta(days=900)) for _ in range(20)],
        lambda: capture(old.hold_id, 1, now=midnight),
    )
    assert sum(isinstance(result, holds.Reservation) for result in results) == 5
    assert buckets(user_id)["daily"] == (10, 10)
