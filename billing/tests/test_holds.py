from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from billing import selectors
from billing.errors import (
    DailyMessageLimit,
    InsufficientCredits,
    KeyReused,
    UnknownHold,
    UnknownWallet,
    WalletSuspended,
)
from billing.models import Hold, LedgerTransaction, Tier
from billing.services import adjustments, holds
from billing.tests.factories import assert_ledger_holds, buckets, capture, make_wallet, reserve
from common.credits import MICRO
from common.errors import Invalid

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(db: None) -> Iterator[None]:
    yield
    assert_ledger_holds(now=datetime(2026, 1, 1, tzinfo=UTC))


def kinds(user_id: object) -> list[tuple[str, int]]:
    rows = LedgerTransaction.objects.filter(wallet_id=user_id).order_by("number")
    return [(row.kind, row.amount // MICRO) for row in rows]


def test_reserving_opens_the_day_and_sets_credits_aside() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 3)
    assert hold.available == 7 * MICRO
    assert hold.is_new
    assert buckets(user_id) == {"daily": (10, 3), "bonus": (0, 0), "purchased": (0, 0)}


def test_capture_charges_what_was_used_and_returns_the_rest() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 5)
    settled = capture(hold.hold_id, 2)
    assert settled == holds.Settlement("captured", 2 * MICRO, 0, 8 * MICRO, applied=True)
    assert buckets(user_id)["daily"] == (8, 0)
    assert kinds(user_id) == [("allowance", 10), ("charge", -2)]


def test_buckets_are_spent_daily_then_bonus_then_purchased() -> None:
    user_id = make_wallet(bonus=5, purchased=7)
    hold = reserve(user_id, 18)
    assert buckets(user_id) == {"daily": (10, 10), "bonus": (5, 5), "purchased": (7, 3)}
    capture(hold.hold_id, 12)
    assert buckets(user_id) == {"daily": (0, 0), "bonus": (3, 0), "purchased": (7, 0)}


def test_a_release_returns_to_the_same_buckets() -> None:
    user_id = make_wallet(bonus=5, purchased=7)
    before = buckets(user_id)
    hold = reserve(user_id, 18)
    settled = holds.release_hold(hold_id=hold.hold_id, reason="failed")
    assert settled == holds.Settlement("released", 0, 0, 22 * MICRO, applied=True)
    assert buckets(user_id) == before
    assert kinds(user_id) == [("allowance", 10), ("grant", 5), ("grant", 7)]


def test_one_microcredit_too_much_is_refused_with_packs_that_cover_it() -> None:
    user_id = make_wallet(bonus=5)
    with pytest.raises(InsufficientCredits) as refused:
        holds.reserve_credits(user_id=user_id, amount=15 * MICRO + 1, reference="r", key="k")
    assert refused.value.status == 402
    assert refused.value.extra["required"] == "15.000001"
    assert refused.value.extra["available"] == "15"
    assert [pack["slug"] for pack in refused.value.extra["packs"]] == [
        "credits_10",
        "credits_50",
        "credits_100",
        "credits_500",
        "credits_1000",
    ]
    assert not Hold.objects.exists()
    assert reserve(user_id, 15).available == 0


def test_packs_offered_are_those_that_suffice_or_else_the_largest() -> None:
    user_id = make_wallet()
    with pytest.raises(InsufficientCredits) as refused:
        reserve(user_id, 10 + 551)
    assert refused.value.extra["packs"] == [
        {
            "slug": "credits_1000",
            "name": "1,200 credits",
            "credits": "1200",
            "price": "69.99",
            "currency": "USD",
        }
    ]
    with pytest.raises(InsufficientCredits) as refused:
        reserve(user_id, 10 + 550)
    assert [pack["slug"] for pack in refused.value.extra["packs"]] == ["credits_500", "credits_1000"]
    with pytest.raises(InsufficientCredits) as refused:
        reserve(user_id, 5000)
    assert [pack["slug"] for pack in refused.value.extra["packs"]] == ["credits_1000"]


def test_held_credits_cannot_be_held_again() -> None:
    user_id = make_wallet()
    reserve(user_id, 6)
    with pytest.raises(InsufficientCredits) as refused:
        reserve(user_id, 5)
    assert refused.value.available == 4 * MICRO


def test_m11_usage_above_the_hold_is_charged_up_to_it_and_the_rest_written_off() -> None:
    user_id = make_wallet(bonus=5)
    hold = reserve(user_id, 3)
    settled = capture(hold.hold_id, 8)
    assert (settled.charged, settled.written_off) == (3 * MICRO, 5 * MICRO)
    assert buckets(user_id) == {"daily": (7, 0), "bonus": (5, 0), "purchased": (0, 0)}
    charge = LedgerTransaction.objects.get(kind="charge")
    entries = {entry.account.name: entry.direction * entry.amount for entry in charge.entries.all()}
    assert entries == {"daily": -3 * MICRO, "revenue": 8 * MICRO, "write_off": -5 * MICRO}


def test_capturing_nothing_returns_everything_without_a_transaction() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 4)
    assert capture(hold.hold_id, 0).charged == 0
    assert Hold.objects.get().state == "captured"
    assert kinds(user_id) == [("allowance", 10)]


def test_i22_every_second_end_changes_nothing_and_answers_the_same() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 5)
    first = capture(hold.hold_id, 2)
    again = capture(hold.hold_id, 4)
    released = holds.release_hold(hold_id=hold.hold_id, reason="late")
    assert (again.state, again.charged, again.applied) == ("captured", first.charged, False)
    assert (released.state, released.charged, released.applied) == ("captured", first.charged, False)
    assert buckets(user_id)["daily"] == (8, 0)


def test_capture_after_release_charges_nothing() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 5)
    holds.release_hold(hold_id=hold.hold_id, reason="failed")
    settled = capture(hold.hold_id, 5)
    assert (settled.state, settled.charged, settled.written_off, settled.applied) == ("released", 0, 0, False)


def test_m18_the_same_key_is_the_same_hold() -> None:
    user_id = make_wallet()
    first = reserve(user_id, 3, key="reply-1", counts_message=True)
    again = reserve(user_id, 3, key="reply-1", counts_message=True)
    assert again.hold_id == first.hold_id
    assert not again.is_new
    assert again.available == first.available
    assert Hold.objects.count() == 1
    assert selectors.get_wallet(user_id).messages_used == 1


def test_m4_the_same_key_with_another_amount_is_refused() -> None:
    user_id = make_wallet()
    reserve(user_id, 3, key="reply-1")
    with pytest.raises(KeyReused) as refused:
        reserve(user_id, 4, key="reply-1")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")
    assert buckets(user_id)["daily"] == (10, 3)


def test_a_key_belongs_to_one_wallet() -> None:
    assert reserve(make_wallet(), 3, key="k").hold_id != reserve(make_wallet(), 4, key="k").hold_id


def test_expired_holds_are_given_back_once() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 4, ttl=timedelta(minutes=15))
    later = datetime.now(UTC) + timedelta(minutes=14)
    assert holds.expire_holds(now=later) == 0
    later += timedelta(minutes=2)
    assert holds.expire_holds(now=later) == 1
    assert holds.expire_holds(now=later) == 0
    assert Hold.objects.get(id=hold.hold_id).state == "expired"
    assert buckets(user_id)["daily"] == (10, 0)


def test_m10_a_late_capture_of_an_expired_hold_is_the_platforms_loss_once() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 4, ttl=timedelta(0))
    holds.expire_holds()
    late = capture(hold.hold_id, 3)
    assert (late.state, late.charged, late.written_off, late.applied) == ("expired", 0, 3 * MICRO, True)
    again = capture(hold.hold_id, 2)
    assert (again.written_off, again.applied) == (3 * MICRO, False)
    assert buckets(user_id)["daily"] == (10, 0)
    assert kinds(user_id) == [("allowance", 10), ("write_off", 0)]


def test_daily_credits_of_a_past_day_lapse_when_their_hold_is_released() -> None:
    user_id = make_wallet(bonus=5, now=NOON)
    hold = reserve(user_id, 12, now=NOON)
    tomorrow = NOON + timedelta(days=1)
    settled = holds.release_hold(hold_id=hold.hold_id, reason="failed", now=tomorrow)
    assert settled.available == 15 * MICRO
    assert buckets(user_id) == {"daily": (10, 0), "bonus": (5, 0), "purchased": (0, 0)}
    assert kinds(user_id) == [("allowance", 10), ("grant", 5), ("allowance", 10), ("lapse", -10)]


def test_a_charge_over_midnight_takes_yesterdays_credits_and_lapses_the_rest() -> None:
    user_id = make_wallet(bonus=5, now=NOON)
    hold = reserve(user_id, 8, now=NOON)
    settled = capture(hold.hold_id, 3, now=NOON + timedelta(days=1))
    assert (settled.charged, settled.available) == (3 * MICRO, 15 * MICRO)
    assert kinds(user_id) == [
        ("allowance", 10),
        ("grant", 5),
        ("lapse", -2),
        ("allowance", 10),
        ("charge", -3),
        ("lapse", -5),
    ]


def test_messages_a_day_are_counted_with_the_hold_and_never_given_back() -> None:
    user_id = make_wallet(bonus=100)
    for number in range(10):
        hold = reserve(user_id, 1, key=f"message-{number}", counts_message=True)
        holds.release_hold(hold_id=hold.hold_id, reason="failed")
    with pytest.raises(DailyMessageLimit) as refused:
        reserve(user_id, 1, counts_message=True)
    assert (refused.value.status, refused.value.code) == (403, "limit_reached")
    assert refused.value.extra == {"limit": 10, "used": 10}
    assert Hold.objects.count() == 10
    assert reserve(user_id, 1).is_new


def test_a_new_day_brings_new_messages() -> None:
    user_id = make_wallet(now=NOON)
    Tier.objects.filter(slug="free").update(messages_per_day=1)
    reserve(user_id, 1, counts_message=True, now=NOON)
    with pytest.raises(DailyMessageLimit):
        reserve(user_id, 1, counts_message=True, now=NOON)
    assert reserve(user_id, 1, counts_message=True, now=NOON + timedelta(days=1)).is_new


def test_paid_tiers_have_no_limit_of_messages() -> None:
    user_id = make_wallet(tier="premium")
    for _ in range(12):
        reserve(user_id, 1, counts_message=True)
    assert selectors.get_wallet(user_id).messages_used == 12


def test_a_suspended_wallet_refuses_new_holds_and_ends_old_ones() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 2)
    adjustments.suspend_wallet(user_id=user_id, reason="Dispute", actor_id=None)
    with pytest.raises(WalletSuspended) as refused:
        reserve(user_id, 1)
    assert (refused.value.status, refused.value.code) == (403, "permission_denied")
    assert capture(hold.hold_id, 1).charged == MICRO
    adjustments.resume_wallet(user_id=user_id, reason="Settled", actor_id=None)
    assert reserve(user_id, 1).is_new


@pytest.mark.parametrize("amount", [-1, 1.5, True, 10**15 + 1, 2**63, "1", None])
def test_m40_amounts_that_are_not_whole_microcredits_are_refused(amount: object) -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 1)
    with pytest.raises(Invalid):
        holds.reserve_credits(user_id=user_id, amount=amount, reference="r", key="k")  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        holds.capture_hold(
            hold_id=hold.hold_id,
            amount=amount,  # type: ignore[arg-type]
            reference="r",
            description="",
            details={},
        )
    assert buckets(user_id)["daily"] == (10, 1)


def test_a_hold_over_nothing_still_counts_the_message() -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 0, counts_message=True)
    assert capture(hold.hold_id, 0).charged == 0
    assert selectors.get_wallet(user_id).messages_used == 1


def test_strangers_have_no_wallet_and_unknown_holds_do_not_settle() -> None:
    with pytest.raises(UnknownWallet):
        reserve(uuid4(), 1)
    with pytest.raises(UnknownHold):
        capture(uuid4(), 1)
    with pytest.raises(UnknownHold):
        holds.release_hold(hold_id=uuid4(), reason="")


def test_the_receipt_says_what_was_held_paid_and_from_where() -> None:
    user_id = make_wallet(bonus=5)
    hold = reserve(user_id, 13)
    holds.capture_hold(
        hold_id=hold.hold_id,
        amount=12 * MICRO,
        reference="generation-1",
        description="Talk with Ada",
        details={"model": "echo", "input_tokens": 7},
    )
    receipt = selectors.get_receipt(hold.hold_id)
    assert receipt == selectors.Receipt(
        state="captured",
        held=13 * MICRO,
        charged=12 * MICRO,
        written_off=0,
        buckets={"daily": 10 * MICRO, "bonus": 2 * MICRO},
        description="Talk with Ada",
        details={"model": "echo", "input_tokens": 7},
    )
