"""The nightly job opens many days at once; each comes out as if its owner had opened it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F

from billing.models import LedgerEntry, LedgerTransaction, Tier, Wallet
from billing.services import adjustments, allowance
from billing.tests.factories import assert_ledger_holds, capture, make_wallet, reserve

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def _untouched(user_id: UUID) -> None:
    """All of the allowance is left."""


def _talked(user_id: UUID) -> None:
    capture(reserve(user_id, 4, now=NOON).hold_id, 3, now=NOON)


def _is_talking(user_id: UUID) -> None:
    reserve(user_id, 4, now=NOON)


def _holds_everything(user_id: UUID) -> None:
    reserve(user_id, 10, now=NOON)


def _spent_everything(user_id: UUID) -> None:
    capture(reserve(user_id, 10, now=NOON).hold_id, 10, now=NOON)


def _has_a_tier(user_id: UUID) -> None:
    adjustments.set_tier(user_id=user_id, tier="vip", reason="Support", now=NOON)


def _had_a_tier(user_id: UUID) -> None:
    until = NOON + timedelta(hours=3)
    adjustments.set_tier(user_id=user_id, tier="vip", reason="Support", until=until, now=NOON)


def _had_a_tier_without_allowance(user_id: UUID) -> None:
    Tier.objects.filter(slug="premium").update(daily_credits=0)
    adjustments.set_tier(user_id=user_id, tier="premium", reason="Support", now=NOON)


CASES = [
    _untouched,
    _talked,
    _is_talking,
    _holds_everything,
    _spent_everything,
    _has_a_tier,
    _had_a_tier,
    _had_a_tier_without_allowance,
]


def seen(user_id: UUID) -> Any:
    """All there is of a wallet but whose it is, and when it and its rows were made."""
    wallet = Wallet.objects.filter(pk=user_id).values().get()
    del wallet["user_id"], wallet["created_at"]
    # By id, which tells the time: the order in which they were written.
    rows = LedgerTransaction.objects.filter(wallet_id=user_id).order_by("id")
    told = ("number", "kind", "amount", "balance_after", "reference", "description", "details", "reason")
    keys = [
        key.replace(str(user_id), "owner")
        for key in rows.values_list("key", flat=True)
        if str(user_id) in key
    ]
    entries = LedgerEntry.objects.filter(transaction__wallet_id=user_id).order_by(
        "transaction__number", "account__name"
    )
    amounts = entries.values_list("transaction__number", "account__name", F("direction") * F("amount"))
    return wallet, list(rows.values(*told)), keys, list(amounts)


@pytest.mark.parametrize(
    ("zone", "hours", "opened"),
    [
        ("UTC", 24, len(CASES)),
        ("UTC", 24 * 5, len(CASES)),
        # Where it is tomorrow already, less than twenty hours after the day before was opened: only the
        # tiers that ended are taken away.
        ("Pacific/Kiritimati", 6, 0),
        ("Pacific/Kiritimati", 20, len(CASES)),
    ],
)
def test_the_job_does_to_many_wallets_what_a_visit_does_to_one(
    settings: Any, zone: str, hours: int, opened: int
) -> None:
    settings.TIME_ZONE = "UTC"
    pairs = [(case, make_wallet(bonus=3, now=NOON), make_wallet(bonus=3, now=NOON)) for case in CASES]
    for case, *owners in pairs:
        for user_id in owners:
            case(user_id)
            # Used on the day, or the job would leave it to its owner.
            reserve(user_id, 0, now=NOON)
    settings.TIME_ZONE, now = zone, NOON + timedelta(hours=hours)
    for _, _, visited in pairs:
        allowance.open_wallet(user_id=visited, now=now)
    result = allowance.refresh_allowances(now=now)
    assert result.opened == opened
    for case, refreshed, visited in pairs:
        assert seen(refreshed) == seen(visited), case.__name__
    assert_ledger_holds(now=now, swept_at=NOON)
