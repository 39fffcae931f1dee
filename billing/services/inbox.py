"""What stores tell us: kept first and answered, applied after, once, in any order, as often as staff like."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing import database, metrics
from billing.errors import NotOurs, Quarantined
from billing.models import STRIPE_LIKE, Order, Store, StoreEvent
from billing.services import payments, subscriptions
from billing.stores.base import PaymentFacts, StoreError, SubscriptionFacts, UnknownObject
from billing.stores.stripe import connection as stripe_connection
from billing.stores.stripe import facts as stripe_facts
from common import jobs

logger = structlog.get_logger("parlor.billing")

RETRY_BATCH = 200
RETRY_AFTER = timedelta(minutes=2)
# A day of rounds; what fails longer is for staff to replay.
MOST_ATTEMPTS = 720
# Longer than any store sends an event again.
KEPT = timedelta(days=400)
State = StoreEvent.State


@dataclass(frozen=True, slots=True)
class Told:
    """All that asking a store about one event brought, and when it was asked."""

    store: Store
    asked_at: datetime
    subscriptions: list[SubscriptionFacts] = field(default_factory=list)
    payments: list[PaymentFacts] = field(default_factory=list)
    expired_orders: list[UUID] = field(default_factory=list)
    # What to do at the store once everything is committed, such as acknowledging.
    afterwards: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


Ask = Callable[[StoreEvent], Told]


def keep_event(
    *, store: Store, external_id: str, kind: str, object_id: str, happened_at: datetime, payload: Any
) -> bool:
    """Keep what a store told, once, with the promise to apply it. False where it was kept before."""

    def work() -> bool:
        event = StoreEvent(
            store=store,
            external_id=external_id,
            kind=kind,
            object_id=object_id,
            happened_at=happened_at,
            payload=payload,
        )
        StoreEvent.objects.bulk_create([event], ignore_conflicts=True)
        if not StoreEvent.objects.filter(id=event.id).exists():
            return False
        jobs.enqueue("billing.apply_store_event", key=str(event.id), event_id=str(event.id))
        return True

    is_new = database.atomically(work)
    metrics.EVENTS.labels(store, "kept" if is_new else "repeated").inc()
    return is_new


def apply_event(event_id: UUID, *, again: bool = False, now: datetime | None = None) -> str:
    """Ask the store about an event's object and write down the answer; answers the event's new state.

    The mark and the effect are one transaction. A store that cannot be reached leaves the event failed, to
    be tried again; `again` applies what was applied or set aside before.
    """
    event = StoreEvent.objects.get(id=event_id)
    if event.state == State.APPLIED and not again:
        return event.state
    StoreEvent.objects.filter(id=event_id).update(attempts=F("attempts") + 1)
    try:
        told = _ask(event)
        if not (told.subscriptions or told.payments or told.expired_orders or told.afterwards):
            raise NotOurs("nothing to do")
        state, detail = _write(event, told, now), ""
    except (NotOurs, UnknownObject) as reason:
        state, detail = _mark(event_id, State.IGNORED, str(reason)), str(reason)
    except Quarantined as reason:
        state, detail = _quarantine(event, str(reason)), str(reason)
    except StoreError as error:
        detail = str(error)
        state = _mark(event_id, State.FAILED, detail) if error.is_passing else _quarantine(event, detail)
    except stripe_connection.ShopClosed as error:
        state, detail = _mark(event_id, State.FAILED, str(error)), str(error)
    metrics.EVENTS.labels(event.store, state).inc()
    if state in (State.FAILED, State.QUARANTINED):
        logger.warning("store_event_not_applied", event_id=str(event_id), state=state, detail=detail)
    return state


def apply_waiting(*, now: datetime | None = None) -> int:
    """Apply events that were kept but not applied: their promise was lost, or their store was away."""
    moment = now or timezone.now()
    waiting = StoreEvent.objects.filter(
        state__in=[State.PENDING, State.FAILED],
        created_at__lte=moment - RETRY_AFTER,
        attempts__lt=MOST_ATTEMPTS,
    ).order_by("attempts", "created_at")
    ids = list(waiting.values_list("id", flat=True)[:RETRY_BATCH])
    for event_id in ids:
        try:
            apply_event(event_id, now=now)
        except Exception as error:
            logger.exception("store_event_broke", event_id=str(event_id))
            _mark(event_id, State.FAILED, f"{type(error).__name__}: {error}")
    return len(ids)


def forget_old_events(*, now: datetime | None = None) -> int:
    """Delete events that were dealt with long ago; answers how many."""
    dealt_with = StoreEvent.objects.filter(state__in=[State.APPLIED, State.IGNORED])
    return dealt_with.filter(created_at__lt=(now or timezone.now()) - KEPT).delete()[0]


def apply_told(told: Told, *, now: datetime | None = None) -> None:
    """Write down what a store answered, subscriptions before payments: all of it, or nothing where a part
    contradicts our books. Harmless when repeated. Raises NotOurs and Quarantined.
    """
    database.atomically(lambda: _apply_told(told, now))


def _apply_told(told: Told, now: datetime | None) -> None:
    for subscription in told.subscriptions:
        subscriptions.apply_facts(store=told.store, facts=subscription, asked_at=told.asked_at, now=now)
    for payment in told.payments:
        payments.apply_facts(store=told.store, facts=payment, asked_at=told.asked_at, now=now)
    for order_id in told.expired_orders:
        Order.objects.filter(id=order_id, store=told.store, state=Order.State.OPEN).update(
            state=Order.State.EXPIRED, ended_at=now or timezone.now()
        )
    for task, arguments in told.afterwards:
        jobs.enqueue(task, **arguments)


def _write(event: StoreEvent, told: Told, now: datetime | None) -> str:
    def work() -> None:
        apply_told(told, now=now)
        StoreEvent.objects.filter(id=event.id).update(
            state=State.APPLIED, applied_at=timezone.now(), detail=""
        )

    database.atomically(work)
    metrics.EVENT_LAG.observe(max((timezone.now() - event.created_at).total_seconds(), 0))
    return State.APPLIED


def _mark(event_id: UUID, state: State, detail: str) -> str:
    StoreEvent.objects.filter(id=event_id).exclude(state=State.APPLIED).update(
        state=state, detail=detail[:2000]
    )
    return state


def _quarantine(event: StoreEvent, detail: str) -> str:
    with transaction.atomic():
        _mark(event.id, State.QUARANTINED, detail)
        jobs.enqueue("billing.tell_staff_of_event", key=str(event.id), event_id=str(event.id))
    return State.QUARANTINED


def _ask(event: StoreEvent) -> Told:
    return _askers[Store(event.store)](event)


def ask_stripe(kind: str, object_id: str) -> Told:
    """What Stripe, or the test shop, says now of an object. Raises StoreError, ShopClosed."""
    connection = stripe_connection.connect()
    asked_at = database.clock()
    found = stripe_facts.about(connection, kind, object_id)
    return Told(connection.store, asked_at, found.subscriptions, found.payments, found.expired_orders)


def _ask_stripe(event: StoreEvent) -> Told:
    connection = stripe_connection.connect()
    if connection.store != event.store:
        raise NotOurs(f"this shop is {connection.store} now")
    return ask_stripe(event.kind, event.object_id)


_askers: dict[Store, Ask] = dict.fromkeys(STRIPE_LIKE, _ask_stripe)


def register_store(store: Store, ask: Ask) -> None:
    """Tell how to ask another store about its events."""
    _askers[store] = ask
