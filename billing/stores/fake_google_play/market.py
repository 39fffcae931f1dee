"""The shop behind the fake's wire: purchases, their orders, and what time does to them."""

import random
import secrets
import threading
from datetime import datetime, timedelta
from uuid import UUID

from billing.stores.fake_google_play.records import (
    Clock,
    Document,
    Order,
    Product,
    Subscription,
    after,
    millis,
)

GRACE = timedelta(days=3)
HOLD = timedelta(days=30)
MUST_BE_ACKNOWLEDGED_WITHIN = timedelta(days=3)
_OPEN_STATES = {"ACTIVE", "CANCELED", "IN_GRACE_PERIOD", "ON_HOLD", "PAUSED"}
_SUBSCRIPTION_EVENTS = {
    "RECOVERED": 1,
    "RENEWED": 2,
    "CANCELED": 3,
    "PURCHASED": 4,
    "ON_HOLD": 5,
    "IN_GRACE_PERIOD": 6,
    "RESTARTED": 7,
    "PAUSED": 10,
    "REVOKED": 12,
    "EXPIRED": 13,
    "PENDING_PURCHASE_CANCELED": 20,
}


class Market:
    """Everything bought, and the buttons a buyer, a bank or Google would press."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.lock = threading.RLock()
        self.clock = Clock(self.catch_up)
        self.subscriptions: dict[str, Subscription] = {}
        self.products: dict[str, Product] = {}
        self.orders: dict[str, Order] = {}
        self.voided: list[Document] = []
        self.notifications: list[Document] = []

    def buy_subscription(  # noqa: PLR0917
        self,
        product_id: str,
        price: tuple[int, str] = (999, "USD"),
        account: UUID | str | None = None,
        period: str = "month",
        pending: bool = False,
        trial_days: int = 0,
        replaces: str | None = None,
        tax: int = 0,
        is_test: bool = False,
    ) -> str:
        """Its purchase token. The period is a day, week, month or year."""
        with self.lock:
            bought = Subscription(
                token=_token(),
                product_id=product_id,
                price=price,
                tax=tax,
                account=str(account) if account else None,
                period=period,
                bought_at=self.clock.now(),
                trial_days=trial_days,
                replaces=replaces,
                is_test=is_test,
            )
            self.subscriptions[bought.token] = bought
            if pending:
                self._add_order(bought, self.clock.now(), state="PENDING")
            else:
                self._begin(bought)
            return bought.token

    def buy_product(  # noqa: PLR0917
        self,
        product_id: str,
        price: tuple[int, str],
        quantity: int = 1,
        pending: bool = False,
        account: UUID | str | None = None,
        tax: int = 0,
        is_test: bool = False,
    ) -> str:
        """Its purchase token; the price is that of all pieces together."""
        with self.lock:
            bought = Product(
                token=_token(),
                product_id=product_id,
                price=price,
                tax=tax,
                quantity=quantity,
                account=str(account) if account else None,
                bought_at=self.clock.now(),
                is_test=is_test,
            )
            self.products[bought.token] = bought
            if not pending:
                self._pay_product(bought)
            return bought.token

    def settle_pending(self, token: str, ok: bool = True) -> None:
        """The slow payment (cash, a parent) came, or never will."""
        with self.lock:
            if token in self.products:
                self._settle_product(self.products[token], ok=ok)
            else:
                self._settle_subscription(self.subscriptions[token], ok=ok)

    def cancel(self, token: str) -> None:
        with self.lock:
            self._move(self.subscriptions[token], "CANCELED")

    def resume(self, token: str) -> None:
        """A cancelled one renews again; a paused one goes on and is paid now."""
        with self.lock:
            bought = self.subscriptions[token]
            if bought.state == "PAUSED":
                self._renew(bought, self.clock.now(), "RECOVERED")
            else:
                bought.state = "ACTIVE"
                self._notify_subscription(bought, "RESTARTED", self.clock.now())

    def fail_renewal(self, token: str) -> None:
        """The renewal falls due now and the card is declined: grace, then hold, then the end."""
        with self.lock:
            bought = self.subscriptions[token]
            self._cut(bought)
            bought.expires_at = self.clock.now() + GRACE
            self._move(bought, "IN_GRACE_PERIOD")

    def recover(self, token: str) -> None:
        """The failing card was replaced."""
        with self.lock:
            self._renew(self.subscriptions[token], self.clock.now(), "RECOVERED")

    def pause(self, token: str) -> None:
        """The period ends now, and no other begins until it is resumed."""
        with self.lock:
            self._cut(self.subscriptions[token])
            self._move(self.subscriptions[token], "PAUSED")

    def expire(self, token: str) -> None:
        with self.lock:
            self._cut(self.subscriptions[token])
            self._move(self.subscriptions[token], "EXPIRED")

    def refund(self, token_or_order: str, revoke: bool = True) -> None:
        """All the money of an order (a subscription's token: of its last one); revoked, the goods go too."""
        with self.lock:
            order = self._order_of(token_or_order)
            order.set_state("REFUNDED", self.clock.now())
            if revoke:
                self._void(order, self.clock.now(), source=1)

    def refund_partly(self, token_or_order: str, amount: int) -> None:
        with self.lock:
            order = self._order_of(token_or_order)
            order.set_state("PARTIALLY_REFUNDED", self.clock.now())
            order.partial_refunds.append((amount, self.clock.now()))

    def charge_back(self, token_or_order: str) -> None:
        """The buyer's bank took the money back."""
        with self.lock:
            order = self._order_of(token_or_order)
            order.set_state("REFUNDED", self.clock.now())
            self._void(order, self.clock.now(), source=0, reason=7)

    def add_test_notification(self) -> Document:
        with self.lock:
            return self._notify({"testNotification": {"version": "1.0"}}, self.clock.now())

    def catch_up(self) -> None:
        """Let everything happen that the clock has passed."""
        with self.lock:
            for product in self.products.values():
                self._void_unacknowledged_product(product)
            for bought in list(self.subscriptions.values()):
                while self._step(bought):
                    pass

    def _step(self, bought: Subscription) -> bool:
        now, due = self.clock.now(), bought.expires_at
        deadline = bought.bought_at + MUST_BE_ACKNOWLEDGED_WITHIN
        if bought.state in _OPEN_STATES and not bought.is_acknowledged and deadline <= now:
            bought.orders[-1].set_state("REFUNDED", deadline)
            self._void(bought.orders[-1], deadline, source=2)
            return False
        if due is None or due > now:
            return False
        return self._fall_due(bought, due)

    def _fall_due(self, bought: Subscription, due: datetime) -> bool:
        if bought.state == "ACTIVE":
            self._renew(bought, due, "RENEWED")
        elif bought.state == "CANCELED":
            self._move(bought, "EXPIRED", due)
        elif bought.state == "IN_GRACE_PERIOD":
            self._move(bought, "ON_HOLD", due)
        elif bought.state == "ON_HOLD" and due + HOLD <= self.clock.now():
            self._move(bought, "EXPIRED", due + HOLD)
        else:
            return False
        return True

    def _void_unacknowledged_product(self, product: Product) -> None:
        deadline = product.bought_at + MUST_BE_ACKNOWLEDGED_WITHIN
        is_late = deadline <= self.clock.now() and not product.is_acknowledged
        if product.state == 0 and product.order and is_late:
            product.order.set_state("REFUNDED", deadline)
            self._void(product.order, deadline, source=2)

    def _begin(self, bought: Subscription) -> None:
        now = self.clock.now()
        bought.bought_at = bought.starts_at = now
        bought.is_in_trial = bought.trial_days > 0
        end = now + timedelta(days=bought.trial_days) if bought.is_in_trial else after(now, bought.period)
        bought.state, bought.expires_at = "ACTIVE", end
        self._add_order(bought, now)
        replaced = self.subscriptions.get(bought.replaces or "")
        if replaced and replaced.state != "EXPIRED":
            self._cut(replaced)
            self._move(replaced, "EXPIRED")
        self._notify_subscription(bought, "PURCHASED", now)

    def _renew(self, bought: Subscription, moment: datetime, event: str) -> None:
        bought.is_in_trial = False
        bought.state, bought.expires_at = "ACTIVE", after(moment, bought.period)
        self._add_order(bought, moment)
        self._notify_subscription(bought, event, moment)

    def _add_order(self, bought: Subscription, moment: datetime, state: str = "PROCESSED") -> None:
        if bought.orders and bought.orders[-1].state == "PENDING":
            self.orders.pop(bought.orders.pop().order_id)
        first = bought.orders[0].order_id if bought.orders else _order_id()
        count = len(bought.orders)
        order = Order(
            order_id=f"{first}..{count - 1}" if count else first,
            token=bought.token,
            product_id=bought.product_id,
            price=(0, bought.price[1]) if bought.is_in_trial else bought.price,
            tax=0 if bought.is_in_trial else bought.tax,
            created_at=moment,
            state=state,
            period=(moment, bought.expires_at) if bought.expires_at else None,
            phase="FREE_TRIAL" if bought.is_in_trial else "BASE",
        )
        bought.orders.append(order)
        self.orders[order.order_id] = order

    def _pay_product(self, bought: Product) -> None:
        bought.state, bought.bought_at = 0, self.clock.now()
        bought.order = Order(
            order_id=_order_id(),
            token=bought.token,
            product_id=bought.product_id,
            price=bought.price,
            tax=bought.tax,
            created_at=bought.bought_at,
            quantity=bought.quantity,
        )
        self.orders[bought.order.order_id] = bought.order
        self._notify_product(bought, 1)

    def _settle_product(self, bought: Product, *, ok: bool) -> None:
        if ok:
            self._pay_product(bought)
        else:
            bought.state = 1
            self._notify_product(bought, 2)

    def _settle_subscription(self, bought: Subscription, *, ok: bool) -> None:
        if ok:
            self._begin(bought)
        else:
            bought.orders[-1].set_state("CANCELED", self.clock.now())
            self._move(bought, "PENDING_PURCHASE_CANCELED")

    def _cut(self, bought: Subscription) -> None:
        """The paid period ends now instead of later."""
        now = self.clock.now()
        if bought.expires_at and bought.expires_at > now:
            bought.expires_at = now
        if bought.orders and bought.orders[-1].period:
            starts_at, ends_at = bought.orders[-1].period
            bought.orders[-1].period = (starts_at, min(ends_at, now))

    def _move(self, bought: Subscription, state: str, moment: datetime | None = None) -> None:
        bought.state = state
        self._notify_subscription(bought, state, moment or self.clock.now())

    def _order_of(self, token_or_order: str) -> Order:
        if token_or_order in self.orders:
            return self.orders[token_or_order]
        if token_or_order in self.subscriptions:
            return self.subscriptions[token_or_order].orders[-1]
        order = self.products[token_or_order].order
        if order is None:
            raise ValueError("nothing was paid yet")
        return order

    def _void(self, order: Order, moment: datetime, *, source: int, reason: int = 0) -> None:
        is_plan = order.token in self.subscriptions
        self.voided.append(
            {
                "kind": "androidpublisher#voidedPurchase",
                "purchaseToken": order.token,
                "purchaseTimeMillis": millis(order.created_at),
                "voidedTimeMillis": millis(moment),
                "orderId": order.order_id,
                "voidedSource": source,
                "voidedReason": reason,
            }
        )
        if is_plan:
            self._cut(self.subscriptions[order.token])
            self.subscriptions[order.token].state = "EXPIRED"
            self._notify_subscription(self.subscriptions[order.token], "REVOKED", moment)
        else:
            self.products[order.token].state = 1
        content = {
            "purchaseToken": order.token,
            "orderId": order.order_id,
            "productType": 1 if is_plan else 2,
            "refundType": 1,
        }
        self._notify({"voidedPurchaseNotification": content}, moment)

    def _notify_subscription(self, bought: Subscription, event: str, moment: datetime) -> None:
        content = {
            "version": "1.0",
            "notificationType": _SUBSCRIPTION_EVENTS[event],
            "purchaseToken": bought.token,
            "subscriptionId": bought.product_id,
        }
        self._notify({"subscriptionNotification": content}, moment)

    def _notify_product(self, bought: Product, number: int) -> None:
        content = {
            "version": "1.0",
            "notificationType": number,
            "purchaseToken": bought.token,
            "sku": bought.product_id,
        }
        self._notify({"oneTimeProductNotification": content}, self.clock.now())

    def _notify(self, content: Document, moment: datetime) -> Document:
        # A millisecond apart, so that no two are alike although the clock stands still.
        at = moment + timedelta(milliseconds=len(self.notifications))
        body = {"version": "1.0", "packageName": self.package, "eventTimeMillis": millis(at), **content}
        self.notifications.append(body)
        return body


def _token() -> str:
    return f"{secrets.token_hex(12)}.AO-J1O{secrets.token_urlsafe(60)}"


def _order_id() -> str:
    numbers = "-".join(f"{random.randrange(10_000):04}" for _ in range(3))  # noqa: S311
    return f"GPA.{numbers}-{random.randrange(100_000):05}"  # noqa: S311
