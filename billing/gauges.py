"""Figures that are looked up when the metrics are read."""

from django.core.cache import cache
from django.db.models import Count, Min, Q, Sum
from django.utils import timezone

from billing import metrics
from billing.models import Approval, Hold, Reconciliation, StoreEvent, Wallet
from common.credits import MICRO

# Sums over every wallet are too much for each look.
_REMEMBERED_SECONDS = 300


def update() -> None:
    _update_holds()
    _update_events()
    owed = cache.get_or_set("billing:gauges:owed", _owed, _REMEMBERED_SECONDS) or (0, 0)
    metrics.DEBT.set(owed[0] / MICRO)
    metrics.FROZEN.set(owed[1] / MICRO)
    metrics.APPROVALS.set(Approval.objects.filter(state=Approval.State.WAITING).count())
    _update_reconciliation()


def _update_holds() -> None:
    held = Hold.objects.filter(state=Hold.State.HELD).aggregate(count=Count("id"), oldest=Min("created_at"))
    metrics.HOLDS_OPEN.set(held["count"])
    age = (timezone.now() - held["oldest"]).total_seconds() if held["oldest"] else 0
    metrics.OLDEST_HOLD.set(max(age, 0))


def _update_events() -> None:
    waiting = StoreEvent.objects.filter(state__in=["pending", "failed"])
    found = waiting.aggregate(count=Count("id"), oldest=Min("created_at"))
    metrics.WAITING.set(found["count"])
    age = (timezone.now() - found["oldest"]).total_seconds() if found["oldest"] else 0
    metrics.OLDEST_WAITING.set(max(age, 0))
    metrics.QUARANTINED.set(
        cache.get_or_set("billing:gauges:quarantined", _quarantined, _REMEMBERED_SECONDS) or 0
    )


def _update_reconciliation() -> None:
    """From the row, so that every process says the same, whichever made the comparison."""
    latest = Reconciliation.objects.exclude(finished_at=None).order_by("-created_at").first()
    if latest is None:
        return
    metrics.RECONCILED.set(latest.state == Reconciliation.State.CLEAN)
    for currency, amount in latest.difference.items():
        metrics.DIFFERENCE.labels(currency).set(amount)


def _quarantined() -> int:
    return StoreEvent.objects.filter(state=StoreEvent.State.QUARANTINED).count()


def _owed() -> tuple[int, int]:
    sums = Wallet.objects.filter(Q(debt__gt=0) | Q(frozen__gt=0)).aggregate(
        debt=Sum("debt"), frozen=Sum("frozen")
    )
    return sums["debt"] or 0, sums["frozen"] or 0
