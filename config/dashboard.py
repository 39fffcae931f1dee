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
from billing.models import Store
from billing.services import closing
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
    may_see_money = request.user.has_perm("billing.view_payment")
    context.update(
        {
            "figures": _figures(now) + (_headlines(now) if may_see_money else []),
            "may_see_money": may_see_money,
            "charts": _charts(since),
            "readiness": readiness,
            "providers": ai.statistics.provider_health(now - timedelta(days=1)),
            "ledger_check": billing.statistics.last_ledger_check(),
            "chart_options": json.dumps(_OPTIONS),
        }
    )
    return context


def money(now: datetime | None = None) -> dict[str, Any]:
    """The context of `admin/money.html`: whether it earns, in the operator's time zone."""
    now = now or timezone.localtime()
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    revenue, recurring = billing.statistics.revenue(now), billing.statistics.recurring()
    active = chat.statistics.count_active_people(now - billing.statistics.LAST)
    return {
        "title": _("Does it earn"),
        "figures": [*_earned(revenue, recurring, active), *_kept(now), *_owed()],
        "stores": [
            (Store(store).label, _money({currency: amount}))
            for (store, currency), amount in sorted(revenue.by_store.items())
        ],
        "tiers": [
            (tier, _money({currency: amount})) for (tier, currency), amount in recurring.by_tier.items()
        ],
        "webhooks": billing.statistics.webhooks(now),
        "approvals": billing.statistics.count_waiting_approvals(),
        "reconciliation": billing.statistics.last_reconciliation(),
        "ledger_check": billing.statistics.last_ledger_check(),
        "test_business": closing.test_business(),
        "charts": _revenue_charts(since),
        "chart_options": json.dumps(_OPTIONS),
    }


def _earned(
    revenue: billing.statistics.Revenue, recurring: billing.statistics.Recurring, active: int
) -> list[Figure]:
    per_person = billing.statistics.per_person(revenue.month, active)
    return [
        Figure(_("Revenue today"), _money(revenue.today), _("less refunds, with taxes")),
        Figure(
            _("Revenue"),
            _money(revenue.month),
            _("30 days; %(returned)s went back") % {"returned": _money(revenue.returned)},
        ),
        Figure(
            _("Recurring revenue"),
            _money(recurring.total),
            _("a month, from %(count)s subscriptions") % {"count": f"{recurring.subscribers:,}"},
        ),
        Figure(_("Revenue a person"), _money(per_person), _("30 days, active people")),
        _share(
            _("People who paid"),
            billing.statistics.Part(revenue.payers, active),
            _("of active people, 30 days"),
        ),
    ]


def _kept(now: datetime) -> list[Figure]:
    return [
        _share(_("Churn"), billing.statistics.churn(now), _("of subscriptions, 30 days")),
        _share(_("Trials paid for"), billing.statistics.trials_paid(now), _("of those that are over")),
    ]


def _owed() -> list[Figure]:
    outstanding = billing.statistics.outstanding_credits()
    return [
        _outstanding(outstanding),
        Figure(
            _("Credits owed to us"),
            format_credits(outstanding.debt),
            _("by %(count)s people") % {"count": f"{outstanding.debtors:,}"},
        ),
        Figure(_("Credits frozen"), format_credits(outstanding.frozen), _("while banks decide")),
    ]


def _share(label: str, part: billing.statistics.Part, of: str) -> Figure:
    value = "-" if part.percent is None else f"{part.percent} %"
    return Figure(label, value, f"{part.count:,} / {part.of:,} {of}")


def _money(amounts: Mapping[str, int]) -> str:
    """Each currency by itself: `8.99 EUR, 10.00 USD`."""
    return ", ".join(_amount(amounts[currency], currency) for currency in sorted(amounts)) or "0"


def _amount(amount: int, currency: str) -> str:
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100:,}.{abs(amount) % 100:02d} {currency}"


def _revenue_charts(since: datetime) -> list[Chart]:
    by_currency = billing.statistics.revenue_by_day(since)
    return [
        _chart(
            _("Revenue, %(currency)s") % {"currency": currency},
            "bar",
            since,
            {day: amount / 100 for day, amount in days.items()},
        )
        for currency, days in by_currency.items()
    ]


def _outstanding(outstanding: billing.statistics.Outstanding) -> Figure:
    return Figure(
        _("Credits outstanding"),
        format_credits(outstanding.total),
        _("bonus %(bonus)s, purchased %(purchased)s")
        % {
            "bonus": format_credits(outstanding.bonus),
            "purchased": format_credits(outstanding.purchased),
        },
    )


def _headlines(now: datetime) -> list[Figure]:
    revenue, recurring = billing.statistics.revenue(now), billing.statistics.recurring()
    return [
        Figure(_("Revenue"), _money(revenue.month), _("30 days, less refunds")),
        Figure(_("Recurring revenue"), _money(recurring.total), _("a month")),
        _share(_("Churn"), billing.statistics.churn(now), _("of subscriptions, 30 days")),
    ]


def _figures(now: datetime) -> list[Figure]:
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
        _outstanding(billing.statistics.outstanding_credits()),
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
