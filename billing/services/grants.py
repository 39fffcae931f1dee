"""Putting credits into wallets: gifts, support, bonuses. Each happens once per business object."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from billing import database, selectors
from billing.errors import InsufficientCredits, KeyReused, UnknownWallet
from billing.events import publish_wallet_changed
from billing.models import MAX_AMOUNT, Bucket, Gift, LedgerAccount, LedgerTransaction
from common.errors import Invalid

Kind = LedgerTransaction.Kind
System = LedgerAccount.System


@dataclass(frozen=True, slots=True)
class Posting:
    """A ledger transaction. `applied` is false where the key had been used for the same thing before."""

    transaction_id: UUID
    available: int
    applied: bool


def grant_credits(
    *,
    user_id: UUID,
    amount: int,
    key: str,
    bucket: Bucket = Bucket.BONUS,
    kind: Kind = Kind.GRANT,
    account: System = System.GRANTS,
    reference: str = "",
    description: str = "",
    actor_id: UUID | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> Posting:
    """Add `amount` microcredits (take them, if negative) once for `key`, which names the business object.

    Raises InsufficientCredits when there is less in the bucket to take, KeyReused, UnknownWallet, Invalid.
    """
    _check_amount(amount)
    outcome, transaction_id, available = database.call(
        "billing_grant",
        user_id,
        str(bucket),
        amount,
        str(kind),
        str(account),
        key,
        reference,
        description,
        actor_id,
        reason,
        now=now,
    )
    match outcome:
        case "posted":
            publish_wallet_changed(user_id, available)
            return Posting(transaction_id, available, applied=True)
        case "replayed":
            return Posting(transaction_id, available, applied=False)
        case "key_reused":
            raise KeyReused
        case "insufficient":
            raise InsufficientCredits(required=-amount, available=available, packs=[])
    raise UnknownWallet


def grant_sign_up_bonus(*, user_id: UUID, now: datetime | None = None) -> Posting | None:
    """The welcome gift, once in a user's life; None while it is set to nothing."""
    amount = selectors.get_gift(Gift.SIGN_UP)
    if not amount:
        return None
    try:
        return grant_credits(
            user_id=user_id,
            amount=amount,
            key=f"signup-bonus:{user_id}",
            kind=Kind.SIGN_UP_BONUS,
            reference="sign-up",
            now=now,
        )
    except KeyReused:
        # It was given before, when the gift was another.
        return None


def _check_amount(amount: int) -> None:
    if type(amount) is not int or amount == 0 or abs(amount) > MAX_AMOUNT:
        raise Invalid.field(
            "amount", "invalid", _("Give an amount other than zero, up to a billion credits.")
        )
