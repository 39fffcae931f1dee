"""Ledger rows in great numbers: written past the services, and yet what they would have written."""

from collections.abc import Iterator

from benchmarks import database

PRICE = 23_400
_FUNDS = 1_000_000_000_000

# Triggers and foreign keys would look at each row; the invariants are checked afterwards instead.
_QUICKLY = "SET session_replication_role = replica"
_WALLETS = """
INSERT INTO billing_ledgeraccount (user_id, name, currency)
SELECT bench_user(n), name, 'credits'
  FROM generate_series({first}, {last}) n CROSS JOIN unnest(ARRAY['daily', 'bonus', 'purchased']) AS name;
INSERT INTO billing_wallet (
    user_id, tier_id, day, day_zone, opened_at, next_day_at, created_at, daily_balance, daily_held,
    bonus_balance, bonus_held, purchased_balance, purchased_held, daily_granted, messages_used, used_on,
    last_number, day_number)
SELECT bench_user(n), 'free', today, '{zone}', now(), (today + 1)::timestamp AT TIME ZONE '{zone}',
       now() - interval '90 days', {daily}, 0, 0, 0, {funds} - {charges}::bigint * {price}, 0, {daily}, 0,
       {used_on}, {last_number}, {day_number}
  FROM generate_series({first}, {last}) n, (SELECT (now() AT TIME ZONE '{zone}')::date AS today) clock;
CREATE TEMP TABLE line AS
SELECT uuidv7(interval '-90 days') AS id, bench_user(n) AS user_id, 1 AS number, 'grant' AS kind,
       'bench:' || n AS key, {funds} AS amount, {funds} AS balance, 'purchased' AS own, 'grants' AS platform
  FROM generate_series({first}, {last}) n;
"""
_TODAY = """
INSERT INTO line
SELECT uuidv7(), user_id, 2, 'allowance', 'allowance:' || user_id || ':' || day, daily_granted,
       daily_granted + purchased_balance, 'daily', 'allowance'
  FROM billing_wallet WHERE user_id BETWEEN bench_user({first}) AND bench_user({last});
"""
# Evenly over two months that end yesterday; a hold for each.
_CHARGES = """
INSERT INTO line
SELECT uuidv7(interval '-61 days' + n * interval '60 days' / {charges}), bench_user({first}), n + 1, 'charge',
       'charge:' || gen_random_uuid(), -{price}, {funds} - n::bigint * {price}, 'purchased', 'revenue'
  FROM generate_series(1, {charges}) n;
INSERT INTO billing_hold (
    id, user_id, key, reference, state, daily, bonus, purchased, day, captured, written_off, counts_message,
    created_at, expires_at, resolved_at, reason)
SELECT split_part(key, ':', 2)::uuid, user_id, number, 'bench', 'captured', 0, 0, {price},
       uuid_extract_timestamp(id)::date, {price}, 0, false, uuid_extract_timestamp(id),
       uuid_extract_timestamp(id) + interval '15 minutes', uuid_extract_timestamp(id), ''
  FROM line WHERE kind = 'charge';
"""
_LEDGER = """
INSERT INTO billing_ledgertransaction (
    id, user_id, number, kind, key, amount, balance_after, reference, description, details, reason)
SELECT id, user_id, number, kind, key, amount, balance, CASE kind WHEN 'charge' THEN 'bench' ELSE '' END,
       CASE kind WHEN 'charge' THEN 'Tock' ELSE '' END,
       CASE kind WHEN 'charge' THEN jsonb_build_object(
            'persona_name', 'Tock', 'model', 'bench', 'input_tokens', 200, 'output_tokens', 34,
            'cached_tokens', 0)
            ELSE '{{}}' END, ''
  FROM line ORDER BY id;
INSERT INTO billing_ledgerentry (transaction_id, account_id, direction, amount)
SELECT line.id, account.id, sign(line.amount), abs(line.amount)
  FROM line JOIN billing_ledgeraccount account ON account.user_id = line.user_id AND account.name = line.own
 UNION ALL
SELECT line.id, account.id, -sign(line.amount), abs(line.amount)
  FROM line JOIN billing_ledgeraccount account ON account.user_id IS NULL AND account.name = line.platform
                                              AND account.currency = 'credits';
DROP TABLE line;
"""


def wallets(first: int, last: int, *, zone: str) -> Iterator[str]:
    """Wallets with today's allowance of ten credits and plenty of bought ones, all used today."""
    values = {
        "first": first,
        "last": last,
        "zone": zone,
        "funds": _FUNDS,
        "price": PRICE,
        "charges": 0,
        "daily": 10_000_000,
        "used_on": "today",
        "last_number": 2,
        "day_number": 1,
    }
    yield _QUICKLY
    yield database.users(first, last)
    for part in (_WALLETS, _TODAY, _LEDGER):
        yield part.format_map(values)


def charges(number: int, count: int, *, zone: str) -> Iterator[str]:
    """One wallet with a history of `count` charges; it was not used lately."""
    values = {
        "first": number,
        "last": number,
        "zone": zone,
        "funds": _FUNDS,
        "price": PRICE,
        "charges": count,
        "daily": 0,
        "used_on": "NULL",
        "last_number": count + 1,
        "day_number": count + 1,
    }
    yield _QUICKLY
    yield database.users(number, number)
    for part in (_WALLETS, _CHARGES, _LEDGER):
        yield part.format_map(values)
