from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from accounts.errors import ReasonRequired
from billing.errors import InsufficientCredits, KeyReused, UnknownWallet
from billing.models import Bucket, LedgerTransaction
from billing.services import adjustments, grants
from billing.tests.factories import assert_ledger_holds, buckets, make_wallet, reserve
from common.credits import MICRO
from common.errors import Invalid

pytestmark = pytest.mark.django_db


def grant(user_id: object, amount: object = 5 * MICRO, **fields: object) -> grants.Posting:
    return grants.grant_credits(user_id=user_id, amount=amount, **({"key": "invoice-1"} | fields))  # type: ignore[arg-type]


def test_i11_one_business_object_is_one_grant() -> None:
    user_id = make_wallet()
    first, again = grant(user_id), grant(user_id)
    assert (first.applied, again.applied) == (True, False)
    assert first.transaction_id == again.transaction_id
    assert again.available == 15 * MICRO
    assert buckets(user_id)["bonus"] == (5, 0)


def test_m4_a_key_used_for_something_else_is_refused() -> None:
    user_id, other = make_wallet(), make_wallet()
    grant(user_id)
    for wallet, amount in ((user_id, 6 * MICRO), (other, 5 * MICRO)):
        with pytest.raises(KeyReused):
            grant(wallet, amount)
    assert buckets(user_id)["bonus"] == (5, 0)
    assert buckets(other)["bonus"] == (0, 0)
    assert_ledger_holds()


@pytest.mark.parametrize("bucket", [Bucket.BONUS, Bucket.PURCHASED])
def test_only_what_is_neither_spent_nor_held_can_be_taken(bucket: Bucket) -> None:
    user_id = make_wallet(**{bucket.value: 5})
    reserve(user_id, 12)
    with pytest.raises(InsufficientCredits):
        grant(user_id, -3 * MICRO - 1, bucket=bucket)
    assert grant(user_id, -3 * MICRO, bucket=bucket).applied
    assert buckets(user_id)[bucket] == (2, 2)
    assert_ledger_holds()


def test_daily_credits_are_only_given_by_their_day() -> None:
    user_id = make_wallet()
    with pytest.raises(IntegrityError), transaction.atomic():
        grant(user_id, bucket=Bucket.DAILY)


@pytest.mark.parametrize("amount", [0, 1.5, True, 10**15 + 1, -(10**15) - 1, 2**63, "1", None])
def test_m40_amounts_that_are_not_whole_microcredits_are_refused(amount: object) -> None:
    user_id = make_wallet()
    with pytest.raises(Invalid):
        grant(user_id, amount)
    assert LedgerTransaction.objects.count() == 1


def test_strangers_get_nothing() -> None:
    with pytest.raises(UnknownWallet):
        grant(uuid4())
    with pytest.raises(UnknownWallet):
        adjustments.set_tier(user_id=uuid4(), tier="vip", reason="Support")
    with pytest.raises(Invalid):
        adjustments.set_tier(user_id=make_wallet(), tier="platinum", reason="Support")


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_b2_staff_say_why(reason: str) -> None:
    user_id = make_wallet()
    with pytest.raises(ReasonRequired):
        adjustments.adjust_credits(user_id=user_id, amount=1, reason=reason, actor_id=None, token="t")
    with pytest.raises(ReasonRequired):
        adjustments.set_tier(user_id=user_id, tier="vip", reason=reason)
    with pytest.raises(ReasonRequired):
        adjustments.suspend_wallet(user_id=user_id, reason=reason, actor_id=None)
    assert LedgerTransaction.objects.count() == 1
