"""The operator's daily budget for providers: what is spent, what is under way, when to warn and when to stop.

Today's sum is read every few seconds at most; between two reads this process adds what its own calls
cost. Calls that run count with their worst case, so a process overruns the cap by one call at most.
"""

import threading
import time
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ai import selectors
from ai.cache import MARGIN_SECONDS
from ai.errors import SpendCapReached
from ai.models import SpendLimit
from common import jobs

MICRO = 1_000_000
_REMEMBER_SECONDS = 5.0
# Rows may be committed a little after their time stamp; what is older than this is summed only once.
_SETTLED_AFTER = timedelta(minutes=10)
# An ended call whose log row never came (its process was in trouble) stops counting after this.
_UNLOGGED_SECONDS = 60.0


class DaySpend:
    """What this process knows of today's costs, in micro-USD. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Start anew, as a fresh process would."""
        with self._lock:
            self._day: datetime | None = None
            self._settled_until: datetime | None = None
            self._settled = 0
            self._total = 0
            self._times_logged = 0
            self._fresh_until = 0.0
            self._open: dict[UUID, tuple[int, float]] = {}
            self._warned: set[str] = set()

    def is_fresh(self, now: datetime) -> bool:
        """Whether `read`, called in a moment, answers from memory."""
        is_same_day = self._day == _start_of_day(now + timedelta(seconds=MARGIN_SECONDS))
        return is_same_day and time.monotonic() < self._fresh_until - MARGIN_SECONDS

    def read(self, now: datetime) -> int:
        """Today's logged costs; asks the database when what is remembered has grown old."""
        with self._lock:
            day = _start_of_day(now)
            if self._day == day and time.monotonic() < self._fresh_until:
                return self._total
            if self._day != day:
                self._day, self._settled_until, self._settled = day, day, 0
            since, settled, seen = self._settled_until or day, self._settled, self._times_logged
        # The lock is not held while the database is asked: the event loop takes it too.
        until = max(since, now - _SETTLED_AFTER)
        if until > since:
            settled += selectors.cost_between(since, until)
        total = settled + selectors.cost_between(until)
        with self._lock:
            if self._day == day:
                self._settled_until, self._settled, self._total = until, settled, total
                # A call logged meanwhile may be missing from the sum: then it is good for this once only.
                is_complete = seen == self._times_logged
                self._fresh_until = time.monotonic() + _REMEMBER_SECONDS if is_complete else 0.0
            return total

    def admit(self, call_id: UUID, *, spent: int, worst_case: int, cap: int) -> bool:
        """Start the call if what is spent and what is under way leaves room below the cap."""
        now = time.monotonic()
        with self._lock:
            for call in [key for key, (_cost, until) in self._open.items() if until < now]:
                del self._open[call]
            if spent + sum(cost for cost, _until in self._open.values()) >= cap:
                return False
            self._open[call_id] = (worst_case, now + settings.AI_TOTAL_TIMEOUT + _UNLOGGED_SECONDS)
            return True

    def end(self, call_id: UUID, cost: int) -> None:
        with self._lock:
            if self._open.pop(call_id, None) is not None and cost:
                self._open[call_id] = (cost, time.monotonic() + _UNLOGGED_SECONDS)

    def logged(self, call_id: UUID, cost: int) -> None:
        with self._lock:
            self._open.pop(call_id, None)
            self._total += cost
            self._times_logged += 1

    def first_time(self, warning: str) -> bool:
        with self._lock:
            is_new = warning not in self._warned
            self._warned.add(warning)
            return is_new


today = DaySpend()


def is_remembered() -> bool:
    """Whether admit_call can answer without asking the database."""
    return today.is_fresh(timezone.now()) and selectors.limits.is_fresh


def admit_call(*, call_id: UUID, worst_case: int) -> None:
    """Let a call that may cost `worst_case` micro-USD begin. Raises SpendCapReached; never for a free one.

    Asks the database only where `is_remembered` is False. Until end_call, and then until it is logged, the
    call counts as spent.
    """
    if not worst_case:
        return
    may_ask = not is_remembered()
    limit = selectors.get_spend_limit()
    spent = today.read(timezone.now())
    if may_ask:
        warn_staff(spent, limit)
    cap = int(limit.daily_cap_usd * MICRO)
    if not today.admit(call_id, spent=spent, worst_case=worst_case, cap=cap):
        raise SpendCapReached(retry_after=_seconds_to_midnight(timezone.now()))


def end_call(*, call_id: UUID, cost: int) -> None:
    """The call is over; `cost` counts until record_call has logged it."""
    today.end(call_id, cost)


def check_today() -> None:
    """Warn staff if a limit was passed; periodically, since the call that passed it may be the last."""
    warn_staff(today.read(timezone.now()), selectors.get_spend_limit())


def warn_staff(spent: int, limit: SpendLimit) -> None:
    """Enqueue the emails due at `spent` micro-USD: one a day and threshold, however many processes ask."""
    day = timezone.localdate().isoformat()
    for name, threshold in (("alert", limit.daily_alert_usd), ("cap", limit.daily_cap_usd)):
        if spent >= threshold * MICRO and today.first_time(f"{day}:{name}"):
            with transaction.atomic():
                jobs.enqueue(
                    "ai.mail_spend_warning",
                    key=f"{day}:{name}",
                    day=day,
                    name=name,
                    spent_micro_usd=spent,
                    threshold_usd=str(threshold),
                )


def _start_of_day(now: datetime) -> datetime:
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _seconds_to_midnight(now: datetime) -> int:
    tomorrow = _start_of_day(_start_of_day(now) + timedelta(hours=36))
    return max(int((tomorrow - now).total_seconds()), 1)
