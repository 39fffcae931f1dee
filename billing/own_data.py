"""Credits of people: exported whole; the ledger stays when they leave, and names nobody."""

from collections.abc import Iterator
from uuid import UUID

from accounts.privacy import Fate, Part, Section, register
from billing.models import Hold, LedgerTransaction, Wallet

_PLAN = {
    "billing.Wallet": (Fate.KEPT, "the ledger is money; it hangs on an account without a name"),
    "billing.Hold": (Fate.KEPT, "part of the ledger"),
    "billing.LedgerAccount": (Fate.KEPT, "part of the ledger"),
    "billing.LedgerTransaction": (
        Fate.KEPT,
        "part of the ledger; beside amounts it says with which persona",
    ),
    "billing.LedgerEntry": (Fate.KEPT, "part of the ledger"),
}
# Without who of the staff did it and what they noted.
_MOVEMENT = (
    "id",
    "number",
    "created_at",
    "kind",
    "amount",
    "balance_after",
    "reference",
    "description",
    "details",
)
_HOLD = (
    "id",
    "reference",
    "state",
    "daily",
    "bonus",
    "purchased",
    "day",
    "captured",
    "written_off",
    "counts_message",
    "created_at",
    "expires_at",
    "resolved_at",
)


def register_part() -> None:
    register(Part("billing", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    movements = LedgerTransaction.objects.filter(wallet_id=user_id).order_by("number")
    holds = Hold.objects.filter(wallet_id=user_id).order_by("id")
    yield Section("credits/wallet.json", Wallet.objects.filter(pk=user_id).values())
    yield Section("credits/transactions.json", movements.values(*_MOVEMENT).iterator(2000))
    yield Section("credits/holds.json", holds.values(*_HOLD).iterator(2000))


def _erase(user_id: UUID) -> None:
    """Nothing: holds end by themselves, and the account they hang on loses its name."""
