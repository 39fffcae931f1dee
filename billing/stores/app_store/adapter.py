"""The App Store: what was bought there in Parlor's words, asked of Apple or signed by it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from appstoreserverlibrary.api_client import GetTransactionHistoryVersion
from appstoreserverlibrary.models.AutoRenewStatus import AutoRenewStatus
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.models.InAppOwnershipType import InAppOwnershipType
from appstoreserverlibrary.models.JWSRenewalInfoDecodedPayload import JWSRenewalInfoDecodedPayload
from appstoreserverlibrary.models.JWSTransactionDecodedPayload import JWSTransactionDecodedPayload
from appstoreserverlibrary.models.LastTransactionsItem import LastTransactionsItem
from appstoreserverlibrary.models.OfferDiscountType import OfferDiscountType
from appstoreserverlibrary.models.Status import Status
from appstoreserverlibrary.models.TransactionHistoryRequest import Order, TransactionHistoryRequest
from appstoreserverlibrary.models.Type import Type
from appstoreserverlibrary.signed_data_verifier import VerificationException

from billing.stores import currencies
from billing.stores.app_store.connection import ask, verifier
from billing.stores.base import (
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    StoreError,
    SubscriptionFacts,
    UnknownObject,
)
from common.ids import parse_uuid

T = TypeVar("T")
MAX_SIGNED_LENGTH = 64 * 1024
_ID = re.compile(r"[0-9]{1,32}", re.ASCII)
# Twenty transactions each.
_MOST_PAGES = 20
_WHOLE_IN_MILLIUNITS = 100_000
_STANDINGS = {
    Status.ACTIVE: Standing.ACTIVE,
    Status.EXPIRED: Standing.ENDED,
    Status.BILLING_RETRY: Standing.ON_HOLD,
    Status.BILLING_GRACE_PERIOD: Standing.PAST_DUE,
    Status.REVOKED: Standing.ENDED,
}


class InvalidSignature(Exception):
    """Not signed by Apple, or not for this app; why is for the log only."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """What Apple signed about one transaction; what it is now has to be fetched."""

    transaction_id: str
    original_id: str
    product_id: str
    is_subscription: bool


@dataclass(frozen=True, slots=True)
class Notification:
    """Something happened; `purchase` is empty for what is not about one, such as Apple's tests."""

    external_id: str
    kind: str
    happened_at: datetime
    purchase: Purchase | None


def read_purchase(signed: str) -> Purchase:
    """Raises InvalidSignature."""
    return _purchase(_verified(lambda: verifier().verify_and_decode_signed_transaction(_short(signed))))


def read_notification(signed: str) -> Notification:
    """Raises InvalidSignature."""
    told = _verified(lambda: verifier().verify_and_decode_notification(_short(signed)))
    if not told.notificationUUID or told.signedDate is None:
        raise InvalidSignature("notificationUUID")
    signed_transaction = told.data.signedTransactionInfo if told.data else None
    kind = ".".join(filter(None, (told.rawNotificationType, told.rawSubtype))).lower()
    return Notification(
        external_id=told.notificationUUID[:255],
        kind=kind[:100],
        happened_at=_moment(told.signedDate),
        purchase=read_purchase(signed_transaction) if signed_transaction else None,
    )


def fetch_thing(transaction_id: str) -> PaymentFacts:
    """The payment for something bought once. Raises UnknownObject, StoreError."""
    answer = ask(lambda client: client.get_transaction_info(_checked(transaction_id)))
    return _payment(_signed_by_apple(answer.signedTransactionInfo))


def fetch_subscription(original_id: str) -> tuple[SubscriptionFacts, list[PaymentFacts]]:
    """A subscription as it is now, with everything ever paid for it. Raises UnknownObject, StoreError."""
    answer = ask(lambda client: client.get_all_subscription_statuses(_checked(original_id)))
    for group in answer.data or []:
        for item in group.lastTransactions or []:
            if item.originalTransactionId == original_id:
                return _subscription(item), _payments(original_id)
    raise UnknownObject("no such subscription")


def _payments(original_id: str) -> list[PaymentFacts]:
    own = [each for each in _history(original_id) if each.originalTransactionId == original_id]
    bought_at = sorted(each.purchaseDate for each in own if each.purchaseDate is not None)
    return [_payment(each, _upgraded_at(each, bought_at)) for each in own]


def _upgraded_at(transaction: JWSTransactionDecodedPayload, bought_at: list[int]) -> int | None:
    """When another plan took its place: it was paid for at that moment."""
    if not transaction.isUpgraded or transaction.purchaseDate is None:
        return None
    return next((moment for moment in bought_at if moment > transaction.purchaseDate), None)


def _history(original_id: str) -> Iterator[JWSTransactionDecodedPayload]:
    """Latest first; the customer's other purchases are in the same list."""
    wanted = TransactionHistoryRequest(sort=Order.DESCENDING)
    revision: str | None = None
    for _page in range(_MOST_PAGES):
        before = revision
        answer = ask(
            lambda client, before=before: client.get_transaction_history(  # type: ignore[misc]
                original_id, before, wanted, GetTransactionHistoryVersion.V2
            )
        )
        for signed in answer.signedTransactions or []:
            yield _signed_by_apple(signed)
        revision = answer.revision
        if not answer.hasMore or revision == before:
            return


def _subscription(item: LastTransactionsItem) -> SubscriptionFacts:
    latest = _signed_by_apple(item.signedTransactionInfo)
    renewal = _renewal(item)
    standing = _STANDINGS.get(item.status) if item.status else None
    if standing is None or latest.expiresDate is None:
        raise _broken("status")
    if standing == Standing.ACTIVE and latest.offerDiscountType == OfferDiscountType.FREE_TRIAL:
        standing = Standing.TRIALING
    price, currency = _money(renewal.renewalPrice, renewal.currency or latest.currency)
    period_end = _moment(latest.expiresDate)
    following = renewal.autoRenewProductId or ""
    return SubscriptionFacts(
        external_id=_required(latest.originalTransactionId),
        standing=standing,
        plan=_required(latest.productId),
        user_id=_owner(latest),
        price=price,
        currency=currency,
        started_at=_moment(latest.originalPurchaseDate) if latest.originalPurchaseDate else None,
        period_start=_moment(latest.purchaseDate) if latest.purchaseDate else None,
        period_end=period_end,
        ends_at_period_end=renewal.autoRenewStatus == AutoRenewStatus.OFF,
        past_due_since=period_end if standing == Standing.PAST_DUE else None,
        ended_at=_ended_at(latest) if standing == Standing.ENDED else None,
        next_plan=following if following != latest.productId else "",
        is_live=latest.environment == Environment.PRODUCTION,
    )


def _renewal(item: LastTransactionsItem) -> JWSRenewalInfoDecodedPayload:
    try:
        return verifier().verify_and_decode_renewal_info(item.signedRenewalInfo or "")
    except VerificationException as error:
        raise _broken("signedRenewalInfo") from error


def _ended_at(latest: JWSTransactionDecodedPayload) -> datetime | None:
    ended = latest.revocationDate or latest.expiresDate
    return _moment(ended) if ended else None


def _payment(transaction: JWSTransactionDecodedPayload, upgraded_at: int | None = None) -> PaymentFacts:
    is_plan = transaction.type == Type.AUTO_RENEWABLE_SUBSCRIPTION
    product_id = _required(transaction.productId)
    amount, currency = _money(transaction.price, transaction.currency)
    if transaction.inAppOwnershipType == InAppOwnershipType.FAMILY_SHARED:
        raise UnknownObject("paid by somebody else of the family")
    return PaymentFacts(
        external_id=_required(transaction.transactionId),
        standing=PaymentStanding.PAID,
        user_id=_owner(transaction),
        pack="" if is_plan else product_id,
        plan=product_id if is_plan else "",
        subscription_id=_required(transaction.originalTransactionId) if is_plan else "",
        amount=amount,
        currency=currency,
        earned=amount,
        quantity=transaction.quantity or 1,
        paid_at=_moment(transaction.purchaseDate) if transaction.purchaseDate else None,
        period_start=_moment(transaction.purchaseDate) if is_plan and transaction.purchaseDate else None,
        period_end=_moment(transaction.expiresDate) if transaction.expiresDate else None,
        refunds=(*_refunds(transaction, amount), *_unused(transaction, amount, upgraded_at)),
        is_live=transaction.environment == Environment.PRODUCTION,
    )


def _refunds(transaction: JWSTransactionDecodedPayload, amount: int) -> tuple[RefundFacts, ...]:
    """Of a refund that Apple takes back (REFUND_REVERSED) the transaction says nothing any more."""
    if transaction.revocationDate is None:
        return ()
    part = transaction.revocationPercentage
    returned = amount if part is None else amount * part // _WHOLE_IN_MILLIUNITS
    refunded_at = _moment(transaction.revocationDate)
    return (RefundFacts(f"{transaction.transactionId}:refund", returned, refunded_at),)


def _unused(
    transaction: JWSTransactionDecodedPayload, amount: int, upgraded_at: int | None
) -> tuple[RefundFacts, ...]:
    """At an upgrade Apple gives back the part of the period that was left, and charges the new plan whole."""
    start, end = transaction.purchaseDate, transaction.expiresDate
    if upgraded_at is None or start is None or end is None or end <= start:
        return ()
    left = min(max(end - upgraded_at, 0), end - start)
    returned = amount * left // (end - start)
    if not returned:
        return ()
    return (RefundFacts(f"{transaction.transactionId}:upgraded", returned, _moment(upgraded_at)),)


def _purchase(transaction: JWSTransactionDecodedPayload) -> Purchase:
    ids = (transaction.transactionId or "", transaction.originalTransactionId or "")
    if not all(_ID.fullmatch(each) for each in ids) or not transaction.productId:
        raise InvalidSignature("transactionId")
    is_plan = transaction.type == Type.AUTO_RENEWABLE_SUBSCRIPTION
    return Purchase(*ids, product_id=transaction.productId, is_subscription=is_plan)


def _signed_by_apple(signed: str | None) -> JWSTransactionDecodedPayload:
    try:
        return verifier().verify_and_decode_signed_transaction(signed or "")
    except VerificationException as error:
        raise _broken("signedTransactionInfo") from error


def _verified(read: Callable[[], T]) -> T:
    try:
        return read()
    except (VerificationException, ValueError, TypeError, KeyError) as error:
        raise InvalidSignature(type(error).__name__) from error


def _short(signed: str) -> str:
    if len(signed) > MAX_SIGNED_LENGTH:
        raise InvalidSignature("too long")
    return signed


def _checked(transaction_id: str) -> str:
    if not _ID.fullmatch(transaction_id):
        raise UnknownObject("not a transaction of the App Store")
    return transaction_id


def _owner(transaction: JWSTransactionDecodedPayload) -> UUID | None:
    return parse_uuid(transaction.appAccountToken)


def _money(thousandths: int | None, currency: str | None) -> tuple[int, str]:
    """Apple's thousandths in the currency's smallest unit."""
    if thousandths is None or not currency:
        return 0, currency or ""
    if thousandths < 0:
        raise _broken("price")
    return thousandths * 10 ** currencies.decimals(currency) // 1000, currency


def _moment(millis: int) -> datetime:
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=millis)
    except OverflowError as error:
        raise _broken("a moment") from error


def _required(text: Any) -> str:
    if not isinstance(text, str) or not text:
        raise _broken("an id")
    return text


def _broken(name: str) -> StoreError:
    return StoreError(f"the App Store's answer makes no sense: {name}", is_passing=False)
