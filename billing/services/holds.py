"""Reserving credits for work of unknown price, and settling it. Each is one statement."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from billing import database, metrics, selectors
from billing.errors import (
    CreditsOwed,
    DailyMessageLimit,
    InsufficientCredits,
    KeyReused,
    OwnDayLimit,
    OwnMessageLimit,
    SpendingPaused,
    UnknownHold,
    UnknownWallet,
    WalletSuspended,
)
from billing.events import publish_wallet_changed
from billing.models import MAX_AMOUNT
from common.errors import Invalid

DEFAULT_TTL = timedelta(minutes=15)
EXPIRY_BATCH = 100


@dataclass(frozen=True, slots=True)
class Reservation:
    """An open hold. `available` is what the wallet can still spend; `is_new` is false for a repeated key."""

    hold_id: UUID
    amount: int
    available: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a hold ended, in microcredits. `applied` is false where it had ended before; then nothing changed
    and the amounts are those of that first end. `state` is the hold's: captured, released or expired."""

    state: str
    charged: int
    written_off: int
    available: int
    applied: bool


def reserve_credits(
    *,
    user_id: UUID,
    amount: int,
    reference: str,
    key: str,
    ttl: timedelta = DEFAULT_TTL,
    counts_message: bool = False,
    now: datetime | None = None,
) -> Reservation:
    """Set `amount` microcredits aside until captured, released or `ttl` is over; opens the day if need be.

    The same `key` gives the user's same hold again. With `counts_message` it also takes one of the day's
    messages, which is not given back. Raises InsufficientCredits and CreditsOwed (402), DailyMessageLimit,
    SpendingPaused, OwnMessageLimit, OwnDayLimit, WalletSuspended, KeyReused, UnknownWallet, Invalid; nothing
    is written then.
    """
    _check_amount(amount)
    outcome, hold_id, available, used, limit = database.call(
        "billing_reserve", user_id, amount, reference, key, ttl, counts_message, now=now
    )
    match outcome:
        case "held" | "replayed":
            return Reservation(hold_id, amount, available, is_new=outcome == "held")
        case "insufficient":
            packs = selectors.list_packs_covering(amount - available)
            raise InsufficientCredits(required=amount, available=available, packs=packs)
        case "message_limit":
            raise DailyMessageLimit(limit=limit, used=used)
        case "owing":
            packs = selectors.list_packs_covering(amount + available)
            raise CreditsOwed(required=amount, owed=available, packs=packs)
        case "paused":
            raise SpendingPaused
        case "message_cap":
            raise OwnMessageLimit(limit=available, required=amount)
        case "day_cap":
            raise OwnDayLimit(limit=available)
        case "suspended":
            raise WalletSuspended
        case "key_reused":
            raise KeyReused
    raise UnknownWallet


def capture_hold(
    *,
    hold_id: UUID,
    amount: int,
    reference: str,
    description: str,
    details: dict[str, Any],
    now: datetime | None = None,
) -> Settlement:
    """Charge `amount` microcredits, at most what is held, and give the rest back.

    What goes beyond the hold, or comes after it expired, is written off. `reference`, `description` and
    `details` (JSON) stand on the receipt. Raises UnknownHold, Invalid.
    """
    _check_amount(amount)
    receipt = json.dumps(details, allow_nan=False)
    row = database.call("billing_capture", hold_id, amount, reference, description, receipt, now=now)
    settlement = _settlement(row)
    if settlement.applied:
        metrics.count_charge(settlement.charged, settlement.written_off)
    return settlement


def release_hold(*, hold_id: UUID, reason: str, now: datetime | None = None) -> Settlement:
    """Give all of a hold back to where it came from; daily credits of a past day lapse.

    Raises UnknownHold.
    """
    return _settlement(database.call("billing_release", hold_id, reason[:200], now=now))


def expire_holds(*, now: datetime | None = None) -> int:
    """Give back what holds past their time still keep; answers how many there were."""
    total = 0
    while True:
        expired = database.call_many("billing_expire_holds", EXPIRY_BATCH, now=now)
        for _hold_id, owner_id, available in expired:
            publish_wallet_changed(owner_id, available)
        total += len(expired)
        if len(expired) < EXPIRY_BATCH:
            return total


def _settlement(row: tuple[Any, ...]) -> Settlement:
    outcome, state, charged, written_off, available, user_id = row
    if outcome == "no_hold":
        raise UnknownHold
    applied = outcome != "resolved"
    if applied:
        publish_wallet_changed(user_id, available)
    return Settlement(state, charged, written_off, available, applied)


def _check_amount(amount: int) -> None:
    if type(amount) is not int or not 0 <= amount <= MAX_AMOUNT:
        raise Invalid.field("amount", "invalid", _("Amounts are whole microcredits, never negative."))
