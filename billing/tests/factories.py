from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_user
from billing import invariants
from billing.models import Bucket, Payment, Store, Wallet
from billing.services import adjustments, allowance, grants, holds, payments
from billing.stores.base import PaymentFacts, PaymentStanding
from common.credits import MICRO
from common.testing.database import as_superuser

T = TypeVar("T")


def make_wallet(
    *,
    user: User | None = None,
    bonus: int = 0,
    purchased: int = 0,
    tier: str | None = None,
    now: datetime | None = None,
) -> UUID:
    """The owner's id of an opened wallet; amounts in whole credits beside the free tier's 10 daily ones."""
    user_id = (user or make_user()).pk
    allowance.open_wallet(user_id=user_id, now=now)
    for bucket, amount in ((Bucket.BONUS, bonus), (Bucket.PURCHASED, purchased)):
        if amount:
            grants.grant_credits(
                user_id=user_id, amount=amount * MICRO, key=f"test:{uuid4()}", bucket=bucket, now=now
            )
    if tier:
        adjustments.set_tier(user_id=user_id, tier=tier, reason="test", now=now)
    return user_id


def reserve(user_id: UUID, amount: int, **fields: Any) -> holds.Reservation:
    """A hold over whole credits."""
    fields.setdefault("key", str(uuid4()))
    return holds.reserve_credits(user_id=user_id, amount=amount * MICRO, reference="test", **fields)


def make_payment(user_id: UUID, *, pack: str = "credits_100", **fields: Any) -> Payment:
    """A pack that was paid for, as its store would tell."""
    now = timezone.now()
    allowance.open_wallet(user_id=user_id)
    facts = PaymentFacts(
        external_id=f"pi_{uuid4().hex}",
        standing=PaymentStanding.PAID,
        user_id=user_id,
        pack=pack,
        **{"amount": 899, "earned": 899, "currency": "USD", "paid_at": now, **fields},
    )
    payment = payments.apply_facts(store=Store.STRIPE, facts=facts, asked_at=now)
    assert payment is not None
    return payment


def capture(hold_id: UUID, amount: int, **fields: Any) -> holds.Settlement:
    return holds.capture_hold(
        hold_id=hold_id, amount=amount * MICRO, reference="test", description="Talk", details={}, **fields
    )


def buckets(user_id: UUID) -> dict[str, tuple[int, int]]:
    """Balance and held part of each bucket, in whole credits."""
    wallet = Wallet.objects.get(pk=user_id)
    amounts = {
        "daily": (wallet.daily_balance, wallet.daily_held),
        "bonus": (wallet.bonus_balance, wallet.bonus_held),
        "purchased": (wallet.purchased_balance, wallet.purchased_held),
    }
    return {name: (balance // MICRO, held // MICRO) for name, (balance, held) in amounts.items()}


def in_parallel(*calls: Callable[[], T]) -> list[T | Exception]:
    """Run the calls at the same moment, each on a thread and a connection of its own."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Exception:
        try:
            connection.ensure_connection()
            barrier.wait()
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def tell_planner() -> None:
    """Tables that were empty a moment ago have rows now; the planner would hear of it in a minute."""
    with as_superuser() as admin:
        admin.execute(
            "ANALYZE billing_wallet, billing_hold, billing_ledgeraccount, billing_ledgertransaction,"
            " billing_ledgerentry"
        )


def assert_ledger_holds(**fields: Any) -> None:
    """Every invariant, over everything."""
    tell_planner()
    assert invariants.find_violations(**fields) == []
