"""Credits of people: exported whole; the ledger stays when they leave, and names nobody."""

from collections.abc import Iterator
from uuid import UUID

from accounts.privacy import Fate, Part, Section, register
from billing.models import (
    Hold,
    LedgerTransaction,
    Order,
    Payment,
    Redemption,
    Refund,
    Subscription,
    SubscriptionEvent,
    UsageExport,
    UsageSlot,
    Wallet,
)
from billing.services import leaving, usage

_PLAN = {
    "billing.Wallet": (Fate.KEPT, "the ledger is money; it hangs on an account without a name"),
    "billing.Hold": (Fate.KEPT, "part of the ledger"),
    "billing.LedgerAccount": (Fate.KEPT, "part of the ledger"),
    "billing.LedgerTransaction": (
        Fate.KEPT,
        "part of the ledger; beside amounts it says with which persona",
    ),
    "billing.LedgerEntry": (Fate.KEPT, "part of the ledger"),
    "billing.StoreCustomer": (Fate.DELETED, "the store is told to forget the customer too"),
    "billing.Order": (
        Fate.KEPT,
        "what was sold must be kept for taxes; it hangs on an account without a name",
    ),
    "billing.Payment": (Fate.KEPT, "as orders"),
    "billing.Refund": (Fate.KEPT, "as orders"),
    "billing.Dispute": (Fate.KEPT, "as orders"),
    "billing.Subscription": (Fate.KEPT, "as orders; ended at its store"),
    "billing.SubscriptionEvent": (Fate.KEPT, "as orders"),
    "billing.Redemption": (Fate.KEPT, "part of the ledger"),
    "billing.Approval": (Fate.KEPT, "what staff did with money; it says ids and amounts"),
    "billing.UsageSlot": (Fate.DELETED, ""),
    "billing.UsageMark": (Fate.KEPT, "one number, which says that nothing is added up again"),
    "billing.UsageExport": (Fate.DELETED, "with its file"),
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
_USAGE = (
    "starts_at",
    "persona_id",
    "label",
    "model",
    "charges",
    "replies",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "credits",
)
_USAGE_EXPORT = ("id", "created_at", "format", "state", "first_day", "last_day", "rows", "size", "expires_at")
_ORDER = (
    "id",
    "created_at",
    "store",
    "state",
    "name",
    "credits",
    "price",
    "currency",
    "trial_days",
    "ended_at",
)
_PAYMENT = (
    "id",
    "store",
    "external_id",
    "order_id",
    "subscription_id",
    "name",
    "bucket",
    "credits",
    "amount",
    "tax",
    "currency",
    "paid_at",
    "period_start",
    "period_end",
    "document_url",
    "returned",
    "credits_returned",
)
_REFUND = ("id", "payment_id", "kind", "amount", "counted", "credits", "debt", "refunded_at")
_SUBSCRIPTION = (
    "id",
    "store",
    "external_id",
    "plan_id",
    "tier_id",
    "price",
    "currency",
    "bonus_credits",
    "state",
    "started_at",
    "period_start",
    "period_end",
    "ends_at_period_end",
    "next_plan_id",
    "ended_at",
)
# As with movements, neither who of the staff nor why.
_CHANGE = (
    "id",
    "subscription_id",
    "number",
    "created_at",
    "cause",
    "from_state",
    "to_state",
    "plan",
    "period_end",
    "changes",
)
_REDEMPTION = ("id", "created_at", "code__code", "credits")


def register_part() -> None:
    register(Part("billing", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    movements = LedgerTransaction.objects.filter(wallet_id=user_id).order_by("number")
    holds = Hold.objects.filter(wallet_id=user_id).order_by("id")
    yield Section("credits/wallet.json", Wallet.objects.filter(pk=user_id).values())
    yield Section("credits/transactions.json", movements.values(*_MOVEMENT).iterator(2000))
    yield Section("credits/holds.json", holds.values(*_HOLD).iterator(2000))
    yield from _sales(user_id)
    slots = UsageSlot.objects.filter(wallet_id=user_id).order_by("starts_at", "id")
    asked = UsageExport.objects.filter(user_id=user_id).order_by("created_at", "id")
    yield Section("credits/usage.json", slots.values(*_USAGE).iterator(2000))
    yield Section("credits/usage_exports.json", asked.values(*_USAGE_EXPORT))


def _sales(user_id: UUID) -> Iterator[Section]:
    orders = Order.objects.filter(user_id=user_id).order_by("id")
    payments = Payment.objects.filter(user_id=user_id).order_by("paid_at", "id")
    refunds = Refund.objects.filter(payment__user_id=user_id).order_by("refunded_at", "id")
    subscriptions = Subscription.objects.filter(user_id=user_id).order_by("id")
    changes = SubscriptionEvent.objects.filter(subscription__user_id=user_id).order_by("id")
    codes = Redemption.objects.filter(user_id=user_id).order_by("id")
    yield Section("payments/orders.json", orders.values(*_ORDER).iterator(2000))
    yield Section("payments/payments.json", payments.values(*_PAYMENT).iterator(2000))
    yield Section("payments/refunds.json", refunds.values(*_REFUND).iterator(2000))
    yield Section("payments/subscriptions.json", subscriptions.values(*_SUBSCRIPTION))
    yield Section("payments/subscription_changes.json", changes.values(*_CHANGE).iterator(2000))
    yield Section("payments/codes.json", codes.values(*_REDEMPTION))


def _erase(user_id: UUID) -> None:
    """What was made from the ledger goes; holds end by themselves, and their account loses its name.

    Stores are told: what is subscribed to ends, and they forget the customer.
    """
    leaving.leave_stores(user_id=user_id)
    usage.forget_usage(user_id=user_id)
    usage.delete_usage_exports(user_id=user_id)
