"""Comparing what we have with what the stores say: ledger, payments, what went back, subscriptions.

Nothing is changed by it, and a part that could not be compared is never called clean.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import connection as db
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import database, invariants, metrics
from billing.models import (
    TEST_STORES,
    Dispute,
    Payment,
    Reconciliation,
    Refund,
    Store,
    StoreEvent,
    Subscription,
)
from billing.services import app_store_comparison, replays, stripe_comparison
from billing.services import google_play as google_service
from billing.services.comparison import BATCH, Comparison, batches, has_business, money
from billing.stores import google_play
from billing.stores.app_store import connection as app_store_connection
from billing.stores.base import StoreError
from billing.stores.stripe.connection import ShopClosed, connect
from common import jobs
from common.errors import DomainError, NotFound

State = Reconciliation.State
logger = structlog.get_logger("parlor.billing")

_LATE = timedelta(hours=1)
# No comparison runs longer: one that still says so has died.
_LONGEST = timedelta(hours=1)
_STORE_ACCOUNT = """
SELECT coalesce(ledger.currency, paid.currency), coalesce(ledger.total, 0), coalesce(paid.total, 0)
  FROM (SELECT account.currency, sum(entry.direction * entry.amount) AS total
          FROM billing_ledgeraccount account JOIN billing_ledgerentry entry ON entry.account_id = account.id
         WHERE account.name = 'store' AND account.user_id IS NULL GROUP BY account.currency) ledger
  FULL JOIN (SELECT currency, sum(amount - returned) AS total
               FROM billing_payment GROUP BY currency) paid USING (currency)
 WHERE coalesce(ledger.total, 0) <> coalesce(paid.total, 0)
"""


def reconcile(*, now: datetime | None = None) -> Reconciliation:
    """Compare everything once and keep what was found; staff hear of whatever is not clean.

    A part that could not be compared makes it incomplete, never clean.
    """
    row = Reconciliation.objects.create()
    _reconcile(row, now or timezone.now())
    return row


def begin() -> Reconciliation:
    """Promise a comparison and answer its row; where one is under way already, that one.

    Call it in a transaction.
    """
    under_way = Reconciliation.objects.filter(
        state=State.RUNNING, created_at__gte=timezone.now() - _LONGEST
    ).order_by("-created_at")
    if (row := under_way.first()) is not None:
        return row
    row = Reconciliation.objects.create()
    jobs.enqueue("billing.run_reconciliation", key=str(row.id), reconciliation_id=str(row.id))
    return row


def carry_out(*, reconciliation_id: UUID) -> None:
    """Make a comparison that was promised; one that came to its end is not made again."""
    row = Reconciliation.objects.get(id=reconciliation_id)
    if row.state == State.RUNNING:
        _reconcile(row, timezone.now())


def _reconcile(row: Reconciliation, now: datetime) -> None:
    found = Comparison(now)
    try:
        for part in _PARTS:
            _run(part, found)
    except BaseException:
        found.problems.append(_("it was stopped"))
        raise
    finally:
        _finish(row, found)


def mend(*, reconciliation_id: UUID) -> int:
    """Ask the stores about everything a reconciliation found different, and write down what they say.

    Answers how many could be asked about. Raises NotFound; a store that is away raises StoreError, and what
    was mended before stays.
    """
    row = Reconciliation.objects.filter(id=reconciliation_id).first()
    if row is None:
        raise NotFound(_("There is no such reconciliation."))
    mended = 0
    for store, external_id in sorted(_to_ask_about(row.differences)):
        try:
            replays.sync_payment(store=Store(store), external_id=external_id)
        except DomainError as error:
            logger.warning("difference_not_mended", store=store, about=external_id, error=str(error))
        else:
            mended += 1
    if any(line["kind"] == "voided_not_returned" for line in row.differences):
        mended += google_service.look_for_voided()
    return mended


def _run(part: Callable[[Comparison], None], found: Comparison) -> None:
    try:
        part(found)
    except (StoreError, ShopClosed) as error:
        found.problems.append(f"{part.__name__.removeprefix('_compare_')}: {error}")


def _finish(row: Reconciliation, found: Comparison) -> None:
    if found.problems:
        row.state = State.INCOMPLETE
    else:
        row.state = State.DIFFERENT if found.differences else State.CLEAN
    if found.left_out:
        found.problems.append(_("%s more differences are not listed") % found.left_out)
    row.finished_at = timezone.now()
    row.compared, row.differences, row.difference = found.compared, found.differences, found.money
    row.detail = "\n".join(found.problems)
    database.atomically(lambda: _save_and_tell(row))
    for currency in {*_currencies(), *found.money}:
        metrics.DIFFERENCE.labels(currency).set(found.money.get(currency, 0))
    logger.info("reconciled", state=row.state, differences=len(found.differences) + found.left_out)


def _save_and_tell(row: Reconciliation) -> None:
    row.save()
    if row.state != State.CLEAN:
        jobs.enqueue("billing.tell_staff_of_reconciliation", key=str(row.id), reconciliation_id=str(row.id))


def _compare_ledger(found: Comparison) -> None:
    promises = invariants.promises()
    for violation in invariants.find_violations(now=found.now):
        for example in violation.rows:
            found.differ("ledger", violation.check, ours=example, theirs=promises[violation.check])
    found.count("checks", len(promises))
    with db.cursor() as cursor:
        cursor.execute(_STORE_ACCOUNT)
        for currency, booked, paid in cursor.fetchall():
            found.differ(
                "store_account",
                f"ledger:{currency}",
                ours=int(booked),
                theirs=int(paid),
                amount=int(booked - paid),
                currency=currency,
            )


def _compare_events(found: Comparison) -> None:
    """What stores told and is not in the books yet."""
    waiting = Q(state__in=["pending", "failed"], created_at__lt=found.now - _LATE)
    aside = Q(state="quarantined", created_at__gte=found.since)
    events = StoreEvent.objects.filter(waiting | aside).order_by("created_at", "id")
    events = events.exclude(store__in=TEST_STORES - {_open_store()})
    for event in events.iterator(BATCH):
        found.differ("event", f"storeevent:{event.id}", ours=event.state, theirs=event.kind)
    found.count("events", StoreEvent.objects.filter(created_at__gte=found.since).count())


def _compare_shop(found: Comparison) -> None:
    try:
        shop = connect()
    except ShopClosed:
        # A test shop that is closed holds no money; Stripe without its key is a gap.
        if has_business(Store.STRIPE, found.since):
            raise
        return
    if shop.store in TEST_STORES and has_business(Store.STRIPE, found.since):
        found.problems.append(_("stripe: there is no key to ask with"))
    stripe_comparison.compare(shop, found)


def _compare_google_play(found: Comparison) -> None:
    """Google lists no payments, only what was voided: each must have come back here too."""
    if not google_play.is_configured():
        if has_business(Store.GOOGLE_PLAY, found.since):
            found.problems.append(_("google play: it is not set up any more"))
        return
    voided = google_play.list_voided(start=found.since)
    for batch in batches(row for row in voided if row.quantity is None and row.voided_at < found.settled):
        found.count("voided", len(batch))
        orders = [row.order_id for row in batch]
        kept = Payment.objects.filter(store=Store.GOOGLE_PLAY, external_id__in=orders)
        for payment in kept.order_by("id"):
            if payment.returned < payment.amount:
                found.differ(
                    "voided_not_returned",
                    f"payment:{payment.id}",
                    ours=money(payment.amount - payment.returned, payment.currency),
                    theirs=_("taken back"),
                    amount=payment.amount - payment.returned,
                    currency=payment.currency,
                )


def _compare_app_store(found: Comparison) -> None:
    """Apple lists nothing of its own accord: each of ours is asked about."""
    if not has_business(Store.APP_STORE, found.since):
        return
    if app_store_connection.is_configured():
        app_store_comparison.compare(found)
    else:
        found.problems.append(_("app store: it is not set up any more"))


_PARTS = (_compare_ledger, _compare_events, _compare_shop, _compare_google_play, _compare_app_store)


def _open_store() -> Store | None:
    try:
        return connect().store
    except ShopClosed:
        return None


def _to_ask_about(differences: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Store and id there of everything that can be asked about."""
    found: set[tuple[str, str]] = set()
    shop = _open_store()
    for line in differences:
        kind, _colon, identity = line["row"].partition(":")
        if not identity:
            if shop and line["kind"].endswith("_missing"):
                found.add((str(shop), kind))
        elif kind == "payment":
            found |= set(Payment.objects.filter(id=identity).values_list("store", "external_id"))
        elif kind == "subscription":
            found |= set(Subscription.objects.filter(id=identity).values_list("store", "external_id"))
        elif kind in ("refund", "dispute"):
            of_payment = Refund if kind == "refund" else Dispute
            rows = of_payment.objects.filter(id=identity)
            found |= set(rows.values_list("payment__store", "payment__external_id"))
    return {(store, external_id) for store, external_id in found if store == shop}


def _currencies() -> list[str]:
    return list(Payment.objects.order_by().values_list("currency", flat=True).distinct())
