"""A wallet's history as a list a person can read: replies of one talk on one day are one line."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing import selectors
from billing.models import Hold, LedgerTransaction

LINES_A_PAGE = 60
Kind = LedgerTransaction.Kind
GIVEN_BACK = "given_back"
# What is told beside the kind: which pack, which plan.
_NAMED = frozenset({Kind.PURCHASE, Kind.PLAN, Kind.REFUND, Kind.CHARGEBACK})

# Why a hold was given back whole, by the reason it was released with.
REASONS: dict[str, Any] = {
    "stopped": gettext_lazy("stopped before the first word"),
    "stopped_early": gettext_lazy("stopped before the first word"),
    "interrupted": gettext_lazy("interrupted on our side"),
    "not_started": gettext_lazy("it could not be started in time"),
    "provider_unavailable": gettext_lazy("the model did not answer"),
    "internal_error": gettext_lazy("something went wrong on our side"),
    "empty_reply": gettext_lazy("the model answered with nothing"),
    "content_blocked": gettext_lazy("the model declined to answer"),
    "staff": gettext_lazy("given back by support"),
    "expired": gettext_lazy("it never ended"),
}

# Answers what a hold was for, by its reference, as far as it is still known.
Namer = Callable[[UUID, list[str]], dict[str, str]]
_namers: list[Namer] = []


@dataclass(slots=True)
class HistoryLine:
    """`amount` in microcredits, over `count` movements, of which the latest left `balance_after`."""

    kind: str
    label: str
    day: date
    at: datetime
    amount: int
    balance_after: int = 0
    note: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """`older_than` is the number of the transaction the next page starts below; None on the last page."""

    lines: list[HistoryLine]
    older_than: int | None


def register_namer(namer: Namer) -> None:
    """Tell how to name holds made by another app."""
    _namers.append(namer)


def get_history(user_id: UUID, *, before: int | None = None) -> HistoryPage:
    """What moved, latest first, and between it what was set aside and given back without a charge."""
    transactions = selectors.list_transactions(user_id)
    if before is not None:
        transactions = transactions.filter(number__lt=before)
    rows = list(transactions[: LINES_A_PAGE + 1])
    page = rows[:LINES_A_PAGE]
    has_more = len(rows) > LINES_A_PAGE
    since = page[-1].created_at if has_more else None
    holds = _given_back(user_id, since=since, until=_moment_of(user_id, before))
    lines = [_line(row) for row in page] + _hold_lines(user_id, holds)
    lines.sort(key=lambda line: line.at, reverse=True)
    return HistoryPage(_joined(lines), page[-1].number if has_more else None)


def _line(transaction: LedgerTransaction) -> HistoryLine:
    is_named = transaction.kind in _NAMED or not transaction.description
    return HistoryLine(
        kind=transaction.kind,
        label=transaction.get_kind_display() if is_named else transaction.description,
        note=transaction.description if transaction.kind in _NAMED else "",
        day=timezone.localdate(transaction.created_at),
        at=transaction.created_at,
        amount=transaction.amount,
        balance_after=transaction.balance_after,
    )


def _moment_of(user_id: UUID, number: int | None) -> datetime | None:
    if number is None:
        return None
    found = LedgerTransaction.objects.filter(wallet_id=user_id, number=number)
    return found.values_list("created_at", flat=True).first()


def _given_back(user_id: UUID, *, since: datetime | None, until: datetime | None) -> list[Hold]:
    holds = Hold.objects.filter(wallet_id=user_id, state__in=[Hold.State.RELEASED, Hold.State.EXPIRED])
    if since is not None:
        holds = holds.filter(resolved_at__gte=since)
    if until is not None:
        holds = holds.filter(resolved_at__lt=until)
    return list(holds.order_by("-resolved_at", "-id")[:LINES_A_PAGE])


def _hold_lines(user_id: UUID, holds: list[Hold]) -> list[HistoryLine]:
    names: dict[str, str] = {}
    for namer in _namers if holds else ():
        names |= namer(user_id, [hold.reference for hold in holds])
    return [_hold_line(hold, names) for hold in holds]


def _hold_line(hold: Hold, names: dict[str, str]) -> HistoryLine:
    resolved_at = hold.resolved_at or hold.created_at
    reason = REASONS.get("expired" if hold.state == Hold.State.EXPIRED else hold.reason)
    return HistoryLine(
        kind=GIVEN_BACK,
        label=names.get(hold.reference) or _("A reply"),
        note=_("not charged, %(reason)s") % {"reason": reason} if reason else _("not charged"),
        day=timezone.localdate(resolved_at),
        at=resolved_at,
        amount=0,
    )


def _joined(lines: Iterable[HistoryLine]) -> list[HistoryLine]:
    """Neighbours that say the same become one."""
    joined: list[HistoryLine] = []
    for line in lines:
        last = joined[-1] if joined else None
        if (
            last is not None
            and line.kind in (Kind.CHARGE, GIVEN_BACK)
            and (last.kind, last.day, last.label, last.note) == (line.kind, line.day, line.label, line.note)
        ):
            last.amount += line.amount
            last.count += 1
            continue
        joined.append(line)
    return joined
