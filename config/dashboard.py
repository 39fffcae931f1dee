"""The admin's first page: is it healthy, is it growing, what does it cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

import accounts.statistics
import ai.statistics
import billing.statistics
import chat.statistics
from common import health
from common.credits import MICRO, format_credits

DAYS = 30
_EMBER = "var(--color-primary-500)"
_INK = "var(--color-base-400)"


@dataclass(frozen=True, slots=True)
class Figure:
    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    kind: str
    data: str
    summary: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fill the context of `admin/index.html`; numbers of the last 30 days in the operator's time zone."""
    now = timezone.localtime()
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    readiness = health.readiness()
    context.update(
        {
            "figures": _figures(now),
            "charts": _charts(since),
            "readiness": readiness,
            "providers": ai.statistics.provider_health(now - timedelta(days=1)),
            "ledger_check": billing.statistics.last_ledger_check(),
            "chart_options": json.dumps(_OPTIONS),
        }
    )
    return context


def _figures(now: datetime) -> list[Figure]:
    outstanding = billing.statistics.outstanding_credits()
    return [
        Figure(_("People"), f"{accounts.statistics.count_users():,}"),
        Figure(
            _("Active today"),
            f"{chat.statistics.count_active_people(now - timedelta(days=1)):,}",
            _("24 hours"),
        ),
        Figure(
            _("Active this week"),
            f"{chat.statistics.count_active_people(now - timedelta(days=7)):,}",
            _("7 days"),
        ),
        Figure(
            _("Active this month"),
            f"{chat.statistics.count_active_people(now - timedelta(days=30)):,}",
            _("30 days"),
        ),
        Figure(_("Replies running"), f"{chat.statistics.count_live_replies():,}", _("now")),
        Figure(
            _("Credits outstanding"),
            format_credits(outstanding.total),
            _("bonus %(bonus)s, purchased %(purchased)s")
            % {
                "bonus": format_credits(outstanding.bonus),
                "purchased": format_credits(outstanding.purchased),
            },
        ),
    ]


def _charts(since: datetime) -> list[Chart]:
    calls = ai.statistics.calls_by_day(since)
    tokens = {day: row.tokens for day, row in calls.items()}
    cost = {day: round(row.cost_micro_usd / MICRO, 4) for day, row in calls.items()}
    charged = {
        day: round(amount / MICRO, 4) for day, amount in billing.statistics.charged_by_day(since).items()
    }
    return [
        _chart(gettext_lazy("Sign-ups"), "bar", since, accounts.statistics.sign_ups_by_day(since)),
        _chart(gettext_lazy("Active people"), "line", since, chat.statistics.active_people_by_day(since)),
        _chart(gettext_lazy("Replies"), "bar", since, chat.statistics.replies_by_day(since)),
        _chart(gettext_lazy("Tokens"), "line", since, tokens),
        _chart(gettext_lazy("Cost of models, USD"), "bar", since, cost),
        _chart(gettext_lazy("Credits charged"), "line", since, charged),
    ]


def _chart(title: Any, kind: str, since: datetime, values: Mapping[date, float]) -> Chart:
    days = [since.date() + timedelta(days=offset) for offset in range(DAYS)]
    series = [values.get(day, 0) for day in days]
    data = {
        "labels": [f"{day:%d %b}" for day in days],
        "datasets": [{"label": str(title), "data": series, "borderColor": _EMBER, "backgroundColor": _EMBER}],
    }
    summary = _("%(total)s in %(days)s days, %(today)s today") % {
        "total": f"{sum(series):,.10g}",
        "days": DAYS,
        "today": f"{series[-1]:,.10g}",
    }
    return Chart(str(title), kind, json.dumps(data), summary)


_OPTIONS = {
    "responsive": True,
    "maintainAspectRatio": False,
    "animation": False,
    "plugins": {"legend": {"display": False}},
    "scales": {
        "x": {"grid": {"display": False}, "ticks": {"color": _INK, "maxTicksLimit": 8, "maxRotation": 0}},
        "y": {"beginAtZero": True, "ticks": {"color": _INK, "maxTicksLimit": 5}},
    },
}
