"""What the ledger should do, written a second time in plain Python for the state machine to compare with."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from common.credits import MICRO

DAILY_CREDITS = {"free": 10 * MICRO, "premium": 100 * MICRO, "vip": 500 * MICRO}
MESSAGES = {"free": 10, "premium": None, "vip": None}


_NEVER = datetime.min.replace(tzinfo=UTC)


class Refused(Exception):
    """The operation must be refused, for this reason."""


@dataclass
class HoldModel:
    owner: UUID
    amount: int
    parts: tuple[int, int, int]
    day: date
    expires_at: datetime
    state: str = "held"
    captured: int = 0
    written_off: int = 0


@dataclass
class WalletModel:
    user_id: UUID
    tier: str = "free"
    balance: list[int] = field(default_factory=lambda: [0, 0, 0])
    held: list[int] = field(default_factory=lambda: [0, 0, 0])
    day: date | None = None
    zone: str = ""
    opened_at: datetime = _NEVER
    next_day_at: datetime = _NEVER
    granted: int = 0
    messages_used: int = 0
    number: int = 0
    is_suspended: bool = False

    @property
    def spendable(self) -> list[int]:
        return [balance - held for balance, held in zip(self.balance, self.held, strict=True)]

    def open(self, now: datetime, zone: str) -> None:
        today = now.astimezone(ZoneInfo(zone)).date()
        if self.day is None:
            self.day, self.zone = today - timedelta(days=1), zone
            self.opened_at, self.next_day_at = now - timedelta(days=1), _midnight(today, zone)
        allowed_at = self.next_day_at if zone == self.zone else self.opened_at + timedelta(hours=20)
        if today <= self.day or now < allowed_at:
            return
        lapsed, granted = self.spendable[0], DAILY_CREDITS[self.tier]
        self.number += (lapsed > 0) + (granted > 0)
        self.balance[0] += granted - lapsed
        is_regular = zone == self.zone and self.next_day_at <= _midnight(today, zone)
        self.next_day_at = _midnight(today + timedelta(days=1), zone)
        if not is_regular:
            self.next_day_at = max(self.next_day_at, now + timedelta(hours=20))
        self.day, self.zone, self.opened_at = today, zone, now
        self.granted, self.messages_used = granted, 0

    def reserve(self, amount: int, ttl: timedelta, counts_message: bool, now: datetime) -> HoldModel:
        if self.is_suspended:
            raise Refused("suspended")
        limit = MESSAGES[self.tier]
        if counts_message and limit is not None and self.messages_used >= limit:
            raise Refused("messages")
        if amount > sum(self.spendable):
            raise Refused("insufficient")
        parts, rest = [], amount
        for spendable in self.spendable:
            parts.append(min(rest, spendable))
            rest -= parts[-1]
        self.held = [held + part for held, part in zip(self.held, parts, strict=True)]
        self.messages_used += counts_message
        assert self.day is not None
        return HoldModel(self.user_id, amount, (parts[0], parts[1], parts[2]), self.day, now + ttl)

    def settle(self, hold: HoldModel, state: str, amount: int) -> None:
        hold.state = state
        hold.captured, hold.written_off = min(amount, hold.amount), max(amount - hold.amount, 0)
        rest = hold.captured
        for index, part in enumerate(hold.parts):
            spent = min(rest, part)
            rest -= spent
            self.held[index] -= part
            self.balance[index] -= spent
            if index == 0 and self.day is not None and self.day > hold.day:
                self.balance[0] -= part - spent
                self.number += part > spent
        self.number += amount > 0

    def capture_late(self, hold: HoldModel, amount: int) -> bool:
        if hold.state != "expired" or hold.written_off or not amount:
            return False
        hold.written_off = amount
        self.number += 1
        return True

    def grant(self, bucket: int, amount: int) -> None:
        if self.spendable[bucket] + amount < 0:
            raise Refused("insufficient")
        self.balance[bucket] += amount
        self.number += 1

    def set_tier(self, tier: str) -> None:
        self.tier = tier
        more = max(DAILY_CREDITS[tier] - self.granted, 0)
        self.granted += more
        self.balance[0] += more
        self.number += more > 0


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
