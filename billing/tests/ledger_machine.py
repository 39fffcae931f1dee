"""The ledger's state machine: random steps in the real ledger and in its model, and their comparison."""

import random
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import DatabaseError, InterfaceError, connection, transaction

from accounts.tests.factories import make_user
from billing import invariants
from billing.errors import (
    CreditsOwed,
    DailyMessageLimit,
    InsufficientCredits,
    KeyReused,
    OwnDayLimit,
    OwnMessageLimit,
    SpendingPaused,
    WalletSuspended,
)
from billing.models import Bucket, Hold, Wallet
from billing.services import adjustments, allowance, grants, holds
from billing.subscription_states import FOR_LIFE
from billing.tests import faults
from billing.tests.factories import assert_ledger_holds
from billing.tests.ledger_model import HoldModel, Refused, WalletModel
from billing.tests.sales_machine import SalesSteps
from common.credits import MICRO

# Every so many steps new people come, so that histories, and with them the checks of a step, stay short.
GENERATION = 1000
USERS = 30
ZONES = ["Europe/Berlin", "America/Los_Angeles", "Asia/Tokyo"]
GRANTED = {1: Bucket.BONUS, 2: Bucket.PURCHASED}
# Planning these checks takes much longer than running them for a wallet or two.
PREPARE = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;"
    "PREPARE narrow_checks (uuid[], timestamptz, timestamptz) AS "
    + invariants._statement(True)
    .replace("%(users)s", "$1")
    .replace("%(stale)s", "$2")
    .replace("%(now)s", "$3")
    .replace("%%", "%")
)


class Crash(Exception):
    """The process died before its commit."""


class Machine(SalesSteps):
    def __init__(self, seed: int, settings: Any, struck: faults.Faults) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.settings = settings
        self.struck = struck
        self.now = datetime(2026, 3, 20, 9, tzinfo=UTC)
        self.swept_at = self.now
        self.zone = settings.TIME_ZONE = ZONES[0]
        self.wallets: dict[UUID, WalletModel] = {}
        self.present: list[UUID] = []
        self.holds: dict[UUID, HoldModel] = {}
        self.keys: dict[tuple[UUID, str], UUID] = {}
        self.grants: list[tuple[UUID, str, int, int]] = []
        self.counts: dict[str, int] = {}
        self.serial = 0
        self.doing = ""
        self.prepared_on: Any = None

    # --- one step ---

    def step(self, number: int) -> None:
        if number % GENERATION == 1:
            self.present = [make_user().pk for _ in range(USERS)]
            self.wallets |= {user_id: WalletModel(user_id) for user_id in self.present}
        self.advance_clock()
        operation = self.chance.choices(
            [
                self.reserve,
                self.end_hold,
                self.grant,
                self.adjust,
                self.change_tier,
                self.suspend,
                self.pay,
                self.give_back,
                self.subscribe,
                self.limit_oneself,
            ],
            weights=[36, 33, 5, 5, 2, 1, 6, 5, 4, 3],
        )[0]
        # Most steps are one user's for a while, so that days get full.
        busy = self.present[number // 100 % USERS]
        user_id = busy if self.chance.random() < 0.7 else self.chance.choice(self.present)
        self.doing = operation.__name__
        operation(user_id)
        touched = {user_id}
        if self.chance.random() < 0.02:
            touched |= self.refresh()
        if self.now - self.swept_at > timedelta(minutes=1):
            touched |= self.sweep() | self.move_on()
        self.compare(touched)

    def advance_clock(self) -> None:
        self.latest = max(self.latest, self.now)
        jump = self.chance.random()
        if jump < 0.95:
            self.now += timedelta(seconds=self.chance.randrange(120))
        elif jump < 0.98:
            self.now += timedelta(minutes=self.chance.randrange(600))
        elif jump < 0.99:
            self.now += timedelta(hours=self.chance.randrange(72))
        elif jump < 0.997:
            self.now -= timedelta(minutes=self.chance.randrange(60 * 30))
            self.swept_at = min(self.swept_at, self.now)
        else:
            self.zone = self.settings.TIME_ZONE = self.chance.choice(ZONES)

    # --- how an operation meets the world ---

    def run(
        self,
        wallet: WalletModel,
        model: Callable[[WalletModel], Any],
        real: Callable[[], Any],
        opens_when_refused: bool = True,
    ) -> tuple[Any, Any]:
        """Do it in both worlds, perhaps with a disaster; answers what each said (a refusal is an answer)."""
        fate = self.chance.random()
        if fate < 0.05:
            self.count("rolled back")
            return self.crash(real)
        if fate < 0.06:
            self.count("killed before commit")
            return self.crash(real, kill=True)
        before = deepcopy(wallet)
        wallet.open(self.now, self.zone)
        try:
            expected = model(wallet)
        except Refused as refusal:
            expected = str(refusal)
            if not opens_when_refused:
                self.wallets[wallet.user_id] = before
        if fate < 0.08:
            self.count("answer lost")
            with connection.execute_wrapper(self.losing_the_answer()):
                return expected, attempt(real)
        if fate < 0.18:
            kind = self.chance.choice(["40001", "40001", "40P01", "40P01", "kill"])
            self.struck.plan(kind, self.chance.randrange(1, 9))
            answer = attempt(real)
            self.count("fault inside" if self.struck.clear() else "fault missed")
            return expected, answer
        return expected, attempt(real)

    def crash(self, real: Callable[[], Any], kill: bool = False) -> tuple[None, None]:
        try:
            with transaction.atomic():
                attempt(real)
                if kill:
                    self.struck.terminate(connection.connection.info.backend_pid)
                else:
                    raise Crash
        except (Crash, DatabaseError, InterfaceError):
            if kill:
                connection.close()
        return None, None

    def losing_the_answer(self) -> Any:
        lost: list[str] = []

        def execute_and_lose(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            answer = execute(sql, params, many, context)
            if not lost and "FROM billing_" in sql and not connection.in_atomic_block:
                lost.append(sql)
                self.struck.terminate(connection.connection.info.backend_pid)
                raise InterfaceError("connection already closed")
            return answer

        return execute_and_lose

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def next_key(self) -> str:
        self.serial += 1
        return f"step-{self.serial}"

    # --- the operations ---

    def reserve(self, user_id: UUID) -> None:
        amount = self.chance.choice(
            [0, 1, *map(self.chance.randrange, (4 * MICRO, 40 * MICRO)), self.exactly_enough(user_id)]
        )
        counts_message = self.chance.random() < 0.7
        ttl = timedelta(minutes=self.chance.randrange(1, 30))
        own_keys = [key for owner, key in self.keys if owner == user_id]
        if own_keys and self.chance.random() < 0.08:
            self.repeat_key(user_id, self.chance.choice(own_keys[-20:]))
            return
        key = self.next_key()
        expected, answer = self.run(
            self.wallets[user_id],
            lambda wallet: wallet.reserve(amount, ttl, counts_message, self.now),
            lambda: holds.reserve_credits(
                user_id=user_id,
                amount=amount,
                reference="machine",
                key=key,
                ttl=ttl,
                counts_message=counts_message,
                now=self.now,
            ),
        )
        if isinstance(expected, HoldModel):
            self.count("reserved")
            assert answer.available == self.wallets[user_id].available
            self.holds[answer.hold_id] = expected
            self.keys[user_id, key] = answer.hold_id
        else:
            self.count(f"refused {expected}")
            assert answer == expected

    def exactly_enough(self, user_id: UUID) -> int:
        """The most that could be reserved, or one more: limits are tried at their edges."""
        wallet = self.wallets[user_id]
        left = (wallet.day_cap or 0) - wallet.day_spent - sum(wallet.held)
        edge = self.chance.choice([sum(wallet.spendable), wallet.message_cap or 0, left])
        return max(0, edge + self.chance.choice([0, 0, 1]))

    def repeat_key(self, user_id: UUID, key: str) -> None:
        self.count("key repeated")
        hold_id = self.keys[user_id, key]
        amount = self.holds[hold_id].amount
        wrong = self.chance.random() < 0.3
        self.wallets[user_id].open(self.now, self.zone)
        answer = attempt(
            lambda: holds.reserve_credits(
                user_id=user_id, amount=amount + wrong, reference="machine", key=key, now=self.now
            )
        )
        if wrong:
            assert answer == "key reused"
        else:
            assert (answer.hold_id, answer.is_new) == (hold_id, False)

    def end_hold(self, user_id: UUID) -> None:
        own = [hold_id for hold_id, hold in self.holds.items() if hold.owner == user_id]
        is_open = [hold_id for hold_id in own if self.holds[hold_id].state == "held"]
        if not own:
            return
        hold_id = self.chance.choice(is_open if is_open and self.chance.random() < 0.85 else own)
        if self.chance.random() < 0.75:
            self.capture(user_id, hold_id)
        else:
            self.release(user_id, hold_id)

    def capture(self, user_id: UUID, hold_id: UUID) -> None:
        hold = self.holds[hold_id]
        amount = self.chance.choice([0, hold.amount, self.chance.randrange(hold.amount * 2 + 2)])

        def model(wallet: WalletModel) -> bool:
            if hold.state == "held":
                wallet.settle(hold, "captured", amount)
                return True
            return wallet.capture_late(hold, amount)

        expected, answer = self.run(
            self.wallets[user_id],
            model,
            lambda: holds.capture_hold(
                hold_id=hold_id,
                amount=amount,
                reference="machine",
                description="Machine",
                details={"step": self.serial},
                now=self.now,
            ),
        )
        if answer is not None:
            self.count(f"capture {hold.state} {'applied' if expected else 'no-op'}")
            self.compare_settlement(user_id, hold, answer)

    def release(self, user_id: UUID, hold_id: UUID) -> None:
        hold = self.holds[hold_id]

        def model(wallet: WalletModel) -> bool:
            if hold.state != "held":
                return False
            wallet.settle(hold, "released", 0)
            return True

        expected, answer = self.run(
            self.wallets[user_id],
            model,
            lambda: holds.release_hold(hold_id=hold_id, reason="machine", now=self.now),
        )
        if answer is not None:
            self.count(f"release {hold.state} {'applied' if expected else 'no-op'}")
            self.compare_settlement(user_id, hold, answer)

    def compare_settlement(self, user_id: UUID, hold: HoldModel, answer: holds.Settlement) -> None:
        assert (answer.state, answer.charged, answer.written_off, answer.available) == (
            hold.state,
            hold.captured,
            hold.written_off,
            self.wallets[user_id].available,
        )

    def grant(self, user_id: UUID) -> None:
        earlier = [grant for grant in self.grants if grant[0] == user_id]
        if earlier and self.chance.random() < 0.3:
            self.repeat_grant(*self.chance.choice(earlier))
            return
        bucket, amount = self.chance.choice([1, 2]), self.chance.randrange(1, 30 * MICRO)
        key = self.next_key()
        _expected, answer = self.run(
            self.wallets[user_id],
            lambda wallet: wallet.grant(bucket, amount),
            lambda: self.grant_really(user_id, key, bucket, amount),
        )
        if answer is not None:
            self.count("granted")
            self.grants.append((user_id, key, bucket, amount))

    def grant_really(self, user_id: UUID, key: str, bucket: int, amount: int) -> grants.Posting:
        return grants.grant_credits(
            user_id=user_id, amount=amount, key=key, bucket=GRANTED[bucket], now=self.now
        )

    def repeat_grant(self, user_id: UUID, key: str, bucket: int, amount: int) -> None:
        self.count("grant repeated")
        wrong = self.chance.random() < 0.3
        self.wallets[user_id].open(self.now, self.zone)
        answer = attempt(lambda: self.grant_really(user_id, key, bucket, amount + wrong))
        assert answer == "key reused" if wrong else not answer.applied

    def adjust(self, user_id: UUID) -> None:
        bucket, amount = self.chance.choice([1, 2]), self.chance.randrange(-20 * MICRO, 10 * MICRO) or 1
        token = self.next_key()
        expected, answer = self.run(
            self.wallets[user_id],
            lambda wallet: wallet.grant(bucket, amount),
            lambda: adjustments.adjust_credits(
                user_id=user_id,
                amount=amount,
                reason="Machine",
                actor_id=None,
                token=token,
                bucket=GRANTED[bucket],
                now=self.now,
            ),
            # Its transaction takes the day's opening back with everything else.
            opens_when_refused=False,
        )
        if answer is not None:
            self.count(f"adjusted {expected or ''}")
            assert isinstance(answer, grants.Posting) if expected is None else answer == expected

    def change_tier(self, user_id: UUID) -> None:
        tier = self.chance.choice(["free", "free", "premium", "vip"])
        self.run(
            self.wallets[user_id],
            lambda wallet: wallet.give("given", None if tier == "free" else (tier, FOR_LIFE), self.now),
            lambda: adjustments.set_tier(user_id=user_id, tier=tier, reason="Machine", now=self.now),
        )
        self.count("tier changed")

    def suspend(self, user_id: UUID) -> None:
        wallet = self.wallets[user_id]
        wallet.open(self.now, self.zone)
        self.open_really(user_id)
        wallet.is_suspended = not wallet.is_suspended
        Wallet.objects.filter(pk=user_id).update(suspended_at=self.now if wallet.is_suspended else None)
        self.count("suspended or resumed")

    def open_really(self, user_id: UUID) -> None:
        allowance.open_wallet(user_id=user_id, now=self.now)

    def refresh(self) -> set[UUID]:
        """The nightly job: only wallets used lately, and any number of times."""
        known = dict(Wallet.objects.values_list("user_id", "used_on"))
        since = self.now.astimezone(ZoneInfo(self.zone)).date() - timedelta(days=allowance.REFRESH_DAYS)
        due = {user_id for user_id, used_on in known.items() if used_on is not None and used_on >= since}
        for user_id in due:
            self.wallets[user_id].open(self.now, self.zone)
        allowance.refresh_allowances(now=self.now)
        self.count("refreshed")
        return set(self.chance.sample(sorted(due), min(3, len(due))))

    def sweep(self) -> set[UUID]:
        due = [hold for hold in self.holds.values() if hold.state == "held" and hold.expires_at <= self.now]
        for hold in due:
            wallet = self.wallets[hold.owner]
            wallet.open(self.now, self.zone)
            wallet.settle(hold, "expired", 0)
        assert holds.expire_holds(now=self.now) == len(due)
        self.swept_at = self.now
        self.counts["expired"] = self.counts.get("expired", 0) + len(due)
        return {hold.owner for hold in due}

    # --- what must be true afterwards ---

    def compare(self, touched: set[UUID]) -> None:
        for wallet in Wallet.objects.filter(pk__in=touched):
            model = self.wallets[wallet.pk]
            assert [wallet.daily_balance, wallet.bonus_balance, wallet.purchased_balance] == model.balance
            assert [wallet.daily_held, wallet.bonus_held, wallet.purchased_held] == model.held
            assert (wallet.day, wallet.day_zone, wallet.next_day_at) == (
                model.day,
                model.zone,
                model.next_day_at,
            )
            assert (wallet.daily_granted, wallet.messages_used) == (model.granted, model.messages_used)
            assert (wallet.tier_id, wallet.last_number) == (model.tier, model.number)
            assert (wallet.debt, wallet.frozen, wallet.day_spent) == (
                model.debt,
                model.frozen,
                model.day_spent,
            )
        with connection.cursor() as cursor:
            if cursor.connection is not self.prepared_on:
                cursor.execute(PREPARE)
                self.prepared_on = cursor.connection
            cursor.execute(
                "EXECUTE narrow_checks(%s, %s, %s)",
                [list(touched), self.swept_at - invariants.SWEEP_GRACE, max(self.latest, self.now)],
            )
            assert cursor.fetchall() == []

    def compare_everything(self) -> None:
        assert_ledger_holds(now=max(self.latest, self.now), swept_at=self.swept_at)
        rows = Hold.objects.values_list("id", "state", "captured", "written_off")
        assert {row[0]: row[1:] for row in rows} == {
            hold_id: (hold.state, hold.captured, hold.written_off) for hold_id, hold in self.holds.items()
        }
        self.compare(set(self.wallets))


REFUSALS: dict[type[Exception], str] = {
    InsufficientCredits: "insufficient",
    DailyMessageLimit: "messages",
    WalletSuspended: "suspended",
    CreditsOwed: "owing",
    SpendingPaused: "paused",
    OwnMessageLimit: "message cap",
    OwnDayLimit: "day cap",
    KeyReused: "key reused",
}


def attempt(real: Callable[[], Any]) -> Any:
    try:
        return real()
    except tuple(REFUSALS) as refusal:
        return REFUSALS[type(refusal)]
