"""What one member of staff may do with money alone, and what a second one has to approve."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import connection as db
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from accounts.services import audit
from billing.models import Approval, LedgerAccount, LedgerEntry, LedgerTransaction, MoneyLimit
from billing.stores.currencies import decimals
from common.db import transaction_required
from common.errors import PermissionDenied

# Parts of one large thing count together.
_SUMMED_OVER = timedelta(days=1)
# A tier given for longer than this needs a second person.
LONGEST_COMP = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wish: `approval` waits for a second person, else it is done."""

    approval: Approval | None = None
    # False where the same form had been sent before.
    applied: bool = True
    # What the wallet can spend now, in microcredits, where that is known.
    available: int | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants what and why; `key` makes it happen once."""

    key: str
    reason: str
    actor_id: UUID


def check_not_for_oneself(actor_id: UUID | None, user_id: UUID) -> None:
    """Raises PermissionDenied."""
    if actor_id == user_id:
        raise PermissionDenied(_("This is your own account; somebody else has to do it."))


def ask(action: Approval.Action, user_id: UUID, arguments: dict[str, Any], wish: Wish) -> Outcome:
    """Let the wish wait for a second person, once for its key. Call it in a transaction."""
    approval, is_new = Approval.objects.get_or_create(
        key=wish.key,
        defaults={
            "action": action,
            "user_id": user_id,
            "arguments": arguments,
            "reason": wish.reason,
            "asked_by_id": wish.actor_id,
        },
    )
    if is_new:
        audit.record_staff_action(
            actor_id=wish.actor_id,
            action="ask_approval",
            target=approval,
            reason=wish.reason,
            details={"what": str(action), "user": str(user_id), **arguments},
        )
    return Outcome(approval=approval, applied=is_new)


def needs_approval(wish: Wish, user_id: UUID, credits: int, now: datetime) -> bool:
    """Whether `credits` more, given or taken, are too many for one person in a wallet and a day.

    Whoever asks holds a lock until the end of their transaction, in which they post: of two forms sent at
    once the second sees what the first one did.
    """
    transaction_required()
    _take_turns(wish.actor_id, user_id)
    if LedgerTransaction.objects.filter(key=wish.key).exists():
        # A form sent twice must not count itself.
        return False
    return _moved(wish.actor_id, user_id, now - _SUMMED_OVER) + abs(credits) > limits().adjustment_credits


def is_large_refund(amount: int, currency: str) -> bool:
    """The limit is in hundredths of whichever currency it is; `amount` in its smallest unit."""
    return amount * 100 > limits().refund_amount * 10 ** decimals(currency)


def is_long_gift(until: datetime | None, now: datetime) -> bool:
    return until is None or until > now + LONGEST_COMP


def is_large_code(credits: int, uses: int) -> bool:
    """Whether a code gives more in all than one person may give."""
    return credits * uses > limits().adjustment_credits


def limits() -> MoneyLimit:
    return MoneyLimit.objects.get_or_create(id=1)[0]


def _take_turns(actor_id: UUID, user_id: UUID) -> None:
    digest = sha256(f"staff:{actor_id}:{user_id}".encode()).digest()
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)])


def _moved(actor_id: UUID, user_id: UUID, since: datetime) -> int:
    """Microcredits somebody gave, took or waived in a wallet: what came from or went to adjustments."""
    done = LedgerTransaction.objects.filter(wallet_id=user_id, actor_id=actor_id, created_at__gte=since)
    entries = LedgerEntry.objects.filter(
        transaction__in=done, account__name=LedgerAccount.System.ADJUSTMENTS, account__wallet=None
    )
    return int(entries.aggregate(total=Sum("amount"))["total"] or 0)
