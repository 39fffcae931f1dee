"""M41: serialization failures, deadlocks and lost connections at every write of every money operation."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connection, transaction

from billing import database, selectors
from billing.errors import LedgerUnavailable
from billing.models import Hold, LedgerTransaction, Wallet
from billing.services import adjustments, allowance, grants, holds
from billing.tests import faults
from billing.tests.factories import assert_ledger_holds, buckets, capture, make_wallet, reserve
from common.credits import MICRO
from common.testing.database import as_superuser, restart_server

pytestmark = pytest.mark.django_db(transaction=True)
KINDS = ["40001", "40P01", "kill"]
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def struck(transactional_db: None) -> Iterator[faults.Faults]:
    with faults.installed() as installed:
        yield installed
    connection.close()
    assert_ledger_holds(now=datetime(2020, 1, 1, tzinfo=UTC))


def _settle_late(user_id: UUID, now: datetime | None = None) -> UUID:
    hold = reserve(user_id, 2, ttl=timedelta(0))
    holds.expire_holds()
    return hold.hold_id


Prepared = Callable[[UUID], Any]
# What is there before, and the operation on it.
OPERATIONS: dict[str, tuple[Prepared, Callable[[UUID, Any], Any]]] = {
    "reserve": (lambda user: None, lambda user, _: reserve(user, 12, key="k", counts_message=True)),
    "reserve on a new day": (lambda user: None, lambda user, _: reserve(user, 12, key="k", now=TOMORROW)),
    "capture": (lambda user: reserve(user, 12).hold_id, lambda user, hold: capture(hold, 11)),
    "capture above": (lambda user: reserve(user, 12).hold_id, lambda user, hold: capture(hold, 15)),
    "capture on the next day": (
        lambda user: reserve(user, 12).hold_id,
        lambda user, hold: capture(hold, 3, now=TOMORROW),
    ),
    "late capture": (_settle_late, lambda user, hold: capture(hold, 2)),
    "release": (
        lambda user: reserve(user, 12).hold_id,
        lambda user, hold: holds.release_hold(hold_id=hold, reason="failed"),
    ),
    "expire": (lambda user: reserve(user, 12, ttl=timedelta(0)), lambda user, _: holds.expire_holds()),
    "grant": (
        lambda user: None,
        lambda user, _: grants.grant_credits(user_id=user, amount=MICRO, key="gift"),
    ),
    "adjust": (
        lambda user: None,
        lambda user, _: adjustments.adjust_credits(
            user_id=user, amount=-MICRO, reason="Mistake", actor_id=None, token="t"
        ),
    ),
    "change tier": (
        lambda user: None,
        lambda user, _: adjustments.set_tier(user_id=user, tier="vip", reason="Support"),
    ),
    "open the day": (
        lambda user: None,
        lambda user, _: allowance.open_wallet(user_id=user, now=TOMORROW),
    ),
    "refresh": (
        lambda user: reserve(user, 1),
        lambda user, _: allowance.refresh_allowances(now=TOMORROW),
    ),
}


def _state(user_id: UUID) -> Any:
    wallet = Wallet.objects.values().get(pk=user_id)
    moments = ("user_id", "created_at", "opened_at", "next_day_at")
    rows = LedgerTransaction.objects.filter(wallet_id=user_id).order_by("number")
    return (
        {name: value for name, value in wallet.items() if name not in moments},
        list(rows.values_list("kind", "amount", "balance_after")),
        sorted(Hold.objects.filter(wallet_id=user_id).values_list("state", "captured", "written_off")),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_m41_a_fault_at_every_write_is_retried_to_the_same_end(
    name: str, kind: str, struck: faults.Faults
) -> None:
    prepare, operate = OPERATIONS[name]
    undisturbed = make_wallet(bonus=5)
    operate(undisturbed, prepare(undisturbed))
    expected = _state(undisturbed)
    strikes = 0
    while True:
        _forget_fixed_keys()
        user_id = make_wallet(bonus=5)
        prepared = prepare(user_id)
        struck.plan(kind, strikes + 1)
        operate(user_id, prepared)
        has_struck = struck.clear()
        assert _state(user_id) == expected, f"after a fault at write {strikes + 1}"
        if not has_struck:
            break
        strikes += 1
    assert strikes >= 2


def _forget_fixed_keys() -> None:
    """Free the keys of the operations above, past the rule that the ledger is never rewritten."""
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE billing_ledgertransaction SET key = key || ':' || id"
            " WHERE key IN ('gift', 'adjustment:t')"
        )


@pytest.mark.parametrize("name", ["reserve", "capture", "release", "grant", "open the day"])
def test_m41_an_answer_lost_after_the_commit_is_found_again(name: str, struck: faults.Faults) -> None:
    prepare, operate = OPERATIONS[name]
    undisturbed = make_wallet(bonus=5)
    operate(undisturbed, prepare(undisturbed))
    _forget_fixed_keys()
    user_id = make_wallet(bonus=5)
    prepared = prepare(user_id)
    lost = []

    def lose_the_first_answer(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if not lost and "FROM billing_" in sql:
            lost.append(sql)
            struck.terminate(connection.connection.info.backend_pid)
            raise OperationalError("server closed the connection unexpectedly")
        return answer

    with connection.execute_wrapper(lose_the_first_answer):
        operate(user_id, prepared)
    assert len(lost) == 1
    assert _state(user_id) == _state(undisturbed)


def test_m41_inside_a_transaction_the_fault_is_the_callers_and_nothing_stays(struck: faults.Faults) -> None:
    user_id = make_wallet(bonus=5)
    hold = reserve(user_id, 12)
    before = _state(user_id)

    def settle() -> None:
        with transaction.atomic():
            capture(hold.hold_id, 11)
            grants.grant_credits(user_id=user_id, amount=MICRO, key=f"gift:{hold.hold_id}")

    for at in range(1, 7):
        for kind in ("40001", "kill"):
            struck.plan(kind, at)
            with pytest.raises(OperationalError):
                settle()
            assert struck.clear()
            connection.close()
            assert _state(user_id) == before
    struck.plan("40001", 5)
    database.retrying(settle)
    assert struck.clear()
    assert buckets(user_id) == {"daily": (0, 0), "bonus": (5, 0), "purchased": (0, 0)}


def test_a_database_that_stays_away_is_a_clean_refusal(
    struck: faults.Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.2)
    user_id = make_wallet()

    def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(away), pytest.raises(LedgerUnavailable) as refused:
        reserve(user_id, 1)
    assert (refused.value.status, refused.value.retry_after) == (503, 5)
    assert buckets(user_id)["daily"] == (10, 0)


def test_errors_that_repeating_cannot_heal_are_raised_at_once(struck: faults.Faults) -> None:
    user_id = make_wallet()
    struck.plan("22012", 1)
    with pytest.raises(Exception, match="injected"):
        reserve(user_id, 1)
    assert struck.clear()
    assert buckets(user_id)["daily"] == (10, 0)


def capture_exactly(hold_id: UUID, amount: int) -> int:
    return holds.capture_hold(
        hold_id=hold_id, amount=amount, reference="r", description="Talk", details={}
    ).charged


@pytest.mark.processes
def test_m41_postgresql_restarted_under_load(transactional_db: None) -> None:
    owners = [make_wallet(purchased=100) for _ in range(4)]
    stop = threading.Event()
    charged = dict.fromkeys(owners, 0)
    refused: list[Exception] = []

    def spend(user_id: UUID) -> None:
        try:
            while not stop.is_set():
                hold = holds.reserve_credits(user_id=user_id, amount=100, reference="r", key=str(uuid4()))
                charged[user_id] += capture_exactly(hold.hold_id, 10)
        except Exception as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=spend, args=[user_id]) for user_id in owners]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.3)
        restart_server()
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    connection.close()
    for user_id in owners:
        wallet = selectors.get_wallet(user_id)
        assert wallet.available + wallet.held == 110 * MICRO - charged[user_id]
    assert refused == []
    assert_ledger_holds()


@pytest.mark.django_db(transaction=True)
def test_m8_dying_after_the_capture_and_before_its_commit_leaves_balances_what_entries_say(
    struck: faults.Faults,
) -> None:
    user_id = make_wallet(bonus=5)
    hold = reserve(user_id, 12)

    def capture_and_die() -> None:
        with transaction.atomic():
            capture(hold.hold_id, 11)
            struck.terminate(connection.connection.info.backend_pid)
            Wallet.objects.get(pk=user_id)

    with pytest.raises(OperationalError):
        capture_and_die()
    connection.close()
    assert Hold.objects.get().state == "held"
    assert buckets(user_id) == {"daily": (10, 10), "bonus": (5, 2), "purchased": (0, 0)}
