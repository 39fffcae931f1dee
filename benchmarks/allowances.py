"""The nightly job against one plain statement that makes the same writes, on the same wallets in one run."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from benchmarks import database
from benchmarks.charges import LONGEST_WAIT_MS, charge
from benchmarks.report import Result

# A charge among those going on: more of them would measure the charges.
_PAUSE_SECONDS = 0.005

_PLAIN = """
WITH due AS (
    SELECT user_id, day AS over, daily_balance - daily_held AS lapsed, tier.daily_credits AS granted
      FROM billing_wallet JOIN billing_tier tier ON tier.slug = tier_id
     WHERE day < %(today)s AND used_on IS NOT NULL
), started AS (
    UPDATE billing_wallet wallet
       SET day = %(today)s, opened_at = %(now)s, next_day_at = %(now)s + interval '1 day',
           daily_granted = granted, messages_used = 0, day_spent = 0,
           daily_balance = daily_balance - lapsed + granted,
           day_number = last_number + 1, last_number = last_number + 2
      FROM due WHERE wallet.user_id = due.user_id
    RETURNING wallet.user_id, last_number, daily_balance + bonus_balance + purchased_balance AS balance,
              over, lapsed, granted
), line AS MATERIALIZED (
    SELECT uuidv7() AS id, user_id, last_number - 1 AS number, 'lapse' AS kind, over AS day,
           balance - granted AS balance, -lapsed AS amount, 'expired' AS platform
      FROM started
     UNION ALL
    SELECT uuidv7(), user_id, last_number, 'allowance', %(today)s, balance, granted, 'allowance' FROM started
), posted AS (
    INSERT INTO billing_ledgertransaction (
        id, user_id, number, kind, key, amount, balance_after, reference, description, details, reason)
    SELECT id, user_id, number, kind, kind || ':' || user_id || ':' || day, amount, balance, '', '', '{}', ''
      FROM line
)
INSERT INTO billing_ledgerentry (transaction_id, account_id, direction, amount)
SELECT line.id, account.id, sign(line.amount), abs(line.amount)
  FROM line JOIN billing_ledgeraccount account ON account.user_id = line.user_id AND account.name = 'daily'
 UNION ALL
SELECT line.id, account.id, -sign(line.amount), abs(line.amount)
  FROM line JOIN billing_ledgeraccount account
    ON account.user_id IS NULL AND account.name = line.platform AND account.currency = 'credits'
"""


def run(name: str, wallets: int) -> Iterator[Result]:
    """Two nights: the first opened by the job while somebody pays, the second by the statement alone."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    rate, wait = _by_the_job(wallets, tomorrow)
    plain = _by_one_statement(name, wallets, tomorrow + timedelta(days=1))
    yield Result("wallets refreshed a second against one bare statement", rate, plain, 0)
    title = "longest wait of a charge where the refresh is at work, ms"
    yield Result(title, wait, LONGEST_WAIT_MS, 1, is_ceiling=True)


def _by_the_job(wallets: int, now: datetime) -> tuple[float, float]:
    """Wallets a second, and the milliseconds the slowest charge took meanwhile."""
    from django.db import connection

    from billing.services import allowance

    def refresh() -> tuple[int, float]:
        started = time.perf_counter()
        try:
            return allowance.refresh_allowances(now=now).opened, time.perf_counter() - started
        finally:
            connection.close()

    slowest, at = 0.0, 1
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(refresh)
        while not job.done():
            at = _follow(at, now)
            # The wallets of this chunk and the next, which the job locks now or in a moment.
            number = min(at + random.randrange(2 * allowance.REFRESH_CHUNK), wallets)
            started = time.perf_counter()
            charge(number)
            slowest = max(slowest, time.perf_counter() - started)
            time.sleep(_PAUSE_SECONDS)
        opened, seconds = job.result()
    if opened < wallets * 0.9:
        raise RuntimeError(f"the job opened {opened} of {wallets} wallets")
    return opened / seconds, slowest * 1000


def _follow(at: int, now: datetime) -> int:
    """The number of a wallet near the one the job is at, seen by looking ahead for opened days."""
    from django.db import connection
    from django.utils import timezone

    from billing.services import allowance

    step = allowance.REFRESH_CHUNK
    ahead = [database.user_id(at + step * number) for number in range(1, 9)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM billing_wallet WHERE user_id = ANY(%s) AND day >= %s",
            [ahead, timezone.localdate(now)],
        )
        return at + step * int(cursor.fetchone()[0])


def _by_one_statement(name: str, wallets: int, now: datetime) -> float:
    from django.utils import timezone

    with database.as_superuser(name) as admin:
        admin.execute("VACUUM ANALYZE")
        started = time.perf_counter()
        entries = admin.execute(_PLAIN, {"today": timezone.localdate(now), "now": now}).rowcount
        seconds = time.perf_counter() - started
    if entries < 4 * wallets * 0.99:
        raise RuntimeError(f"the statement wrote {entries} entries for {wallets} wallets")
    return wallets / seconds
