from billing.models.amounts import MAX_AMOUNT, Bucket
from billing.models.catalogue import ActionPrice, Gift, Pack, Plan, Tier
from billing.models.extras import (
    Approval,
    CatalogueChange,
    MoneyLimit,
    Reconciliation,
    Redemption,
    RedemptionCode,
)
from billing.models.ledger import LedgerAccount, LedgerCheck, LedgerEntry, LedgerTransaction
from billing.models.sales import Dispute, Order, Payment, Refund
from billing.models.stores import STRIPE_LIKE, TEST_STORES, Store, StoreCustomer, StoreEvent, StorePrice
from billing.models.subscriptions import Subscription, SubscriptionEvent
from billing.models.usage import UsageExport, UsageMark, UsageSlot
from billing.models.wallets import Hold, Wallet

__all__ = [
    "MAX_AMOUNT",
    "STRIPE_LIKE",
    "TEST_STORES",
    "ActionPrice",
    "Approval",
    "Bucket",
    "CatalogueChange",
    "Dispute",
    "Gift",
    "Hold",
    "LedgerAccount",
    "LedgerCheck",
    "LedgerEntry",
    "LedgerTransaction",
    "MoneyLimit",
    "Order",
    "Pack",
    "Payment",
    "Plan",
    "Reconciliation",
    "Redemption",
    "RedemptionCode",
    "Refund",
    "Store",
    "StoreCustomer",
    "StoreEvent",
    "StorePrice",
    "Subscription",
    "SubscriptionEvent",
    "Tier",
    "UsageExport",
    "UsageMark",
    "UsageSlot",
    "Wallet",
]
