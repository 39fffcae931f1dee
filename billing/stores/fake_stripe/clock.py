"""A clock that can be moved forward, and the calendar of billing periods."""

import calendar
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .store import Store

DAY = 86_400


class Clock:
    """Real time plus what was added to it. `advance` does all that falls due on the way, in order."""

    def __init__(self, store: Store, pass_time: Callable[[int], None]) -> None:
        self._store = store
        self._state = store.find("clock") or store.add({"id": "clock", "object": "clock", "offset": 0})
        self._pass_time = pass_time
        self._moment: int | None = None

    def now(self) -> int:
        if self._moment is not None:
            return self._moment
        return int(time.time()) + int(self._state["offset"])

    def advance(self, days: float = 0, hours: float = 0, seconds: float = 0) -> None:
        """Move forward and do what falls due."""
        step = round(days * DAY + hours * 3600 + seconds)
        if step < 0:
            raise ValueError("Time only moves forward.")
        self._pass_time(step)

    def shift(self, seconds: int) -> None:
        self._state["offset"] += seconds
        self._store.add(self._state)

    def stand_at(self, moment: int | None) -> None:
        """Hold the hands at a moment while its work is done; None lets them run again."""
        self._moment = moment


def months_later(start: int, months: int) -> int:
    """The same day and time of a later month, or that month's last day."""
    moment = datetime.fromtimestamp(start, UTC)
    count = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(count, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def later(start: int, interval: str, count: int) -> int:
    """`start` plus `count` days, weeks, months or years."""
    if interval in ("month", "year"):
        return months_later(start, count * (12 if interval == "year" else 1))
    days = count * (7 if interval == "week" else 1)
    return start + int(timedelta(days=days).total_seconds())


def period_end(anchor: int, start: int, interval: str, count: int) -> int:
    """The first billing moment after `start`, counted from the anchor: the 31st stays a month's end."""
    # One step fewer than fits: months differ in length.
    longest = {"day": DAY, "week": 7 * DAY, "month": 31 * DAY, "year": 366 * DAY}[interval] * count
    steps = max(0, (start - anchor) // longest - 1)
    while later(anchor, interval, steps * count) <= start:
        steps += 1
    return later(anchor, interval, steps * count)


def day(moment: int | None) -> str:
    """A date a person can read."""
    if moment is None:
        return "—"
    shown = datetime.fromtimestamp(moment, UTC)
    return f"{shown.day} {shown:%B %Y}"
