"""What somebody used, by day, hour, persona and model. Always what the ledger says, to the microcredit.

The slots hold what is added up already; charges above the wallet's mark come straight from the ledger. Both
are read by one statement, and so from one moment.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from accounts.models import User
from billing.models import UsageExport
from common.errors import NotFound

# How one charge is read, by the reports and by the job that adds them up.
CHARGE_COLUMNS = """
    date_bin('15 minutes', t.created_at, timestamptz '2000-01-01 00:00+00') AS starts_at,
    CASE WHEN pg_input_is_valid(t.details ->> 'persona', 'uuid') THEN (t.details ->> 'persona')::uuid END
      AS persona_id,
    left(coalesce(t.details ->> 'persona_name', t.description), 300) AS label,
    left(coalesce(t.details ->> 'model', ''), 200) AS model,
    1 AS charges,
    (t.details -> 'output_tokens' IS NOT NULL)::int AS replies,
    CASE WHEN jsonb_typeof(t.details -> 'input_tokens') = 'number'
         THEN (t.details -> 'input_tokens')::bigint ELSE 0 END AS input_tokens,
    CASE WHEN jsonb_typeof(t.details -> 'output_tokens') = 'number'
         THEN (t.details -> 'output_tokens')::bigint ELSE 0 END AS output_tokens,
    CASE WHEN jsonb_typeof(t.details -> 'cached_tokens') = 'number'
         THEN (t.details -> 'cached_tokens')::bigint ELSE 0 END AS cached_tokens,
    -t.amount AS credits
"""
_LINES = f"""
WITH lines AS (
    SELECT starts_at, persona_id, label, model, charges, replies, input_tokens, output_tokens, cached_tokens,
           credits
      FROM billing_usageslot
     WHERE user_id = %(user)s AND starts_at >= %(start)s AND starts_at < %(end)s
    UNION ALL
    SELECT {CHARGE_COLUMNS}
      FROM billing_ledgertransaction t
     WHERE t.user_id = %(user)s AND t.kind = 'charge'
       AND t.number > coalesce((SELECT through_number FROM billing_usagemark WHERE user_id = %(user)s), 0)
       AND t.created_at >= %(start)s AND t.created_at < %(end)s
)
"""  # noqa: S608 - the columns are ours
_SUMS = "sum(credits), sum(replies), sum(input_tokens), sum(output_tokens), sum(cached_tokens)"
_BY_DAY = f"{_LINES} SELECT (starts_at AT TIME ZONE %(zone)s)::date AS day, {_SUMS} FROM lines GROUP BY day"  # noqa: S608
_BY_EVERYTHING = f"""
{_LINES}, told AS (
    SELECT *, (starts_at AT TIME ZONE %(zone)s)::date AS day,
           extract(hour FROM starts_at AT TIME ZONE %(zone)s)::int AS hour,
           starts_at >= %(middle)s AS is_now,
           coalesce(persona_id::text, '') AS persona,
           CASE WHEN persona_id IS NULL THEN label ELSE '' END AS other
      FROM lines
)
SELECT grouping(day, hour, persona, model), day, hour, persona, other, model,
       (array_agg(label ORDER BY starts_at DESC))[1], {_SUMS}
  FROM told
 GROUP BY GROUPING SETS ((is_now, day), (is_now, hour), (is_now, persona, other), (is_now, model))
HAVING is_now OR grouping(day) = 0
"""  # noqa: S608
# What `grouping()` answers for each of the sets: a bit for each column the row is not about.
_DAY, _HOUR, _PERSONA, _MODEL = 0b0111, 0b1011, 0b1101, 0b1110

EARLIEST = date(2000, 1, 1)
LATEST = date(2100, 1, 1)
LONGEST_HISTORY = 366
_MOST_LINES = 50
_PEAK_HOURS = 3


@dataclass(slots=True)
class Figures:
    """Credits are microcredits; tokens read include those from the cache."""

    credits: int = 0
    replies: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.credits + other.credits,
            self.replies + other.replies,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(slots=True)
class Line:
    """The figures of one day, hour, weekday (1 is Monday), persona or model."""

    figures: Figures
    day: date | None = None
    hour: int | None = None
    weekday: int | None = None
    persona: UUID | None = None
    name: str = ""
    # Of the period's credits, in per cent.
    share: int = 0


@dataclass(frozen=True, slots=True)
class History:
    first: date
    last: date
    zone: str
    days: list[Line]

    @property
    def totals(self) -> Figures:
        return total_of(self.days)


@dataclass(frozen=True, slots=True)
class Analytics:
    """A period of whole days that ends today, beside the equally long one before it."""

    first: date
    last: date
    zone: str
    days: list[Line]
    totals: Figures
    previous_first: date
    previous_last: date
    previous: Figures
    hours: list[Line]
    peak_hours: list[int]
    weekdays: list[Line]
    personas: list[Line] = field(default_factory=list)
    models: list[Line] = field(default_factory=list)

    @property
    def credits_per_day(self) -> int:
        return self.totals.credits // len(self.days)

    @property
    def credits_per_reply(self) -> int | None:
        return self.totals.credits // self.totals.replies if self.totals.replies else None

    @property
    def change(self) -> int:
        return self.totals.credits - self.previous.credits

    @property
    def change_percent(self) -> int | None:
        return round(100 * self.change / self.previous.credits) if self.previous.credits else None


def zone_of(user_id: UUID) -> str:
    """The user's time zone; the operator's for somebody who has not said."""
    own = User.objects.filter(id=user_id).values_list("time_zone", flat=True).first()
    return own or settings.TIME_ZONE


def today_in(zone: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(zone)).date()


def midnight_of(day: date, zone: str) -> datetime:
    """When the day begins there; where clocks skip midnight, the first moment after it."""
    return datetime.combine(day, time.min, ZoneInfo(zone))


def get_history(user_id: UUID, *, first: date, last: date, zone: str) -> History:
    """Every day from `first` to `last`, both included, also those without use."""
    rows = _rows(_BY_DAY, user_id, first, last, zone)
    found = {day: Figures(*map(int, sums)) for day, *sums in rows}
    return History(first, last, zone, _every_day(found, first, last))


def get_analytics(user_id: UUID, *, days: int, zone: str, now: datetime) -> Analytics:
    """The last `days` days, today included, and how they differ from those before."""
    last = today_in(zone, now)
    first = last - timedelta(days=days - 1)
    before = first - timedelta(days=days)
    middle = midnight_of(first, zone)
    by_day: dict[date, Figures] = {}
    by_hour: dict[int, Figures] = {}
    personas: list[Line] = []
    models: list[Line] = []
    for kind, day, hour, persona, other, model, label, *sums in _rows(
        _BY_EVERYTHING, user_id, before, last, zone, middle=middle
    ):
        figures = Figures(*map(int, sums))
        if kind == _DAY:
            by_day[day] = by_day.get(day, Figures()) + figures
        elif kind == _HOUR:
            by_hour[hour] = figures
        elif kind == _PERSONA:
            personas.append(Line(figures, persona=UUID(persona) if persona else None, name=other or label))
        else:
            models.append(Line(figures, name=model))
    all_days = _every_day(by_day, before, last)
    own_days = all_days[days:]
    totals = total_of(own_days)
    return Analytics(
        first=first,
        last=last,
        zone=zone,
        days=own_days,
        totals=totals,
        previous_first=before,
        previous_last=first - timedelta(days=1),
        previous=total_of(all_days[:days]),
        hours=[Line(by_hour.get(hour, Figures()), hour=hour) for hour in range(24)],
        peak_hours=_peaks(by_hour),
        weekdays=_by_weekday(own_days),
        personas=_largest(personas, totals),
        models=_largest(models, totals),
    )


def daily_credits(user_id: UUID, *, first: date, last: date, zone: str) -> list[int]:
    """What each day cost, in microcredits."""
    return [line.figures.credits for line in get_history(user_id, first=first, last=last, zone=zone).days]


def get_usage_export(user_id: UUID, export_id: UUID) -> UsageExport:
    """Raises NotFound for what is not the user's."""
    export = UsageExport.objects.filter(user_id=user_id, id=export_id).first()
    if export is None:
        raise NotFound
    return export


def find_latest_usage_export(user_id: UUID) -> UsageExport | None:
    return UsageExport.objects.filter(user_id=user_id).order_by("-created_at", "-id").first()


def total_of(lines: list[Line]) -> Figures:
    return sum((line.figures for line in lines), Figures())


def _rows(
    statement: str, user_id: UUID, first: date, last: date, zone: str, **more: Any
) -> list[tuple[Any, ...]]:
    start, end = midnight_of(first, zone), midnight_of(last + timedelta(days=1), zone)
    with connection.cursor() as cursor:
        cursor.execute(statement, {"user": user_id, "start": start, "end": end, "zone": zone, **more})
        return cursor.fetchall()


def _every_day(found: dict[date, Figures], first: date, last: date) -> list[Line]:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [Line(found.get(day, Figures()), day=day) for day in days]


def _by_weekday(days: list[Line]) -> list[Line]:
    lines = [Line(Figures(), weekday=number) for number in range(1, 8)]
    for line in days:
        assert line.day is not None
        lines[line.day.weekday()].figures += line.figures
    return lines


def _peaks(by_hour: dict[int, Figures]) -> list[int]:
    used = [(figures.replies, figures.credits, -hour) for hour, figures in by_hour.items()]
    return [-hour for *_, hour in sorted(used, reverse=True)[:_PEAK_HOURS]]


def _largest(lines: list[Line], totals: Figures) -> list[Line]:
    """Most expensive first; what is beyond the first fifty is one line without a name."""
    ordered = sorted(lines, key=lambda line: (-line.figures.credits, -line.figures.replies, line.name))
    shown, rest = ordered[:_MOST_LINES], ordered[_MOST_LINES:]
    if rest:
        shown.append(Line(total_of(rest)))
    for line in shown:
        line.share = round(100 * line.figures.credits / totals.credits) if totals.credits else 0
    return shown
