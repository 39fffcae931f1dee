"""Whether a webhook is Stripe's, for us, and what is kept of it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from billing.stores.stripe.connection import Connection

TOLERANCE_SECONDS = 300
MAX_BYTES = 1_000_000
# Who paid is Stripe's to keep: an event only says what to ask about.
_PERSONAL = {
    "address",
    "billing_details",
    "collected_information",
    "customer_address",
    "customer_details",
    "customer_email",
    "customer_name",
    "customer_phone",
    "customer_shipping",
    "customer_tax_ids",
    "email",
    "evidence",
    "name",
    "payment_method_details",
    "phone",
    "receipt_email",
    "shipping",
}
_SECRET = {"client_secret", "confirmation_secret", "secret", "url"}


class InvalidWebhook(Exception):
    """Not signed by Stripe for this endpoint, too old, or of another account or mode."""


@dataclass(frozen=True, slots=True)
class Event:
    external_id: str
    kind: str
    object_id: str
    happened_at: datetime
    payload: dict[str, Any]


def verify(connection: Connection, body: bytes, signature: str) -> Event:
    """The event in a webhook's `body`. Raises InvalidWebhook, and then nothing of it may be kept.

    https://docs.stripe.com/webhooks#verify-official-libraries
    """
    import stripe

    if not connection.webhook_secret or len(body) > MAX_BYTES:
        raise InvalidWebhook("no secret" if not connection.webhook_secret else "too large")
    try:
        text = body.decode()
        stripe.WebhookSignature.verify_header(text, signature, connection.webhook_secret, TOLERANCE_SECONDS)
        event = json.loads(text)
    except (stripe.SignatureVerificationError, ValueError, RecursionError) as error:
        raise InvalidWebhook(type(error).__name__) from error
    _check_age(signature)
    return read(connection, event)


def read(connection: Connection, event: Any) -> Event:
    """What is kept of an event, if it is of our account and mode. Raises InvalidWebhook."""
    try:
        about = event["data"]["object"]
        if event["object"] != "event" or event["livemode"] is not connection.is_live:
            raise InvalidWebhook("of another mode")
        # Connected accounts have an endpoint of their own.
        if event.get("account"):
            raise InvalidWebhook("of another account")
        return Event(
            external_id=str(event["id"])[:255],
            kind=str(event["type"])[:100],
            object_id=str(about.get("id") or "")[:500],
            happened_at=datetime.fromtimestamp(event["created"], UTC),
            payload=_impersonal(event),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InvalidWebhook("not an event") from error


def _check_age(signature: str) -> None:
    """Stripe's library refuses old signatures only; one from the future is as wrong."""
    stamps = [part[2:] for part in signature.split(",") if part.startswith("t=")]
    if not stamps or int(stamps[0]) > datetime.now(UTC).timestamp() + TOLERANCE_SECONDS:
        raise InvalidWebhook("from the future")


def _impersonal(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _impersonal(part)
            for name, part in value.items()
            if name not in _PERSONAL and name not in _SECRET
        }
    if isinstance(value, list):
        return [_impersonal(part) for part in value]
    # The SDK reads some of Stripe's texts as numbers.
    return str(value) if isinstance(value, Decimal) else value
