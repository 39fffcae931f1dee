"""Charges a second through the services against pgbench doing the same writes in the same database.

A charge is a hold and its capture, each one statement in a transaction of its own.
`python -m benchmarks.charges [--wallets 10000] [--seconds 2] [--rounds 5]`
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from benchmarks import database
from benchmarks.database import CLIENTS
from benchmarks.report import Result

DATABASE = "parlor_bench_charges"
AMOUNT = 23_400
SYNC_TARGET = 0.33
ASYNC_TARGET = 0.25
LONGEST_WAIT_MS = 150

# What the SQL functions write, in two plain statements: the most this database can do.
PLAIN = """
\\set n random(1, {wallets})
WITH hold AS (
    INSERT INTO billing_hold (id, user_id, key, reference, state, daily, bonus, purchased, day, captured,
                              written_off, counts_message, created_at, expires_at, reason)
    SELECT uuidv7(), user_id, gen_random_uuid()::text, 'bench', 'held', 0, 0, 2 * {amount}, day, 0, 0, false,
           now(), now() + interval '15 minutes', ''
      FROM billing_wallet
     WHERE user_id = bench_user(:n) AND purchased_balance - purchased_held >= 2 * {amount}
    RETURNING id, user_id)
UPDATE billing_wallet SET purchased_held = purchased_held + 2 * {amount}
  FROM hold WHERE billing_wallet.user_id = hold.user_id
RETURNING hold.id::text AS hold_id \\gset
WITH hold AS (
    UPDATE billing_hold SET state = 'captured', captured = {amount}, resolved_at = now()
     WHERE id = :hold_id::uuid AND state = 'held' RETURNING id, user_id, purchased),
wallet AS (
    UPDATE billing_wallet SET purchased_held = purchased_held - hold.purchased,
           purchased_balance = purchased_balance - {amount}, day_spent = day_spent + {amount},
           last_number = last_number + 1
      FROM hold WHERE billing_wallet.user_id = hold.user_id
    RETURNING billing_wallet.user_id, last_number, daily_balance + bonus_balance + purchased_balance AS balance),
booked AS (
    INSERT INTO billing_ledgertransaction (id, user_id, number, kind, key, amount, balance_after, reference,
                                           description, details, reason)
    SELECT uuidv7(), wallet.user_id, last_number, 'charge', 'charge:' || :hold_id, -{amount}, balance, 'bench',
           'Bench', '{{"model": "bench", "input_tokens": 200, "output_tokens": 34}}', ''
      FROM wallet RETURNING id, user_id)
INSERT INTO billing_ledgerentry (transaction_id, account_id, direction, amount)
SELECT booked.id, account.id, side.direction, {amount}
  FROM booked
  JOIN (VALUES ('purchased', -1), ('revenue', 1)) AS side (name, direction) ON true
  JOIN billing_ledgeraccount account
    ON account.name = side.name
   AND (account.user_id = booked.user_id OR account.user_id IS NULL);
"""
FUNCTIONS = """
\\set n random(1, {wallets})
SELECT hold_id::text FROM billing_reserve(
    bench_user(:n), 2 * {amount}, 'bench', gen_random_uuid()::text, interval '15 minutes', false, 'UTC', NULL) \\gset
SELECT outcome FROM billing_capture(
    :hold_id::uuid, {amount}, 'bench', 'Bench',
    '{{"model": "bench", "input_tokens": 200, "output_tokens": 34}}', 'UTC', NULL);
"""


def run(*, wallets: int = 10_000, seconds: float = 2.0, rounds: int = 5) -> Iterator[Result]:
    """Measure in a database of its own, which is dropped afterwards.

    Everything is measured once a round, so that a noisy minute of the machine falls on all of it.
    """
    with _database(wallets), database.sockets_loop():
        measures: dict[str, Callable[[], float]] = {
            "plain": lambda: _pgbench(PLAIN, wallets, seconds),
            "functions": lambda: _pgbench(FUNCTIONS, wallets, seconds),
            "sync": lambda: _sync_rate(wallets, seconds),
            "async": lambda: asyncio.run(_async_rate(wallets, seconds)),
        }
        rates: dict[str, list[float]] = {name: [] for name in measures}
        for _round in range(rounds):
            for name, measure in measures.items():
                rates[name].append(measure())
        waited = _longest_wait(wallets)
        database.check_ledger()
    middle = {name: statistics.median(values) for name, values in rates.items()}
    yield Result("charges a second by the SQL functions alone", middle["functions"], middle["plain"], 0)
    yield Result("charges a second, sync threads", middle["sync"], middle["plain"], SYNC_TARGET)
    yield Result("charges a second, async", middle["async"], middle["plain"], ASYNC_TARGET)
    name = "longest wait of a charge while all allowances are refreshed, ms"
    yield Result(name, waited, LONGEST_WAIT_MS, 1, is_ceiling=True)


def charge(number: int) -> None:
    """Reserve and capture credits of the wallet with this number."""
    from billing.services import holds
    from common.ids import uuid7

    user_id = database.user_id(number)
    hold = holds.reserve_credits(user_id=user_id, amount=2 * AMOUNT, reference="bench", key=str(uuid7()))
    holds.capture_hold(
        hold_id=hold.hold_id,
        amount=AMOUNT,
        reference="bench",
        description="Bench",
        details={"model": "bench", "input_tokens": 200, "output_tokens": 34},
    )


def _sync_rate(wallets: int, seconds: float) -> float:
    def work() -> int:
        done = 0
        while time.perf_counter() < deadline:
            charge(random.randint(1, wallets))
            done += 1
        connection.close()
        return done

    from django.db import connection

    started = time.perf_counter()
    deadline = started + seconds
    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(future.result() for future in [pool.submit(work) for _ in range(CLIENTS)])
    return total / (time.perf_counter() - started)


async def _async_rate(wallets: int, seconds: float) -> float:
    from common import db

    async def work() -> int:
        done = 0
        while time.perf_counter() < deadline:
            await db.in_thread(charge, random.randint(1, wallets))
            done += 1
        return done

    started = time.perf_counter()
    deadline = started + seconds
    total = sum(await asyncio.gather(*(work() for _ in range(CLIENTS))))
    elapsed = time.perf_counter() - started
    db.close_thread_pool()
    return total / elapsed


def _longest_wait(wallets: int) -> float:
    """Milliseconds the slowest charge took while the nightly job opened a new day for every wallet."""
    from django.db import connection

    from billing.services import allowance

    def refresh() -> int:
        try:
            return allowance.refresh_allowances(now=datetime.now(UTC) + timedelta(days=1)).opened
        finally:
            connection.close()

    slowest = 0.0
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(refresh)
        while not job.done():
            started = time.perf_counter()
            charge(random.randint(1, wallets))
            slowest = max(slowest, time.perf_counter() - started)
        if job.result() < wallets // 2:
            raise RuntimeError("the refresh had too little to do")
    return slowest * 1000


_GRANTS = """
SELECT count(billing_grant(bench_user(n), 'purchased', 1000000000000, 'grant', 'grants', 'bench:' || n, '', '', NULL,
                           'bench', 'UTC', NULL)) FROM generate_series(1, {}) n
"""


def _database(wallets: int) -> AbstractContextManager[None]:
    return database.own_database(DATABASE, database.users(1, wallets), _GRANTS.format(wallets))


def _pgbench(script: str, wallets: int, seconds: float) -> float:
    return database.pgbench(DATABASE, script.format(wallets=wallets, amount=AMOUNT), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wallets", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for result in run(wallets=options.wallets, seconds=options.seconds, rounds=options.rounds):
        print(result, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    import django

    django.setup()
    main()
