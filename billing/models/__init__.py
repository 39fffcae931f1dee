from billing.models.amounts import MAX_AMOUNT, Bucket
from billing.models.catalogue import ActionPrice, Gift, Pack, Plan, Tier
from billing.models.ledger import LedgerAccount, LedgerCheck, LedgerEntry, LedgerTransaction
from billing.models.wallets import Hold, Wallet

__all__ = [
    "MAX_AMOUNT",
    "ActionPrice",
    "Bucket",
    "Gift",
    "Hold",
    "LedgerAccount",
    "LedgerCheck",
    "LedgerEntry",
    "LedgerTransaction",
    "Pack",
    "Plan",
    "Tier",
    "Wallet",
]
