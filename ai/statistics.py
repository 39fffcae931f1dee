"""Tokens and cost for the operators' dashboard."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDate

from ai.models import ModelCall


@dataclass(frozen=True, slots=True)
class DayOfCalls:
    tokens: int
    cost_micro_usd: int


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    provider: str
    calls: int
    failed: int


def calls_by_day(since: datetime) -> dict[date, DayOfCalls]:
    rows = (
        ModelCall.objects.filter(created_at__gte=since)
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(tokens=Sum(F("input_tokens") + F("output_tokens")), cost=Sum("cost_micro_usd"))
    )
    return {row["day"]: DayOfCalls(row["tokens"], row["cost"]) for row in rows}


def provider_health(since: datetime) -> list[ProviderHealth]:
    rows = (
        ModelCall.objects.filter(created_at__gte=since)
        .values("provider")
        .annotate(calls=Count("id"), failed=Count("id", filter=Q(status=ModelCall.Status.FAILED)))
        .order_by("provider")
    )
    return [ProviderHealth(row["provider"], row["calls"], row["failed"]) for row in rows]
