"""Figures that are looked up when the metrics are read."""

from django.db.models import Count, Min
from django.utils import timezone

from billing import metrics
from billing.models import Hold


def update() -> None:
    held = Hold.objects.filter(state=Hold.State.HELD).aggregate(count=Count("id"), oldest=Min("created_at"))
    metrics.HOLDS_OPEN.set(held["count"])
    age = (timezone.now() - held["oldest"]).total_seconds() if held["oldest"] else 0
    metrics.OLDEST_HOLD.set(max(age, 0))
