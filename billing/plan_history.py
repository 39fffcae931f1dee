"""What happened to somebody's subscriptions, in sentences."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing import selectors
from billing.models import Plan, Subscription, SubscriptionEvent, Tier

LINES_SHOWN = 50
State = Subscription.State

_ENTERED: dict[str, Any] = {
    State.PENDING: gettext_lazy("%(plan)s waits for its first payment"),
    State.TRIALING: gettext_lazy("The trial of %(plan)s began"),
    State.ACTIVE: gettext_lazy("%(plan)s began"),
    State.GRACE: gettext_lazy("The payment for %(plan)s failed; it is tried again"),
    State.ON_HOLD: gettext_lazy("%(plan)s rests until it is paid"),
    State.CANCELLED: gettext_lazy("%(plan)s was cancelled and runs until %(end)s"),
    State.EXPIRED: gettext_lazy("%(plan)s ended"),
}
_ACTIVE_AGAIN: dict[str, Any] = {
    State.PENDING: gettext_lazy("%(plan)s began"),
    State.TRIALING: gettext_lazy("%(plan)s began after its trial"),
    State.GRACE: gettext_lazy("%(plan)s was paid"),
    State.ON_HOLD: gettext_lazy("%(plan)s was paid and goes on"),
    State.CANCELLED: gettext_lazy("%(plan)s was resumed"),
}


@dataclass(frozen=True, slots=True)
class PlanLine:
    at: datetime
    words: str


def list_lines(user_id: UUID) -> list[PlanLine]:
    """The latest changes, newest first; three queries, however many there are."""
    events = list(selectors.list_subscription_events(user_id)[:LINES_SHOWN])
    names = dict(Tier.objects.values_list("slug", "name")) | dict(Plan.objects.values_list("slug", "name"))
    return [PlanLine(event.created_at, _sentence(event, names)) for event in events]


def _sentence(event: SubscriptionEvent, names: dict[str, str]) -> str:
    known = {"plan": _name(event.plan, names), "end": _day(event.period_end)}
    changes = event.changes
    if event.from_state != event.to_state:
        is_again = event.to_state == State.ACTIVE and event.from_state in _ACTIVE_AGAIN
        return str((_ACTIVE_AGAIN[event.from_state] if is_again else _ENTERED[event.to_state]) % known)
    if "refused_plan" in changes:
        return _("The payment for changing to %(next)s was refused") % {
            "next": _name(changes["refused_plan"][1], names)
        }
    if "plan_id" in changes:
        return _("%(before)s became %(plan)s") % {**known, "before": _name(changes["plan_id"][0], names)}
    if "next_plan_id" in changes:
        return _planned(changes["next_plan_id"][1], known, names)
    if "period_end" in changes:
        return _("%(plan)s was renewed until %(end)s") % known
    return _("%(plan)s was brought up to date") % known


def _planned(slug: str | None, known: dict[str, str], names: dict[str, str]) -> str:
    if slug is None:
        return _("%(plan)s stays; the planned change was taken back") % known
    return _("%(plan)s will become %(next)s on %(end)s") % {**known, "next": _name(slug, names)}


def _name(slug: str | None, names: dict[str, str]) -> str:
    return _(names[slug]) if slug in names else (slug or "")


def _day(moment: datetime | None) -> str:
    return date_format(localtime(moment), "DATE_FORMAT") if moment is not None else ""
