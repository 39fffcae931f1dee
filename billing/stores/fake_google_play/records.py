"""What the fake remembers, and how Google would write it."""

import calendar
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Document = dict[str, Any]
_NO_DECIMALS = {"JPY", "KRW", "CLP", "VND"}
_THREE_DECIMALS = {"KWD", "BHD", "JOD", "OMR", "TND", "IQD", "LYD"}


class Clock:
    """Stands still until it is advanced."""

    def __init__(self, on_advance: Callable[[], None]) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._on_advance = on_advance

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta | None = None, **parts: float) -> None:
        """By a timedelta, or by its parts: `advance(days=3)`."""
        self._now += by if by is not None else timedelta(**parts)
        self._on_advance()


@dataclass
class Order:
    order_id: str
    token: str
    product_id: str
    price: tuple[int, str]
    tax: int
    created_at: datetime
    state: str = "PROCESSED"
    period: tuple[datetime, datetime] | None = None
    phase: str = "BASE"
    quantity: int = 1
    changed_at: datetime | None = None
    partial_refunds: list[tuple[int, datetime]] = field(default_factory=list)

    def set_state(self, state: str, moment: datetime) -> None:
        self.state, self.changed_at = state, moment

    def document(self) -> Document:
        amount, currency = self.price
        line: Document = {
            "productId": self.product_id,
            # Taxes are in all prices here, as they are in Europe.
            "listingPrice": money(amount, currency),
            "total": money(amount, currency),
            "tax": money(self.tax, currency),
        }
        if self.period:
            line["subscriptionDetails"] = {
                "basePlanId": "base",
                "offerPhase": self.phase,
                "servicePeriodStartTime": rfc3339(self.period[0]),
                "servicePeriodEndTime": rfc3339(self.period[1]),
            }
        else:
            line["oneTimePurchaseDetails"] = {"quantity": self.quantity}
        return {
            "orderId": self.order_id,
            "purchaseToken": self.token,
            "state": self.state,
            "createTime": rfc3339(self.created_at),
            "lastEventTime": rfc3339(self.changed_at or self.created_at),
            "lineItems": [line],
            "total": money(amount, currency),
            "tax": money(self.tax, currency),
            "orderHistory": self._history(currency),
        }

    def _history(self, currency: str) -> Document:
        history: Document = {}
        if self.state != "PENDING":
            history["processedEvent"] = {"eventTime": rfc3339(self.created_at)}
        if self.partial_refunds:
            history["partialRefundEvents"] = [
                {
                    "createTime": rfc3339(moment),
                    "processTime": rfc3339(moment),
                    "state": "PROCESSED_SUCCESSFULLY",
                    "refundDetails": {"total": money(amount, currency), "tax": money(0, currency)},
                }
                for amount, moment in self.partial_refunds
            ]
        if self.state == "REFUNDED":
            total = {"total": money(self.price[0], currency), "tax": money(self.tax, currency)}
            history["refundEvent"] = {
                "eventTime": rfc3339(self.changed_at or self.created_at),
                "refundDetails": total,
                "refundReason": "OTHER",
            }
        return history


@dataclass
class Subscription:
    token: str
    product_id: str
    price: tuple[int, str]
    tax: int
    account: str | None
    period: str
    bought_at: datetime
    state: str = "PENDING"
    expires_at: datetime | None = None
    starts_at: datetime | None = None
    trial_days: int = 0
    is_in_trial: bool = False
    replaces: str | None = None
    is_acknowledged: bool = False
    is_test: bool = False
    orders: list[Order] = field(default_factory=list)

    def document(self) -> Document:
        found: Document = {
            "kind": "androidpublisher#subscriptionPurchaseV2",
            "regionCode": "US",
            "subscriptionState": f"SUBSCRIPTION_STATE_{self.state}",
            "acknowledgementState": "ACKNOWLEDGEMENT_STATE_"
            + ("ACKNOWLEDGED" if self.is_acknowledged else "PENDING"),
            "lineItems": [self._item()],
        }
        if self.orders:
            found["latestOrderId"] = self.orders[-1].order_id
        if self.starts_at:
            found["startTime"] = rfc3339(self.starts_at)
        if self.account:
            found["externalAccountIdentifiers"] = {"obfuscatedExternalAccountId": self.account}
        if self.replaces:
            found["linkedPurchaseToken"] = self.replaces
        if self.is_test:
            found["testPurchase"] = {}
        return found

    def _item(self) -> Document:
        is_renewing = self.state in {"ACTIVE", "IN_GRACE_PERIOD", "ON_HOLD", "PAUSED", "PENDING"}
        item: Document = {
            "productId": self.product_id,
            # What is false is left out on the wire.
            "autoRenewingPlan": {
                "recurringPrice": money(*self.price),
                **({"autoRenewEnabled": True} if is_renewing else {}),
            },
            "offerDetails": {"basePlanId": "base"},
            "offerPhase": {"freeTrial": {}} if self.is_in_trial else {"basePrice": {}},
        }
        if self.expires_at:
            item["expiryTime"] = rfc3339(self.expires_at)
        paid = [order for order in self.orders if order.state not in {"PENDING", "CANCELED"}]
        if paid:
            item["latestSuccessfulOrderId"] = paid[-1].order_id
        return item


@dataclass
class Product:
    token: str
    product_id: str
    price: tuple[int, str]
    tax: int
    quantity: int
    account: str | None
    bought_at: datetime
    # 0 bought, 1 cancelled, 2 pending.
    state: int = 2
    order: Order | None = None
    is_acknowledged: bool = False
    is_consumed: bool = False
    is_test: bool = False

    def document(self) -> Document:
        found: Document = {
            "kind": "androidpublisher#productPurchase",
            "purchaseTimeMillis": millis(self.bought_at),
            "purchaseState": self.state,
            "consumptionState": int(self.is_consumed),
            "acknowledgementState": int(self.is_acknowledged),
            "regionCode": "US",
        }
        if self.order:
            found["orderId"] = self.order.order_id
        if self.quantity > 1:
            found["quantity"] = self.quantity
        if self.account:
            found["obfuscatedExternalAccountId"] = self.account
        if self.is_test:
            found["purchaseType"] = 0
        return found


def money(amount: int, currency: str) -> Document:
    """What is zero is left out on the wire; units are text, since they have 64 bits."""
    unit = 1 if currency in _NO_DECIMALS else 1000 if currency in _THREE_DECIMALS else 100
    units, rest = divmod(amount, unit)
    found: Document = {"currencyCode": currency}
    if units:
        found["units"] = str(units)
    if rest:
        found["nanos"] = rest * (10**9 // unit)
    return found


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def millis(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def after(moment: datetime, period: str) -> datetime:
    """The end of a period that begins at a moment; the 31st becomes the month's last day."""
    if period in {"day", "week"}:
        return moment + timedelta(days=1 if period == "day" else 7)
    months = moment.month - 1 + (12 if period == "year" else 1)
    year, month = moment.year + months // 12, months % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return moment.replace(year=year, month=month, day=day)
