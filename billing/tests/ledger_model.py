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
    is_paused: bool = False
    message_cap: int | None = None
    day_cap: int | None = None
    debt: int = 0
    frozen: int = 0
    day_spent: int = 0
    tier_until: datetime | None = None
    # What subscriptions give: name -> (tier, until).
    rights: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    @property
    def available(self) -> int:
        return 0 if self.debt else sum(self.spendable)

    @property
    def spendable(self) -> list[int]:
        return [balance - held for balance, held in zip(self.balance, self.held, strict=True)]

    def open(self, now: datetime, zone: str) -> None:
        today = now.astimezone(ZoneInfo(zone)).date()
        if self.day is None:
            self.day, self.zone = today - timedelta(days=1), zone
            self.opened_at, self.next_day_at = now - timedelta(days=1), _midnight(today, zone)
        if self.tier_until is not None and self.tier_until <= now:
            self.tier, self.tier_until = self.best_right(now)
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
        self.granted, self.messages_used, self.day_spent = granted, 0, 0

    def best_right(self, now: datetime) -> tuple[str, datetime | None]:
        rights = [right for right in self.rights.values() if right[1] > now]
        return max(rights, key=lambda right: (DAILY_CREDITS[right[0]], right[1]), default=("free", None))

    def reserve(self, amount: int, ttl: timedelta, counts_message: bool, now: datetime) -> HoldModel:
        if self.is_suspended:
            raise Refused("suspended")
        if self.is_paused:
            raise Refused("paused")
        if self.debt:
            raise Refused("owing")
        if self.message_cap is not None and amount > self.message_cap:
            raise Refused("message cap")
        if self.day_cap is not None and amount + self.day_spent + sum(self.held) > self.day_cap:
            raise Refused("day cap")
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
        self.day_spent += hold.captured
        self.repay()

    def repay(self) -> None:
        """What comes back pays off what is owed, bonus before purchased."""
        repaid = 0
        for bucket in (1, 2):
            part = min(self.debt, self.spendable[bucket])
            self.balance[bucket] -= part
            self.debt -= part
            repaid += part
        self.number += repaid > 0

    def capture_late(self, hold: HoldModel, amount: int) -> bool:
        if hold.state != "expired" or hold.written_off or not amount:
            return False
        hold.written_off = amount
        self.number += 1
        return True

    def grant(self, bucket: int, amount: int) -> None:
        if self.spendable[bucket] + amount < 0:
            raise Refused("insufficient")
        repaid = min(self.debt, max(amount, 0))
        self.debt -= repaid
        self.balance[bucket] += amount - repaid
        self.number += 1

    def pay(self, bucket: int, credits: int, money: int) -> None:
        if credits + money:
            self.grant(bucket, credits)

    def take_back(self, bucket: int, credits: int, money: int) -> None:
        if not credits + money:
            return
        owed = credits - sum(self.take(bucket, credits))
        self.debt += owed
        self.number += 1

    def take(self, bucket: int, credits: int) -> tuple[int, int]:
        """From `bucket` first, then from the other one; answers how much of bonus and purchased."""
        taken = {1: 0, 2: 0}
        for place in (bucket, 3 - bucket):
            taken[place] = min(self.spendable[place], credits - sum(taken.values()))
            self.balance[place] -= taken[place]
        return taken[1], taken[2]

    def freeze(self, bucket: int, credits: int) -> tuple[int, int]:
        parts = self.take(bucket, credits)
        self.frozen += sum(parts)
        self.number += sum(parts) > 0
        return parts

    def unfreeze(self, parts: tuple[int, int]) -> None:
        if not sum(parts):
            return
        self.frozen -= sum(parts)
        for bucket, part in zip((1, 2), parts, strict=True):
            repaid = min(self.debt, part)
            self.debt -= repaid
            self.balance[bucket] += part - repaid
        self.number += 1

    def give(self, name: str, right: tuple[str, datetime] | None, now: datetime) -> None:
        """A subscription gives a tier until a moment, or nothing any more."""
        if right is None:
            self.rights.pop(name, None)
        else:
            self.rights[name] = right
        self.tier, self.tier_until = self.best_right(now)
        self.raise_allowance(self.tier)

    def raise_allowance(self, tier: str) -> None:
        more = max(DAILY_CREDITS[tier] - self.granted, 0)
        self.granted += more
        self.balance[0] += more
        self.number += more > 0


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
