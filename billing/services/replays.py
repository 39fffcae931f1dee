"""Asking the stores again: one event, everything since a moment, one payment or subscription."""

from collections import Counter
from datetime import datetime
from uuid import UUID

import structlog
from django.utils.translation import gettext_lazy as _

from accounts.services import audit
from billing import database
from billing.errors import NotOurs, Quarantined
from billing.models import Store, StoreEvent
from billing.services import inbox
from billing.services.at_store import at_store
from billing.stores.base import UnknownObject
from billing.stores.stripe import facts, outgoing, webhooks
from billing.stores.stripe.connection import Connection, connect
from common import jobs
from common.errors import Conflict, NotFound

logger = structlog.get_logger("parlor.billing")


def replay_event(*, event_id: UUID, actor_id: UUID | None, reason: str = "") -> str:
    """Apply a store's event again, whatever became of it; answers its state. What it gave is not given twice.

    Raises NotFound.
    """
    event = StoreEvent.objects.filter(id=event_id).first()
    if event is None:
        raise NotFound(_("There is no such event."))
    audit.record_staff_action(
        actor_id=actor_id, action="replay_event", target=event, reason=reason, details={"was": event.state}
    )
    return inbox.apply_event(event_id, again=True)


def promise_replays(event_ids: list[UUID], *, actor_id: UUID, reason: str) -> None:
    """Apply these events again in the background, each noted as if it were the only one.

    Call it in a transaction. Raises ReasonRequired.
    """
    reason = audit.required_reason(reason)
    events = StoreEvent.objects.filter(id__in=event_ids).defer("payload")
    for event in events.order_by("created_at", "id"):
        audit.record_staff_action(
            actor_id=actor_id,
            action="replay_event",
            target=event,
            reason=reason,
            details={"was": event.state},
        )
        jobs.enqueue("billing.replay_store_event", event_id=str(event.id))


def replay_events_since(*, since: datetime) -> Counter[str]:
    """Fetch every event the store remembers since a moment and apply it, again where it was applied before.

    For a database put back from a backup: what it does not know yet is found and booked, what it knows stays.
    Answers how many ended in which state. Raises Unavailable (ask again, nothing is lost), and ShopClosed.
    """
    connection = connect()
    found = Counter[str]()
    events = at_store(lambda: iter(outgoing.list_events(connection, since=since)))
    while (raw := at_store(lambda: next(events, None))) is not None:
        try:
            event = webhooks.read(connection, raw)
        except webhooks.InvalidWebhook:
            found["ignored"] += 1
            continue
        found[_keep_and_apply(connection, event)] += 1
    logger.info("store_events_replayed", since=since.isoformat(), **found)
    return found


def sync_payment(*, store: Store, external_id: str) -> None:
    """Ask the store about one payment (an intent, invoice or checkout) or subscription, and write down what
    it says. Raises StoreError, ShopClosed, NotFound, Conflict (of another shop, or against our books).
    """
    connection = connect()
    if connection.store != store:
        raise Conflict(_("The shop it belongs to is closed, or has no way to be asked."))
    asked_at = database.clock()
    try:
        found = facts_about(connection, external_id)
        told = inbox.Told(connection.store, asked_at, found.subscriptions, found.payments)
        database.atomically(lambda: inbox.apply_told(told))
    except UnknownObject as error:
        raise NotFound(_("The store does not know it.")) from error
    except (NotOurs, Quarantined) as error:
        raise Conflict(str(error)) from error


def _keep_and_apply(connection: Connection, event: webhooks.Event) -> str:
    inbox.keep_event(
        store=connection.store,
        external_id=event.external_id,
        kind=event.kind,
        object_id=event.object_id,
        happened_at=event.happened_at,
        payload=event.payload,
    )
    kept = StoreEvent.objects.get(store=connection.store, external_id=event.external_id)
    return inbox.apply_event(kept.id, again=True)


def facts_about(connection: Connection, external_id: str) -> facts.Facts:
    """What Stripe says of a payment or subscription, whichever of its ids it is. Raises StoreError."""
    match external_id.split("_", 1)[0]:
        case "sub":
            return facts.about_subscription(connection, external_id)
        case "in":
            return facts.about_invoice(connection, external_id)
        case "cs":
            return facts.about_checkout(connection, external_id)
    return facts.about_intent(connection, external_id)
