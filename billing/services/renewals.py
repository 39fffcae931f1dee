"""Subscriptions whose time has come: their store is asked, and time decides where it keeps silent."""

import time
from datetime import datetime

import structlog
from django.utils import timezone

from billing import database
from billing.errors import NotOurs, Quarantined
from billing.models import STRIPE_LIKE, Store, Subscription
from billing.services import inbox, subscriptions
from billing.stores.base import StoreError
from billing.stores.stripe import facts
from billing.stores.stripe.connection import connect
from common.errors import Unavailable

logger = structlog.get_logger("parlor.billing")
BATCH = 50
SECONDS = 45.0


def look_at_due(*, now: datetime | None = None) -> int:
    """Ask the stores about subscriptions whose time has come, and move on those they say nothing new of.

    Answers how many changed by time. A store that is away costs nothing but the news: the grace time runs.
    What is not reached in `SECONDS` is looked at in the next round.
    """
    until = time.monotonic() + SECONDS
    moved = 0
    while rows := subscriptions.list_due(now or timezone.now(), BATCH):
        for row in rows:
            moved += _look_at(row, now)
        if time.monotonic() > until:
            break
    return moved


def _look_at(row: Subscription, now: datetime | None) -> bool:
    try:
        _ask(row, now)
    except Exception:
        logger.exception("subscription_broke", subscription=str(row.id))
    return subscriptions.advance(row.id, now=now)


def _ask(row: Subscription, now: datetime | None) -> None:
    asker = _askers.get(Store(row.store))
    if asker is None or row.external_id.startswith("lifetime:"):
        return
    try:
        inbox.apply_told(asker(row.external_id), now=now)
    except (StoreError, NotOurs, Quarantined, Unavailable) as error:
        logger.warning("subscription_not_asked_about", subscription=str(row.id), error=str(error))


def _ask_stripe(external_id: str) -> inbox.Told:
    connection = connect()
    asked_at = database.clock()
    found = facts.about_subscription(connection, external_id)
    return inbox.Told(connection.store, asked_at, found.subscriptions, found.payments)


_askers = dict.fromkeys(STRIPE_LIKE, _ask_stripe)


def register_store(store: Store, ask: object) -> None:
    """Tell how to ask another store about one of its subscriptions."""
    _askers[store] = ask  # type: ignore[assignment]
