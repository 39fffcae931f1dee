"""Google Play: what was bought there, in Parlor's words, and what may be asked of it."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from billing.stores.base import (
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    StoreError,
    SubscriptionFacts,
    UnknownObject,
)
from billing.stores.google_play_api import (
    Document,
    act,
    broken,
    get,
    integer_of,
    millis_of,
    money,
    object_of,
    objects_of,
    path_piece,
    required_text,
    required_time,
    text_of,
    time_of,
    uuid_or_none,
)

_PAGE_SIZE = 1_000
# Google tells of voided purchases for so long, and refuses to be asked about earlier ones.
_VOIDED_FOR = timedelta(days=30) - timedelta(minutes=5)
# GPA.1234-…, and for the renewals of a subscription GPA.1234-…..0, ..1 and so on.
_RENEWAL = re.compile(r"(.+)\.\.([0-9]{1,4})")
_PAID_ORDER_STATES = {"PROCESSED", "PARTIALLY_REFUNDED", "PENDING_REFUND"}
_STANDINGS = {
    "PENDING": Standing.PENDING,
    "ACTIVE": Standing.ACTIVE,
    "CANCELED": Standing.ACTIVE,
    "IN_GRACE_PERIOD": Standing.PAST_DUE,
    "ON_HOLD": Standing.ON_HOLD,
    "PAUSED": Standing.ON_HOLD,
    "EXPIRED": Standing.ENDED,
    "PENDING_PURCHASE_CANCELED": Standing.ENDED,
}
_ORDER_STANDINGS = {
    "PENDING": PaymentStanding.PENDING,
    "PROCESSED": PaymentStanding.PAID,
    "PENDING_REFUND": PaymentStanding.PAID,
    "PARTIALLY_REFUNDED": PaymentStanding.PAID,
    "REFUNDED": PaymentStanding.PAID,
    "CANCELED": PaymentStanding.FAILED,
}
_PURCHASE_STANDINGS = {0: PaymentStanding.PAID, 1: PaymentStanding.FAILED, 2: PaymentStanding.PENDING}


@dataclass(frozen=True, slots=True)
class PlaySubscription(SubscriptionFacts):
    product_id: str = ""
    # What is not acknowledged within three days is refunded by Google.
    is_acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class PlayProduct(PaymentFacts):
    product_id: str = ""
    purchase_token: str = ""
    is_acknowledged: bool = False
    is_consumed: bool = False


@dataclass(frozen=True, slots=True)
class Goods:
    """What an order was for."""

    product_id: str
    purchase_token: str
    is_subscription: bool


@dataclass(frozen=True, slots=True)
class Voided:
    """A purchase that was cancelled, refunded or charged back, as the list of voided purchases has it."""

    order_id: str
    purchase_token: str
    voided_at: datetime
    reason: int
    source: int
    # None: the whole purchase.
    quantity: int | None


def is_configured() -> bool:
    return bool(settings.GOOGLE_PLAY_PACKAGE and settings.GOOGLE_PLAY_CREDENTIALS)


def plan_of(product_id: str) -> str:
    """The slug of the plan sold as this product."""
    return product_id


def fetch_subscription(
    *, purchase_token: str, now: datetime | None = None
) -> tuple[PlaySubscription, list[PaymentFacts]]:
    """The subscription behind a token, and the payments of its latest orders.

    Raises UnknownObject for a token that is none, StoreError when Google does not answer as it should.
    """
    purchase = get(_subscription_path(purchase_token))
    item = _current_item(purchase)
    user_id = _user_id(object_of(purchase, "externalAccountIdentifiers"))
    is_live = "testPurchase" not in purchase
    orders = _orders_of(purchase)
    payments = [
        _plan_payment(
            order,
            text_of(item, "productId"),
            user_id=user_id,
            subscription_id=purchase_token,
            is_live=is_live,
        )
        for order in orders
    ]
    facts = _subscription_facts(
        purchase, item, orders, purchase_token=purchase_token, user_id=user_id, now=now or timezone.now()
    )
    return facts, payments


def fetch_plan_payment(
    *, order_id: str, subscription: PlaySubscription, is_voided: bool = False
) -> PaymentFacts:
    """What was paid by one order of a subscription; of one that is voided, all came back.

    Raises UnknownObject, StoreError.
    """
    return _plan_payment(
        get(f"orders/{path_piece(order_id)}"),
        subscription.product_id,
        user_id=subscription.user_id,
        subscription_id=subscription.external_id,
        is_live=subscription.is_live,
        is_voided=is_voided,
    )


def earlier_orders(order_id: str) -> list[str]:
    """The orders a subscription had before this one, by Google's way of counting them; latest first."""
    found = _RENEWAL.fullmatch(order_id)
    if found is None:
        return []
    first, number = found[1], int(found[2])
    return [*(f"{first}..{each}" for each in reversed(range(number))), first]


def whole_refund_id(order_id: str) -> str:
    """What the refund of all that is left of an order is called: Google has no name for it."""
    return f"{order_id}:refund"


def fetch_goods(*, order_id: str) -> Goods:
    """What was bought with an order. Raises UnknownObject, StoreError."""
    order = get(f"orders/{path_piece(order_id)}")
    lines = objects_of(order, "lineItems")
    if not lines:
        raise broken("lineItems")
    return Goods(
        product_id=required_text(lines[0], "productId"),
        purchase_token=required_text(order, "purchaseToken"),
        is_subscription="subscriptionDetails" in lines[0],
    )


def fetch_product(*, product_id: str, purchase_token: str) -> PlayProduct:
    """The purchase of a pack. One that was refunded stays paid, with its refunds."""
    purchase = get(_product_path(product_id, purchase_token))
    if purchase.get("productId", product_id) != product_id:
        raise UnknownObject("the token is of another product")
    standing = _PURCHASE_STANDINGS.get(integer_of(purchase, "purchaseState", -1))
    if standing is None:
        raise broken("purchaseState")
    order_id = text_of(purchase, "orderId")
    order = _fetch_order(order_id) if order_id and standing != PaymentStanding.PENDING else {}
    refunds = _refunds(order, is_voided=standing == PaymentStanding.FAILED)
    # Play calls a refunded purchase cancelled; only one that never was paid has failed.
    if standing == PaymentStanding.FAILED and refunds:
        standing = PaymentStanding.PAID
    amount, currency = money(object_of(order, "total"))
    paid_at = millis_of(purchase, "purchaseTimeMillis")
    return PlayProduct(
        # What was had for a promotion code has no order.
        external_id=order_id or f"token:{hashlib.sha256(purchase_token.encode()).hexdigest()}",
        standing=standing,
        user_id=uuid_or_none(purchase.get("obfuscatedExternalAccountId")),
        pack=product_id,
        amount=amount,
        tax=money(object_of(order, "tax"))[0],
        currency=currency,
        earned=amount,
        quantity=integer_of(purchase, "quantity", 1),
        paid_at=paid_at if standing == PaymentStanding.PAID else None,
        refunds=refunds,
        is_live=integer_of(purchase, "purchaseType", -1) != 0,
        product_id=product_id,
        purchase_token=purchase_token,
        is_acknowledged=integer_of(purchase, "acknowledgementState", 0) == 1,
        is_consumed=integer_of(purchase, "consumptionState", 0) == 1,
    )


def acknowledge_subscription(*, product_id: str, purchase_token: str) -> None:
    """Tell Google that the plan was given. May be repeated."""
    path = f"purchases/subscriptions/{path_piece(product_id)}/tokens/{path_piece(purchase_token)}:acknowledge"
    act(path, lambda: _is_acknowledged(get(_subscription_path(purchase_token))), body={})


def acknowledge_product(*, product_id: str, purchase_token: str) -> None:
    """Tell Google that the product was given, without making it buyable again. May be repeated."""
    path = _product_path(product_id, purchase_token)
    act(f"{path}:acknowledge", lambda: get(path).get("acknowledgementState") == 1, body={})


def consume_product(*, product_id: str, purchase_token: str) -> None:
    """Tell Google that the pack was given: it is acknowledged, and can be bought again. May be repeated."""
    path = _product_path(product_id, purchase_token)
    act(f"{path}:consume", lambda: get(path).get("consumptionState") == 1)


def cancel_subscription(*, product_id: str, purchase_token: str) -> None:
    """Stop its renewal; it runs on until its period ends. May be repeated."""
    path = f"purchases/subscriptions/{path_piece(product_id)}/tokens/{path_piece(purchase_token)}:cancel"
    act(path, lambda: _state(get(_subscription_path(purchase_token))) in {"CANCELED", "EXPIRED"})


def refund_order(*, order_id: str) -> None:
    """Give all the money of an order back and end what it paid for. May be repeated."""
    path = f"orders/{path_piece(order_id)}"
    gone = {"REFUNDED", "PENDING_REFUND"}
    act(f"{path}:refund", lambda: text_of(get(path), "state") in gone, params={"revoke": "true"})


def list_voided(*, start: datetime) -> Iterator[Voided]:
    """What was voided since `start`, subscriptions too; Google remembers 30 days."""
    since = max(start, timezone.now() - _VOIDED_FOR)
    first = {"type": 1, "maxResults": _PAGE_SIZE, "startTime": int(since.timestamp() * 1000)}
    params: dict[str, str | int] = {**first}
    while True:
        page = get("purchases/voidedpurchases", params=params)
        yield from map(_voided, objects_of(page, "voidedPurchases"))
        following = text_of(object_of(page, "tokenPagination"), "nextPageToken")
        if not following:
            return
        if following == params.get("token"):
            raise broken("nextPageToken")
        params = {**first, "token": following}


def is_voided(*, order_id: str) -> bool:
    """Whether Google lists all of an order as voided. Raises StoreError."""
    since = timezone.now() - _VOIDED_FOR
    return any(each.order_id == order_id and each.quantity is None for each in list_voided(start=since))


def _subscription_facts(
    purchase: Document,
    item: Document,
    orders: list[Document],
    *,
    purchase_token: str,
    user_id: UUID | None,
    now: datetime,
) -> PlaySubscription:
    state, expires_at = _state(purchase), time_of(item, "expiryTime")
    renewing = object_of(item, "autoRenewingPlan")
    price, currency = money(object_of(renewing, "recurringPrice"))
    product_id = text_of(item, "productId")
    last = _paid_order(orders, item)
    details = _subscription_details(last, product_id)
    standing = _standing(state, item, details, expires_at, now)
    starts_at = time_of(purchase, "startTime")
    is_failing = state in {"IN_GRACE_PERIOD", "ON_HOLD"}
    return PlaySubscription(
        external_id=purchase_token,
        standing=standing,
        plan=plan_of(product_id),
        user_id=user_id,
        price=price,
        currency=currency,
        started_at=starts_at,
        period_start=time_of(details, "servicePeriodStartTime") or starts_at,
        period_end=expires_at,
        # Google leaves `autoRenewEnabled` out when it is false.
        ends_at_period_end=state == "CANCELED"
        or (state == "ACTIVE" and not renewing.get("autoRenewEnabled")),
        past_due_since=time_of(details, "servicePeriodEndTime") if is_failing else None,
        ended_at=expires_at if standing == Standing.ENDED else None,
        next_plan=_next_plan(item),
        replaces=text_of(purchase, "linkedPurchaseToken"),
        is_live="testPurchase" not in purchase,
        product_id=product_id,
        is_acknowledged=_is_acknowledged(purchase),
    )


def _standing(
    state: str, item: Document, details: Document, expires_at: datetime | None, now: datetime
) -> Standing:
    standing = _STANDINGS.get(state)
    if standing is None:
        raise broken("subscriptionState")
    if state == "CANCELED" and (expires_at is None or expires_at <= now):
        return Standing.ENDED
    is_free = "freeTrial" in object_of(item, "offerPhase") or details.get("offerPhase") == "FREE_TRIAL"
    return Standing.TRIALING if standing == Standing.ACTIVE and is_free else standing


def _state(purchase: Document) -> str:
    return text_of(purchase, "subscriptionState").removeprefix("SUBSCRIPTION_STATE_")


def _is_acknowledged(purchase: Document) -> bool:
    return purchase.get("acknowledgementState") == "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED"


def _current_item(purchase: Document) -> Document:
    """The item that counts now: one that waits to replace another has no expiry, or an earlier one."""
    items = objects_of(purchase, "lineItems")
    if not items or not all(text_of(item, "productId") for item in items):
        raise broken("lineItems")
    return max(items, key=lambda item: time_of(item, "expiryTime") or datetime.min.replace(tzinfo=UTC))


def _next_plan(item: Document) -> str:
    product_id = text_of(object_of(item, "deferredItemReplacement"), "productId")
    return plan_of(product_id) if product_id else ""


def _orders_of(purchase: Document) -> list[Document]:
    paid = {text_of(item, "latestSuccessfulOrderId") for item in objects_of(purchase, "lineItems")} - {""}
    orders = [_fetch_order(order_id) for order_id in sorted(paid)]
    latest = text_of(purchase, "latestOrderId")
    if latest and latest not in paid:
        try:
            orders.append(get(f"orders/{path_piece(latest)}"))
        except UnknownObject:
            # Of a purchase that never was paid Google keeps no order.
            return orders
    return orders


def _fetch_order(order_id: str) -> Document:
    try:
        return get(f"orders/{path_piece(order_id)}")
    except UnknownObject as error:
        # The purchase exists, so its order will, too.
        raise StoreError("the order of a purchase is not there yet", is_passing=True) from error


def _paid_order(orders: list[Document], item: Document) -> Document:
    paid = text_of(item, "latestSuccessfulOrderId")
    return next((order for order in orders if paid and order.get("orderId") == paid), {})


def _subscription_details(order: Document, product_id: str) -> Document:
    lines = objects_of(order, "lineItems")
    line = next((line for line in lines if line.get("productId") == product_id), lines[0] if lines else {})
    return object_of(line, "subscriptionDetails")


def _plan_payment(
    order: Document,
    product_id: str,
    *,
    user_id: UUID | None,
    subscription_id: str,
    is_live: bool,
    is_voided: bool = False,
) -> PaymentFacts:
    sold = [text_of(line, "productId") for line in objects_of(order, "lineItems")]
    if sold and product_id not in sold:
        product_id = sold[0]
    details = _subscription_details(order, product_id)
    standing = _ORDER_STANDINGS.get(text_of(order, "state"))
    if standing is None:
        raise broken("state")
    amount, currency = money(object_of(order, "total"))
    tax, _ = money(object_of(order, "tax"))
    is_paid = standing == PaymentStanding.PAID
    return PaymentFacts(
        external_id=required_text(order, "orderId"),
        standing=standing,
        user_id=user_id,
        plan=plan_of(product_id),
        subscription_id=subscription_id,
        amount=amount,
        tax=tax,
        currency=currency,
        earned=_earned(order, amount, tax) if is_paid else 0,
        paid_at=_paid_at(order) if is_paid else None,
        period_start=time_of(details, "servicePeriodStartTime"),
        period_end=time_of(details, "servicePeriodEndTime"),
        refunds=_refunds(order, is_voided=is_voided),
        is_live=is_live,
    )


def _earned(order: Document, amount: int, tax: int) -> int:
    """What was paid, with taxes where the country's prices have them in: comparable to the plan's price."""
    listed = [object_of(line, "listingPrice") for line in objects_of(order, "lineItems")]
    return min(amount, sum(money(each)[0] for each in listed)) if all(listed) else amount - tax


def _paid_at(order: Document) -> datetime | None:
    processed = object_of(object_of(order, "orderHistory"), "processedEvent")
    return time_of(processed, "eventTime") or time_of(order, "createTime")


def _refunds(order: Document, *, is_voided: bool) -> tuple[RefundFacts, ...]:
    history, order_id = object_of(order, "orderHistory"), text_of(order, "orderId")
    refunds = [
        RefundFacts(
            external_id=f"{order_id}:{required_text(event, 'createTime')}",
            amount=money(object_of(object_of(event, "refundDetails"), "total"))[0],
            refunded_at=time_of(event, "processTime") or required_time(event, "createTime"),
        )
        for event in objects_of(history, "partialRefundEvents")
        if event.get("state") == "PROCESSED_SUCCESSFULLY"
    ]
    state = order.get("state")
    if state == "REFUNDED" or (is_voided and state in _PAID_ORDER_STATES):
        # With the last refund all of the money has gone back, whatever went before.
        rest = money(object_of(order, "total"))[0] - sum(refund.amount for refund in refunds)
        event = object_of(history, "refundEvent")
        refunded_at = time_of(event, "eventTime") or required_time(order, "lastEventTime")
        refunds.append(RefundFacts(whole_refund_id(order_id), max(rest, 0), refunded_at))
    return tuple(refunds)


def _voided(purchase: Document) -> Voided:
    voided_at = millis_of(purchase, "voidedTimeMillis")
    if voided_at is None:
        raise broken("voidedTimeMillis")
    return Voided(
        order_id=text_of(purchase, "orderId"),
        purchase_token=required_text(purchase, "purchaseToken"),
        voided_at=voided_at,
        reason=integer_of(purchase, "voidedReason", 0),
        source=integer_of(purchase, "voidedSource", 0),
        quantity=integer_of(purchase, "voidedQuantity", 0) or None,
    )


def _subscription_path(purchase_token: str) -> str:
    return f"purchases/subscriptionsv2/tokens/{path_piece(purchase_token)}"


def _product_path(product_id: str, purchase_token: str) -> str:
    return f"purchases/products/{path_piece(product_id)}/tokens/{path_piece(purchase_token)}"


def _user_id(identifiers: Document) -> UUID | None:
    return uuid_or_none(identifiers.get("obfuscatedExternalAccountId"))
