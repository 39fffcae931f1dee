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


def register_part() -> None:
    register(Part("billing", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    movements = LedgerTransaction.objects.filter(wallet_id=user_id).order_by("number")
    holds = Hold.objects.filter(wallet_id=user_id).order_by("id")
    yield Section("credits/wallet.json", Wallet.objects.filter(pk=user_id).values())
    yield Section("credits/transactions.json", movements.values().iterator(2000))
    yield Section("credits/holds.json", holds.values().iterator(2000))


def _erase(user_id: UUID) -> None:
    """Nothing: holds end by themselves, and the account they hang on loses its name."""
