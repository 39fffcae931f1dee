"""Google Play: what was bought there, in Parlor's words, and what may be asked of it.

The only module that speaks to Google about purchases: the Play Developer API (androidpublisher v3) on the way
out, and the pushes of its real-time developer notifications on the way in.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

import jwt
import requests
from django.conf import settings
from django.utils import timezone
from google.auth import transport
from google.auth.exceptions import GoogleAuthError, TransportError
from google.oauth2 import service_account
from urllib3.exceptions import HTTPError

from accounts import id_tokens
from billing.stores.base import (
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    StoreError,
    SubscriptionFacts,
    UnknownObject,
)

_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
_TIMEOUT_SECONDS = (3, 10)
_MAX_ANSWER_BYTES = 2_000_000
_MAX_PUSH_BYTES = 64 * 1024
_PAGE_SIZE = 1_000
# Google tells of voided purchases for so long, and refuses to be asked about earlier ones.
_VOIDED_FOR = timedelta(days=30) - timedelta(minutes=5)
# Begins with a letter or digit, so that no piece of a path can be ".." and lead elsewhere.
_PATH_PIECE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,1023}")
# GPA.1234-…, and for the renewals of a subscription GPA.1234-…..0, ..1 and so on.
_RENEWAL = re.compile(r"(.+)\.\.([0-9]{1,4})")
_PAID_ORDER_STATES = {"PROCESSED", "PARTIALLY_REFUNDED", "PENDING_REFUND"}
_REFUND_OF_SOME_PIECES = 2
_QUOTA_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}
_NANOS = 10**9
# Of the currencies that have not two.
# fmt: off
_DECIMALS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}
# fmt: on
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
_refreshing = threading.Lock()

Document = dict[str, Any]


class InvalidPush(Exception):
    """The push does not come from Google, or is not meant for us; why is for the log only."""


class MalformedPush(Exception):
    """Google's signature is good, but what it brought is not a notification about our app."""


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


@dataclass(frozen=True, slots=True)
class Notification:
    """Something happened to a purchase; what it is now has to be fetched."""

    message_id: str
    # "other" is a kind Google made up after this was written.
    kind: Literal["subscription", "product", "voided", "test", "other"]
    event_time: datetime
    purchase_token: str = ""
    product_id: str = ""
    order_id: str = ""
    # Google's number; of a voided purchase its productType (1 subscription, 2 product).
    notification_type: int = 0
    # Of a voided purchase: all of it, not some of several pieces.
    is_whole: bool = True


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
    purchase = _get(_subscription_path(purchase_token))
    item = _current_item(purchase)
    user_id = _user_id(_object(purchase, "externalAccountIdentifiers"))
    is_live = "testPurchase" not in purchase
    orders = _orders_of(purchase)
    payments = [
        _plan_payment(
            order,
            _text(item, "productId"),
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
        _get(f"orders/{_piece(order_id)}"),
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


def fetch_goods(*, order_id: str) -> Goods:
    """What was bought with an order. Raises UnknownObject, StoreError."""
    order = _get(f"orders/{_piece(order_id)}")
    lines = _objects(order, "lineItems")
    if not lines:
        raise _broken("lineItems")
    return Goods(
        product_id=_required(lines[0], "productId"),
        purchase_token=_required(order, "purchaseToken"),
        is_subscription="subscriptionDetails" in lines[0],
    )


def fetch_product(*, product_id: str, purchase_token: str) -> PlayProduct:
    """The purchase of a pack. One that was refunded stays paid, with its refunds."""
    purchase = _get(_product_path(product_id, purchase_token))
    if purchase.get("productId", product_id) != product_id:
        raise UnknownObject("the token is of another product")
    standing = _PURCHASE_STANDINGS.get(_integer(purchase, "purchaseState", -1))
    if standing is None:
        raise _broken("purchaseState")
    order_id = _text(purchase, "orderId")
    order = _fetch_order(order_id) if order_id and standing != PaymentStanding.PENDING else {}
    refunds = _refunds(order, is_voided=standing == PaymentStanding.FAILED)
    # Play calls a refunded purchase cancelled; only one that never was paid has failed.
    if standing == PaymentStanding.FAILED and refunds:
        standing = PaymentStanding.PAID
    amount, currency = _money(_object(order, "total"))
    paid_at = _millis(purchase, "purchaseTimeMillis")
    return PlayProduct(
        # What was had for a promotion code has no order.
        external_id=order_id or f"token:{hashlib.sha256(purchase_token.encode()).hexdigest()}",
        standing=standing,
        user_id=_uuid(purchase.get("obfuscatedExternalAccountId")),
        pack=product_id,
        amount=amount,
        tax=_money(_object(order, "tax"))[0],
        currency=currency,
        earned=amount,
        quantity=_integer(purchase, "quantity", 1),
        paid_at=paid_at if standing == PaymentStanding.PAID else None,
        refunds=refunds,
        is_live=_integer(purchase, "purchaseType", -1) != 0,
        product_id=product_id,
        purchase_token=purchase_token,
        is_acknowledged=_integer(purchase, "acknowledgementState", 0) == 1,
        is_consumed=_integer(purchase, "consumptionState", 0) == 1,
    )


def acknowledge_subscription(*, product_id: str, purchase_token: str) -> None:
    """Tell Google that the plan was given. May be repeated."""
    path = f"purchases/subscriptions/{_piece(product_id)}/tokens/{_piece(purchase_token)}:acknowledge"
    _act(path, lambda: _is_acknowledged(_get(_subscription_path(purchase_token))), body={})


def acknowledge_product(*, product_id: str, purchase_token: str) -> None:
    """Tell Google that the product was given, without making it buyable again. May be repeated."""
    path = _product_path(product_id, purchase_token)
    _act(f"{path}:acknowledge", lambda: _get(path).get("acknowledgementState") == 1, body={})


def consume_product(*, product_id: str, purchase_token: str) -> None:
    """Tell Google that the pack was given: it is acknowledged, and can be bought again. May be repeated."""
    path = _product_path(product_id, purchase_token)
    _act(f"{path}:consume", lambda: _get(path).get("consumptionState") == 1)


def cancel_subscription(*, product_id: str, purchase_token: str) -> None:
    """Stop its renewal; it runs on until its period ends. May be repeated."""
    path = f"purchases/subscriptions/{_piece(product_id)}/tokens/{_piece(purchase_token)}:cancel"
    _act(path, lambda: _state(_get(_subscription_path(purchase_token))) in {"CANCELED", "EXPIRED"})


def refund_order(*, order_id: str) -> None:
    """Give all the money of an order back and end what it paid for. May be repeated."""
    path = f"orders/{_piece(order_id)}"
    gone = {"REFUNDED", "PENDING_REFUND"}
    _act(f"{path}:refund", lambda: _text(_get(path), "state") in gone, params={"revoke": "true"})


def list_voided(*, start: datetime) -> Iterator[Voided]:
    """What was voided since `start`, subscriptions too; Google remembers 30 days."""
    since = max(start, timezone.now() - _VOIDED_FOR)
    first = {"type": 1, "maxResults": _PAGE_SIZE, "startTime": int(since.timestamp() * 1000)}
    params: dict[str, str | int] = {**first}
    while True:
        page = _get("purchases/voidedpurchases", params=params)
        yield from map(_voided, _objects(page, "voidedPurchases"))
        following = _text(_object(page, "tokenPagination"), "nextPageToken")
        if not following:
            return
        if following == params.get("token"):
            raise _broken("nextPageToken")
        params = {**first, "token": following}


def verify_push(*, authorization_header: str, body: bytes) -> Notification:
    """What a push of Pub/Sub says, once it is certain that Google sent it to us.

    Raises InvalidPush (answer 401), MalformedPush (400), or Unavailable when Google's keys can't be had.
    """
    _check_pusher(authorization_header)
    try:
        if len(body) > _MAX_PUSH_BYTES:
            raise MalformedPush("too long")
        message = _object(_parse_json(body), "message")
        content = _parse_json(base64.b64decode(_text(message, "data"), validate=True))
        return _notification(_text(message, "messageId"), content)
    except (StoreError, ValueError, OverflowError) as error:
        raise MalformedPush(str(error)) from error


def _subscription_facts(
    purchase: Document,
    item: Document,
    orders: list[Document],
    *,
    purchase_token: str,
    user_id: UUID | None,
    now: datetime,
) -> PlaySubscription:
    state, expires_at = _state(purchase), _time(item, "expiryTime")
    renewing = _object(item, "autoRenewingPlan")
    price, currency = _money(_object(renewing, "recurringPrice"))
    product_id = _text(item, "productId")
    last = _paid_order(orders, item)
    details = _subscription_details(last, product_id)
    standing = _standing(state, item, details, expires_at, now)
    starts_at = _time(purchase, "startTime")
    is_failing = state in {"IN_GRACE_PERIOD", "ON_HOLD"}
    return PlaySubscription(
        external_id=purchase_token,
        standing=standing,
        plan=plan_of(product_id),
        user_id=user_id,
        price=price,
        currency=currency,
        started_at=starts_at,
        period_start=_time(details, "servicePeriodStartTime") or starts_at,
        period_end=expires_at,
        # Google leaves `autoRenewEnabled` out when it is false.
        ends_at_period_end=state == "CANCELED"
        or (state == "ACTIVE" and not renewing.get("autoRenewEnabled")),
        past_due_since=_time(details, "servicePeriodEndTime") if is_failing else None,
        ended_at=expires_at if standing == Standing.ENDED else None,
        next_plan=_next_plan(item),
        replaces=_text(purchase, "linkedPurchaseToken"),
        is_live="testPurchase" not in purchase,
        product_id=product_id,
        is_acknowledged=_is_acknowledged(purchase),
    )


def _standing(
    state: str, item: Document, details: Document, expires_at: datetime | None, now: datetime
) -> Standing:
    standing = _STANDINGS.get(state)
    if standing is None:
        raise _broken("subscriptionState")
    if state == "CANCELED" and (expires_at is None or expires_at <= now):
        return Standing.ENDED
    is_free = "freeTrial" in _object(item, "offerPhase") or details.get("offerPhase") == "FREE_TRIAL"
    return Standing.TRIALING if standing == Standing.ACTIVE and is_free else standing


def _state(purchase: Document) -> str:
    return _text(purchase, "subscriptionState").removeprefix("SUBSCRIPTION_STATE_")


def _is_acknowledged(purchase: Document) -> bool:
    return purchase.get("acknowledgementState") == "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED"


def _current_item(purchase: Document) -> Document:
    """The item that counts now: one that waits to replace another has no expiry, or an earlier one."""
    items = _objects(purchase, "lineItems")
    if not items or not all(_text(item, "productId") for item in items):
        raise _broken("lineItems")
    return max(items, key=lambda item: _time(item, "expiryTime") or datetime.min.replace(tzinfo=UTC))


def _next_plan(item: Document) -> str:
    product_id = _text(_object(item, "deferredItemReplacement"), "productId")
    return plan_of(product_id) if product_id else ""


def _orders_of(purchase: Document) -> list[Document]:
    paid = {_text(item, "latestSuccessfulOrderId") for item in _objects(purchase, "lineItems")} - {""}
    orders = [_fetch_order(order_id) for order_id in sorted(paid)]
    latest = _text(purchase, "latestOrderId")
    if latest and latest not in paid:
        try:
            orders.append(_get(f"orders/{_piece(latest)}"))
        except UnknownObject:
            # Of a purchase that never was paid Google keeps no order.
            return orders
    return orders


def _fetch_order(order_id: str) -> Document:
    try:
        return _get(f"orders/{_piece(order_id)}")
    except UnknownObject as error:
        # The purchase exists, so its order will, too.
        raise StoreError("the order of a purchase is not there yet", is_passing=True) from error


def _paid_order(orders: list[Document], item: Document) -> Document:
    paid = _text(item, "latestSuccessfulOrderId")
    return next((order for order in orders if paid and order.get("orderId") == paid), {})


def _subscription_details(order: Document, product_id: str) -> Document:
    lines = _objects(order, "lineItems")
    line = next((line for line in lines if line.get("productId") == product_id), lines[0] if lines else {})
    return _object(line, "subscriptionDetails")


def _plan_payment(
    order: Document,
    product_id: str,
    *,
    user_id: UUID | None,
    subscription_id: str,
    is_live: bool,
    is_voided: bool = False,
) -> PaymentFacts:
    sold = [_text(line, "productId") for line in _objects(order, "lineItems")]
    if sold and product_id not in sold:
        product_id = sold[0]
    details = _subscription_details(order, product_id)
    standing = _ORDER_STANDINGS.get(_text(order, "state"))
    if standing is None:
        raise _broken("state")
    amount, currency = _money(_object(order, "total"))
    tax, _ = _money(_object(order, "tax"))
    is_paid = standing == PaymentStanding.PAID
    return PaymentFacts(
        external_id=_required(order, "orderId"),
        standing=standing,
        user_id=user_id,
        plan=plan_of(product_id),
        subscription_id=subscription_id,
        amount=amount,
        tax=tax,
        currency=currency,
        earned=_earned(order, amount, tax) if is_paid else 0,
        paid_at=_paid_at(order) if is_paid else None,
        period_start=_time(details, "servicePeriodStartTime"),
        period_end=_time(details, "servicePeriodEndTime"),
        refunds=_refunds(order, is_voided=is_voided),
        is_live=is_live,
    )


def _earned(order: Document, amount: int, tax: int) -> int:
    """What was paid, with taxes where the country's prices have them in: comparable to the plan's price."""
    listed = [_object(line, "listingPrice") for line in _objects(order, "lineItems")]
    return min(amount, sum(_money(each)[0] for each in listed)) if all(listed) else amount - tax


def _paid_at(order: Document) -> datetime | None:
    processed = _object(_object(order, "orderHistory"), "processedEvent")
    return _time(processed, "eventTime") or _time(order, "createTime")


def _refunds(order: Document, *, is_voided: bool) -> tuple[RefundFacts, ...]:
    history, order_id = _object(order, "orderHistory"), _text(order, "orderId")
    refunds = [
        RefundFacts(
            external_id=f"{order_id}:{_required(event, 'createTime')}",
            amount=_money(_object(_object(event, "refundDetails"), "total"))[0],
            refunded_at=_time(event, "processTime") or _required_time(event, "createTime"),
        )
        for event in _objects(history, "partialRefundEvents")
        if event.get("state") == "PROCESSED_SUCCESSFULLY"
    ]
    state = order.get("state")
    if state == "REFUNDED" or (is_voided and state in _PAID_ORDER_STATES):
        # With the last refund all of the money has gone back, whatever went before.
        rest = _money(_object(order, "total"))[0] - sum(refund.amount for refund in refunds)
        event = _object(history, "refundEvent")
        refunded_at = _time(event, "eventTime") or _required_time(order, "lastEventTime")
        refunds.append(RefundFacts(f"{order_id}:refund", max(rest, 0), refunded_at))
    return tuple(refunds)


def _voided(purchase: Document) -> Voided:
    voided_at = _millis(purchase, "voidedTimeMillis")
    if voided_at is None:
        raise _broken("voidedTimeMillis")
    return Voided(
        order_id=_text(purchase, "orderId"),
        purchase_token=_required(purchase, "purchaseToken"),
        voided_at=voided_at,
        reason=_integer(purchase, "voidedReason", 0),
        source=_integer(purchase, "voidedSource", 0),
        quantity=_integer(purchase, "voidedQuantity", 0) or None,
    )


def _check_pusher(authorization_header: str) -> None:
    if not settings.GOOGLE_PLAY_PUSH_AUDIENCE:
        raise InvalidPush("no audience is set")
    scheme, _, token = authorization_header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidPush("no bearer token")
    try:
        claims = id_tokens.verify(token, _expected(token))
    except id_tokens.InvalidIdToken as error:
        raise InvalidPush(str(error)) from error
    if claims.get("email_verified") is not True:
        raise InvalidPush("email_verified")
    if settings.GOOGLE_PLAY_PUSH_EMAIL and claims.get("email") != settings.GOOGLE_PLAY_PUSH_EMAIL:
        raise InvalidPush("email")


def _expected(token: str) -> id_tokens.Expected:
    # A service account's token names the account as its own authorized party (`azp` equals `sub`).
    return id_tokens.Expected(
        keys_url=settings.GOOGLE_PLAY_CERTS_URL,
        issuers=_ISSUERS,
        audience=settings.GOOGLE_PLAY_PUSH_AUDIENCE,
        parties=frozenset({_unverified_subject(token)}),
    )


def _unverified_subject(token: str) -> str:
    """Whom the token speaks of; `verify` finds out whether the claim is true."""
    if len(token) > id_tokens.MAX_TOKEN_LENGTH:
        raise InvalidPush("too long")
    try:
        subject = jwt.decode(token, options={"verify_signature": False}).get("sub")
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise InvalidPush(type(error).__name__) from error
    if not isinstance(subject, str):
        raise InvalidPush("sub")
    return subject


def _notification(message_id: str, content: Document) -> Notification:
    if content.get("packageName") != settings.GOOGLE_PLAY_PACKAGE:
        raise MalformedPush("packageName")
    event_time = _millis(content, "eventTimeMillis")
    if event_time is None or not 0 < len(message_id) <= 255:
        raise MalformedPush("eventTimeMillis" if message_id else "messageId")
    if subscription := _object(content, "subscriptionNotification"):
        return Notification(message_id, "subscription", event_time, **_purchase_of(subscription))
    if product := _object(content, "oneTimeProductNotification"):
        return Notification(message_id, "product", event_time, **_purchase_of(product))
    if voided := _object(content, "voidedPurchaseNotification"):
        is_whole = voided.get("refundType") != _REFUND_OF_SOME_PIECES
        return Notification(message_id, "voided", event_time, **_purchase_of(voided), is_whole=is_whole)
    return Notification(message_id, "test" if "testNotification" in content else "other", event_time)


def _purchase_of(content: Document) -> dict[str, Any]:
    number = "productType" if "productType" in content else "notificationType"
    pieces = {
        "purchase_token": _required(content, "purchaseToken"),
        "product_id": _text(content, "subscriptionId") or _text(content, "sku"),
        "order_id": _text(content, "orderId"),
    }
    if any(piece and not _PATH_PIECE.fullmatch(piece) for piece in pieces.values()):
        raise MalformedPush("purchaseToken")
    return {**pieces, "notification_type": _integer(content, number, 0)}


def _subscription_path(purchase_token: str) -> str:
    return f"purchases/subscriptionsv2/tokens/{_piece(purchase_token)}"


def _product_path(product_id: str, purchase_token: str) -> str:
    return f"purchases/products/{_piece(product_id)}/tokens/{_piece(purchase_token)}"


def _piece(text: str) -> str:
    if not _PATH_PIECE.fullmatch(text):
        raise UnknownObject("not a token or id of Google Play")
    return quote(text, safe="")


def _get(path: str, *, params: Mapping[str, str | int] | None = None) -> Document:
    return _call("GET", path, params=params)


def _act(
    path: str,
    is_done: Callable[[], bool],
    *,
    params: Mapping[str, str | int] | None = None,
    body: Document | None = None,
) -> None:
    """Ask for a change; what Google refuses because it is done already counts as done."""
    try:
        _call("POST", path, params=params, body=body)
    except StoreError as error:
        # Google has no one word for "done already", so a refusal is judged by what is so now.
        if error.is_passing or not is_done():
            raise


def _call(
    method: str,
    path: str,
    *,
    params: Mapping[str, str | int] | None = None,
    body: Document | None = None,
) -> Document:
    package = quote(settings.GOOGLE_PLAY_PACKAGE, safe="")
    url = f"{settings.GOOGLE_PLAY_API_BASE}/androidpublisher/v3/applications/{package}/{path}"
    status, content = 401, b""
    for is_fresh in (False, True):
        headers = {"Authorization": f"Bearer {_access_token(is_fresh=is_fresh)}"}
        status, content = _send(method, url, headers=headers, params=params, json=body)
        if status != 401:
            break
    if not 200 <= status < 300:
        raise _refusal(status, content)
    return _parse_json(content) if content.strip() else {}


def _refusal(status: int, content: bytes) -> StoreError:
    if status in {400, 404, 410}:
        return UnknownObject(f"Google Play answered {status}")
    is_quota = status == 403 and bool(_reasons(content) & _QUOTA_REASONS)
    is_passing = is_quota or status in {408, 425, 429} or status >= 500
    return StoreError(f"Google Play answered {status}", is_passing=is_passing)


def _reasons(content: bytes) -> set[str]:
    try:
        return {_text(each, "reason") for each in _objects(_object(_parse_json(content), "error"), "errors")}
    except StoreError:
        return set()


def _send(method: str, url: str, **options: Any) -> tuple[int, bytes]:
    try:
        with requests.request(
            method, url, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True, **options
        ) as response:
            content = response.raw.read(_MAX_ANSWER_BYTES + 1, decode_content=True)
    except (requests.RequestException, HTTPError, OSError) as error:
        raise StoreError(f"Google Play: {type(error).__name__}", is_passing=True) from error
    if len(content) > _MAX_ANSWER_BYTES:
        raise StoreError("Google Play's answer is too long", is_passing=False)
    return response.status_code, content


def _access_token(*, is_fresh: bool) -> str:
    credentials = _credentials(settings.GOOGLE_PLAY_CREDENTIALS)
    with _refreshing:
        try:
            if is_fresh or not credentials.valid:
                credentials.refresh(_AuthRequest())
        except GoogleAuthError as error:
            is_passing = isinstance(error, TransportError) or error.retryable
            raise StoreError(f"Google's sign-in: {type(error).__name__}", is_passing=is_passing) from error
        return str(credentials.token)


@lru_cache(maxsize=4)
def _credentials(source: str) -> Any:
    """The service account of a key file, or of its text. One for all threads, with the token it holds."""
    try:
        text = source if source.lstrip().startswith("{") else Path(source).read_text()
        build = service_account.Credentials.from_service_account_info
        return build(json.loads(text), scopes=[_SCOPE])  # type: ignore[no-untyped-call]
    except (OSError, ValueError, GoogleAuthError) as error:
        raise StoreError(
            "GOOGLE_PLAY_CREDENTIALS is not a service account's key", is_passing=False
        ) from error


@dataclass(frozen=True, slots=True)
class _AuthResponse(transport.Response):
    status: int
    data: bytes
    headers: Mapping[str, str]


class _AuthRequest(transport.Request):
    """google-auth's way out, with our time limits instead of its two minutes."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _AuthResponse:
        try:
            status, content = _send(method, url, data=body, headers=headers)
        except StoreError as error:
            raise TransportError(error) from error  # type: ignore[no-untyped-call]
        return _AuthResponse(status, content, {})


def _money(money: Document) -> tuple[int, str]:
    """Google's units and nanos in the currency's smallest unit, to the last one. Nothing is zero."""
    if not money:
        return 0, ""
    currency = _required(money, "currencyCode")
    nanos = _integer(money, "units", 0) * _NANOS + _integer(money, "nanos", 0)
    amount, rest = divmod(nanos, _NANOS // 10 ** _DECIMALS.get(currency, 2))
    if rest or amount < 0:
        raise _broken("Money")
    return amount, currency


def _user_id(identifiers: Document) -> UUID | None:
    return _uuid(identifiers.get("obfuscatedExternalAccountId"))


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _parse_json(content: bytes) -> Document:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        # Half an answer, or some proxy's page: the next one may be Google's.
        raise StoreError("not JSON", is_passing=True) from error
    if not isinstance(document, dict):
        raise _broken("the answer")
    return document


def _object(document: Document, name: str) -> Document:
    found = document.get(name)
    if found is not None and not isinstance(found, dict):
        raise _broken(name)
    return found or {}


def _objects(document: Document, name: str) -> list[Document]:
    found = document.get(name)
    if found is not None and not (isinstance(found, list) and all(isinstance(each, dict) for each in found)):
        raise _broken(name)
    return found or []


def _text(document: Document, name: str) -> str:
    found = document.get(name)
    if found is not None and not isinstance(found, str):
        raise _broken(name)
    return found or ""


def _required(document: Document, name: str) -> str:
    text = _text(document, name)
    if not text:
        raise _broken(name)
    return text


def _integer(document: Document, name: str, default: int) -> int:
    """Whole numbers come as such, or as text when they need 64 bits."""
    found = document.get(name, default)
    if isinstance(found, str) and re.fullmatch(r"-?[0-9]{1,19}", found):
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise _broken(name)
    return found


def _time(document: Document, name: str) -> datetime | None:
    text = _text(document, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _broken(name) from error
    if moment.tzinfo is None:
        raise _broken(name)
    return moment


def _required_time(document: Document, name: str) -> datetime:
    moment = _time(document, name)
    if moment is None:
        raise _broken(name)
    return moment


def _millis(document: Document, name: str) -> datetime | None:
    millis = _integer(document, name, 0)
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=millis) if millis else None
    except OverflowError as error:
        raise _broken(name) from error


def _broken(name: str) -> StoreError:
    return StoreError(f"Google Play's answer makes no sense: {name}", is_passing=False)
