"""Counts for the operators' dashboard. A person is active on a day they had a reply made."""

from datetime import date, datetime

from django.db.models import Count
from django.db.models.functions import TruncDate

from chat.models import Generation


def replies_by_day(since: datetime) -> dict[date, int]:
    rows = (
        Generation.objects.filter(created_at__gte=since)
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(count=Count("id"))
    )
    return {row["day"]: row["count"] for row in rows}


def active_people_by_day(since: datetime) -> dict[date, int]:
    rows = (
        Generation.objects.filter(created_at__gte=since)
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(count=Count("user", distinct=True))
    )
    return {row["day"]: row["count"] for row in rows}


def count_active_people(since: datetime) -> int:
    return Generation.objects.filter(created_at__gte=since).aggregate(people=Count("user", distinct=True))[
        "people"
    ]


def count_live_replies() -> int:
    return Generation.objects.filter(status__in=Generation.LIVE).count()


def replies_by_outcome(since: datetime) -> dict[str, int]:
    rows = Generation.objects.filter(created_at__gte=since).values("status").annotate(count=Count("id"))
    return {row["status"]: row["count"] for row in rows}
