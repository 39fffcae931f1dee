"""Google's real-time developer notifications: whether Google sent them to us, and what they tell."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import jwt
from django.conf import settings

from accounts import id_tokens
from billing.stores.base import StoreError
from billing.stores.google_play_api import (
    PATH_PIECE,
    Document,
    integer_of,
    millis_of,
    object_of,
    parse_json,
    required_text,
    text_of,
)

_ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
_MAX_PUSH_BYTES = 64 * 1024
_REFUND_OF_SOME_PIECES = 2


class InvalidPush(Exception):
    """The push does not come from Google, or is not meant for us; why is for the log only."""


class MalformedPush(Exception):
    """Google's signature is good, but what it brought is not a notification about our app."""


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


def verify_push(*, authorization_header: str, body: bytes) -> Notification:
    """What a push of Pub/Sub says, once it is certain that Google sent it to us.

    Raises InvalidPush (answer 401), MalformedPush (400), or Unavailable when Google's keys can't be had.
    """
    _check_pusher(authorization_header)
    try:
        if len(body) > _MAX_PUSH_BYTES:
            raise MalformedPush("too long")
        message = object_of(parse_json(body), "message")
        content = parse_json(base64.b64decode(text_of(message, "data"), validate=True))
        return _notification(text_of(message, "messageId"), content)
    except (StoreError, ValueError, OverflowError) as error:
        raise MalformedPush(str(error)) from error


def _check_pusher(authorization_header: str) -> None:
    if not settings.GOOGLE_PLAY_PUSH_AUDIENCE or not settings.GOOGLE_PLAY_PUSH_EMAIL:
        raise InvalidPush("no audience or no account is set")
    scheme, _, token = authorization_header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidPush("no bearer token")
    try:
        claims = id_tokens.verify(token, _expected(token))
    except id_tokens.InvalidIdToken as error:
        raise InvalidPush(str(error)) from error
    if claims.get("email_verified") is not True:
        raise InvalidPush("email_verified")
    if claims.get("email") != settings.GOOGLE_PLAY_PUSH_EMAIL:
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
    event_time = millis_of(content, "eventTimeMillis")
    if event_time is None or not 0 < len(message_id) <= 255:
        raise MalformedPush("eventTimeMillis" if message_id else "messageId")
    if subscription := object_of(content, "subscriptionNotification"):
        return Notification(message_id, "subscription", event_time, **_purchase_of(subscription))
    if product := object_of(content, "oneTimeProductNotification"):
        return Notification(message_id, "product", event_time, **_purchase_of(product))
    if voided := object_of(content, "voidedPurchaseNotification"):
        is_whole = voided.get("refundType") != _REFUND_OF_SOME_PIECES
        return Notification(message_id, "voided", event_time, **_purchase_of(voided), is_whole=is_whole)
    return Notification(message_id, "test" if "testNotification" in content else "other", event_time)


def _purchase_of(content: Document) -> dict[str, Any]:
    number = "productType" if "productType" in content else "notificationType"
    pieces = {
        "purchase_token": required_text(content, "purchaseToken"),
        "product_id": text_of(content, "subscriptionId") or text_of(content, "sku"),
        "order_id": text_of(content, "orderId"),
    }
    if any(piece and not PATH_PIECE.fullmatch(piece) for piece in pieces.values()):
        raise MalformedPush("purchaseToken")
    return {**pieces, "notification_type": integer_of(content, number, 0)}
