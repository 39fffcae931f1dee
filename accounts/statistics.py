"""Counts for the operators' dashboard."""

from datetime import date, datetime

from django.db.models import Count
from django.db.models.functions import TruncDate

from accounts.models import User


def sign_ups_by_day(since: datetime) -> dict[date, int]:
    rows = (
        User.objects.filter(created_at__gte=since)
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(count=Count("id"))
    )
    return {row["day"]: row["count"] for row in rows}


def count_users() -> int:
    return User.objects.count()
