"""What must be true of the ledger at every commit, as SQL that answers the rows where it is not.

Each check reads either everything or, with `users`, only what belongs to these wallets.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

EXAMPLES = 20
# A hold may outlive its time by one round of the sweeper, and a round may be late by another.
SWEEP_GRACE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Check:
    """`sql` answers offending rows, the first column naming the row. `{users}` narrows it to wallets."""

    name: str
    promise: str
    sql: str


@dataclass(frozen=True, slots=True)
class Violation:
    check: str
    rows: list[str]
    count: int


CHECKS: tuple[Check, ...] = (
    Check(
        "transactions_balance",
        "Every transaction has at least two entries and sums to zero in each currency.",
        """
        SELECT t.id, account.currency, count(entry.id), sum(entry.direction * entry.amount)
          FROM billing_ledgertransaction t
          LEFT JOIN billing_ledgerentry entry ON entry.transaction_id = t.id
          LEFT JOIN billing_ledgeraccount account ON account.id = entry.account_id
         WHERE {users:t}
         GROUP BY t.id, account.currency
        HAVING count(entry.id) < 2 OR sum(entry.direction * entry.amount) <> 0 OR account.currency IS NULL
        """,
    ),
    Check(
        "entries_have_parents",
        "Every entry belongs to a transaction and an account that exist, the owner's or the platform's.",
        """
        SELECT entry.id, entry.transaction_id, entry.account_id
          FROM billing_ledgerentry entry
          LEFT JOIN billing_ledgertransaction t ON t.id = entry.transaction_id
          LEFT JOIN billing_ledgeraccount account ON account.id = entry.account_id
         WHERE {users:t}
           AND (t.id IS NULL OR account.id IS NULL OR account.user_id IS DISTINCT FROM t.user_id
                AND account.user_id IS NOT NULL)
        """,
    ),
    Check(
        "amounts_positive",
        "Amounts are positive whole numbers.",
        """
        SELECT entry.id, entry.amount FROM billing_ledgerentry entry
          JOIN billing_ledgertransaction t ON t.id = entry.transaction_id
         WHERE {users:t} AND (entry.amount <= 0 OR entry.direction NOT IN (-1, 1))
        """,
    ),
    Check(
        "balances_are_sums",
        "A wallet's balance in each bucket, what it owes and what is frozen are sums of entries.",
        """
        SELECT wallet.user_id, bucket.name, bucket.balance, coalesce(total.amount, 0)
          FROM billing_wallet wallet
         CROSS JOIN LATERAL (VALUES ('daily', wallet.daily_balance), ('bonus', wallet.bonus_balance),
                                    ('purchased', wallet.purchased_balance), ('debt', -wallet.debt),
                                    ('frozen', wallet.frozen)) AS bucket (name, balance)
          LEFT JOIN billing_ledgeraccount account
                 ON account.user_id = wallet.user_id AND account.name = bucket.name
          LEFT JOIN LATERAL (SELECT sum(entry.direction * entry.amount) AS amount
                               FROM billing_ledgerentry entry
                              WHERE entry.account_id = account.id) total ON true
         WHERE {users:wallet}
           AND (account.id IS NULL AND bucket.name NOT IN ('debt', 'frozen')
                OR bucket.balance <> coalesce(total.amount, 0))
        """,
    ),
    Check(
        "spendable_not_negative",
        "No bucket holds more than it has.",
        """
        SELECT wallet.user_id FROM billing_wallet wallet
         WHERE {users:wallet}
           AND (least(daily_held, bonus_held, purchased_held) < 0 OR daily_balance < daily_held
                OR bonus_balance < bonus_held OR purchased_balance < purchased_held)
        """,
    ),
    Check(
        "held_is_open_holds",
        "What a wallet has held in each bucket is the sum of its open holds.",
        """
        SELECT wallet.user_id, daily_held, bonus_held, purchased_held, held.daily, held.bonus, held.purchased
          FROM billing_wallet wallet
         CROSS JOIN LATERAL (SELECT coalesce(sum(hold.daily), 0) AS daily,
                                    coalesce(sum(hold.bonus), 0) AS bonus,
                                    coalesce(sum(hold.purchased), 0) AS purchased
                               FROM billing_hold hold
                              WHERE hold.user_id = wallet.user_id AND hold.state = 'held') held
         WHERE {users:wallet}
           AND (wallet.daily_held, wallet.bonus_held, wallet.purchased_held)
               <> (held.daily, held.bonus, held.purchased)
        """,
    ),
    Check(
        "holds_end_once",
        "A hold ends once, and only a captured one has charged, at most what it held.",
        """
        SELECT hold.id, hold.state, hold.captured FROM billing_hold hold
         WHERE {users:hold}
           AND (hold.captured NOT BETWEEN 0 AND hold.daily + hold.bonus + hold.purchased
                OR hold.state <> 'captured' AND hold.captured > 0
                OR (hold.state = 'held') <> (hold.resolved_at IS NULL)
                OR hold.state NOT IN ('held', 'captured', 'released', 'expired'))
        """,
    ),
    Check(
        "charges_match_holds",
        "Each hold has exactly the charge and the loss in the ledger that it says.",
        """
        SELECT hold.id, hold.state, hold.captured, hold.written_off, posted.charged, posted.lost
          FROM billing_hold hold
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(-t.amount), 0) AS charged,
                      coalesce(sum(loss.amount), 0) AS lost
                 FROM billing_ledgertransaction t
                 LEFT JOIN LATERAL (
                      SELECT entry.amount FROM billing_ledgerentry entry
                        JOIN billing_ledgeraccount account ON account.id = entry.account_id
                       WHERE entry.transaction_id = t.id AND account.name = 'write_off') loss ON true
                WHERE t.key IN ('charge:' || hold.id, 'write_off:' || hold.id)) posted
         WHERE {users:hold} AND (hold.captured, hold.written_off) <> (posted.charged, posted.lost)
        """,
    ),
    Check(
        "charges_spend_in_order",
        "A charge takes daily credits before bonus before purchased ones of its hold.",
        """
        SELECT hold.id, hold.captured, spent.daily, spent.bonus, spent.purchased
          FROM billing_hold hold
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(entry.amount) FILTER (WHERE account.name = 'daily'), 0) AS daily,
                      coalesce(sum(entry.amount) FILTER (WHERE account.name = 'bonus'), 0) AS bonus,
                      coalesce(sum(entry.amount) FILTER (WHERE account.name = 'purchased'), 0) AS purchased
                 FROM billing_ledgertransaction t
                 JOIN billing_ledgerentry entry ON entry.transaction_id = t.id
                 JOIN billing_ledgeraccount account ON account.id = entry.account_id
                WHERE t.key = 'charge:' || hold.id) spent
         WHERE {users:hold} AND hold.state = 'captured'
           AND (spent.daily, spent.bonus) <> (
               least(hold.captured, hold.daily),
               least(hold.captured - least(hold.captured, hold.daily), hold.bonus))
        """,
    ),
    Check(
        "charges_have_holds",
        "No charge is without its captured hold.",
        """
        SELECT t.id, t.key FROM billing_ledgertransaction t
         WHERE {users:t} AND t.kind IN ('charge', 'write_off')
           AND NOT EXISTS (SELECT FROM billing_hold hold
                            WHERE hold.id = split_part(t.key, ':', 2)::uuid AND hold.user_id = t.user_id
                              AND (t.kind, hold.state) IN (('charge', 'captured'), ('write_off', 'expired'))
                              AND t.key = t.kind || ':' || hold.id)
        """,
    ),
    Check(
        "holds_swept",
        "No hold stays open after its time for longer than a round of the sweeper.",
        """
        SELECT hold.id, hold.expires_at FROM billing_hold hold
         WHERE {users:hold} AND hold.state = 'held' AND hold.expires_at < %(stale)s
        """,
    ),
    Check(
        "one_allowance_a_day",
        "A user has at most one daily allowance for a day.",
        """
        SELECT t.user_id, min(t.key), count(*) FROM billing_ledgertransaction t
         WHERE {users:t} AND t.kind = 'allowance'
         GROUP BY t.user_id, split_part(t.key, ':', 3)
        HAVING count(*) > 1 OR min(t.key) NOT LIKE 'allowance:' || t.user_id || ':%%'
        """,
    ),
    Check(
        "history_is_a_chain",
        "A wallet's transactions are numbered without gaps, and each balance follows from the one before.",
        """
        SELECT id, user_id, number, before, amount, balance_after FROM (
            SELECT t.id, t.user_id, t.number, t.amount, t.balance_after,
                   lag(t.balance_after, 1, 0::bigint) OVER history AS before,
                   row_number() OVER history AS expected,
                   lead(t.number) OVER history IS NULL AS is_last
              FROM billing_ledgertransaction t WHERE {users:t}
            WINDOW history AS (PARTITION BY t.user_id ORDER BY t.number)) line
          LEFT JOIN billing_wallet wallet USING (user_id)
         WHERE number <> expected OR balance_after <> before + amount
            OR is_last AND (number, balance_after)
               IS DISTINCT FROM (wallet.last_number, daily_balance + bonus_balance + purchased_balance)
        """,
    ),
    Check(
        "amounts_match_entries",
        "A transaction's amount is what its entries did to the wallet.",
        """
        SELECT t.id, t.amount, coalesce(total.amount, 0) FROM billing_ledgertransaction t
         CROSS JOIN LATERAL (
               SELECT sum(entry.direction * entry.amount) AS amount FROM billing_ledgerentry entry
                 JOIN billing_ledgeraccount account ON account.id = entry.account_id
                WHERE entry.transaction_id = t.id AND account.name IN ('daily', 'bonus', 'purchased')) total
         WHERE {users:t} AND t.amount <> coalesce(total.amount, 0)
        """,
    ),
    Check(
        "allowance_spent_or_there",
        "A day's bucket never holds more than the day's grant and what open holds of past days kept.",
        """
        SELECT wallet.user_id, wallet.daily_balance, wallet.daily_granted, earlier.held
          FROM billing_wallet wallet
         CROSS JOIN LATERAL (SELECT coalesce(sum(hold.daily), 0) AS held FROM billing_hold hold
                              WHERE hold.user_id = wallet.user_id AND hold.state = 'held'
                                AND hold.day < wallet.day) earlier
         WHERE {users:wallet} AND wallet.daily_balance > wallet.daily_granted + earlier.held
        """,
    ),
    Check(
        "day_spent_is_sum",
        "What a wallet says was spent today is the sum of today's charges.",
        """
        SELECT wallet.user_id, wallet.day_spent, spent.amount FROM billing_wallet wallet
         CROSS JOIN LATERAL (SELECT coalesce(sum(-t.amount), 0) AS amount FROM billing_ledgertransaction t
                              WHERE t.user_id = wallet.user_id AND t.number > wallet.day_number
                                AND t.kind = 'charge') spent
         WHERE {users:wallet} AND wallet.day_spent <> spent.amount
        """,
    ),
    Check(
        "debts_are_paid_first",
        "Whoever owes credits has none to spend but the day's.",
        """
        SELECT wallet.user_id, wallet.debt FROM billing_wallet wallet
         WHERE {users:wallet} AND wallet.debt > 0
           AND (bonus_balance > bonus_held OR purchased_balance > purchased_held)
        """,
    ),
    Check(
        "payments_are_booked",
        "Every payment is in the ledger once, with its money and its credits.",
        """
        SELECT payment.id, payment.amount, payment.credits, booked.money, booked.credits
          FROM billing_payment payment
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(entry.direction * entry.amount)
                               FILTER (WHERE account.name = 'store'
                                         AND account.currency = payment.currency), 0) AS money,
                      coalesce(sum(-entry.direction * entry.amount)
                               FILTER (WHERE account.name = 'sold'), 0) AS credits
                 FROM billing_ledgertransaction t
                 JOIN billing_ledgerentry entry ON entry.transaction_id = t.id
                 JOIN billing_ledgeraccount account ON account.id = entry.account_id
                WHERE t.key = 'payment:' || payment.store || ':' || payment.external_id
                  AND t.user_id = payment.user_id) booked
         WHERE {users:payment} AND (booked.money, booked.credits) <> (payment.amount, payment.credits)
        """,
    ),
    Check(
        "sales_have_payments",
        "No credits were sold, and no money came in, without a payment.",
        """
        SELECT t.id, t.key FROM billing_ledgertransaction t
         WHERE {users:t} AND t.kind IN ('purchase', 'plan')
           AND NOT EXISTS (SELECT FROM billing_payment payment
                            WHERE payment.user_id = t.user_id AND t.reference = 'payment:' || payment.id
                              AND t.key = 'payment:' || payment.store || ':' || payment.external_id)
        """,
    ),
    Check(
        "returns_are_booked",
        "What came back of a payment is the sum of its refunds, in the ledger too, and never more than it.",
        """
        SELECT payment.id, payment.returned, payment.credits_returned, refunds.money, refunds.credits,
               booked.money, booked.credits
          FROM billing_payment payment
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(sign.value * refund.counted), 0) AS money,
                      coalesce(sum(sign.value * refund.credits), 0) AS credits
                 FROM billing_refund refund
                CROSS JOIN LATERAL (SELECT CASE refund.kind WHEN 'reversed' THEN -1 ELSE 1 END AS value) sign
                WHERE refund.payment_id = payment.id) refunds
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(-entry.direction * entry.amount)
                               FILTER (WHERE account.name = 'store'), 0) AS money,
                      coalesce(sum(entry.direction * entry.amount)
                               FILTER (WHERE account.name = 'sold'), 0) AS credits
                 FROM billing_refund refund
                 JOIN billing_ledgertransaction t
                   ON t.key = refund.kind || ':' || payment.id || ':' || refund.external_id
                 JOIN billing_ledgerentry entry ON entry.transaction_id = t.id
                 JOIN billing_ledgeraccount account ON account.id = entry.account_id
                WHERE refund.payment_id = payment.id) booked
         WHERE {users:payment}
           AND ((payment.returned, payment.credits_returned) <> (refunds.money, refunds.credits)
                OR (refunds.money, refunds.credits) <> (booked.money, booked.credits)
                OR payment.returned > payment.amount OR payment.credits_returned > payment.credits)
        """,
    ),
    Check(
        "frozen_belongs_to_disputes",
        "What is frozen of a wallet is what its open disputes set aside.",
        """
        SELECT wallet.user_id, wallet.frozen, open.amount FROM billing_wallet wallet
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(dispute.frozen_bonus + dispute.frozen_purchased), 0) AS amount
                 FROM billing_dispute dispute JOIN billing_payment payment ON payment.id = dispute.payment_id
                WHERE payment.user_id = wallet.user_id) open
         WHERE {users:wallet} AND wallet.frozen <> open.amount
        """,
    ),
    Check(
        "tiers_follow_subscriptions",
        "A wallet's tier is the best its subscriptions give.",
        """
        SELECT wallet.user_id, wallet.tier_id, wallet.tier_until, best.tier_id FROM billing_wallet wallet
          LEFT JOIN LATERAL (
               SELECT own.tier_id, own.entitled_until FROM billing_subscription own
                 JOIN billing_tier tier ON tier.slug = own.tier_id
                WHERE own.user_id = wallet.user_id AND own.entitled_until > %(now)s
                ORDER BY tier.position DESC, own.entitled_until DESC LIMIT 1) best ON true
         WHERE {users:wallet} AND (wallet.tier_until IS NULL OR wallet.tier_until > %(now)s)
           AND wallet.tier_id IS DISTINCT FROM
               coalesce(best.tier_id, (SELECT slug FROM billing_tier ORDER BY position LIMIT 1))
        """,
    ),
    Check(
        "ids_follow_the_clock",
        "A transaction's time is that of its id, so the order of ids is the order of time.",
        """
        SELECT t.id, t.created_at FROM billing_ledgertransaction t
         WHERE {users:t} AND t.created_at IS DISTINCT FROM uuid_extract_timestamp(t.id)
        """,
    ),
    Check(
        "everything_sums_to_zero",
        "All accounts together sum to zero in each currency.",
        """
        SELECT account.currency, sum(entry.direction * entry.amount)
          FROM billing_ledgerentry entry
          JOIN billing_ledgeraccount account ON account.id = entry.account_id
          JOIN billing_ledgertransaction t ON t.id = entry.transaction_id
         WHERE {users:t}
         GROUP BY account.currency HAVING sum(entry.direction * entry.amount) <> 0
        """,
    ),
)


def find_violations(
    *,
    users: Collection[UUID] | None = None,
    now: datetime | None = None,
    swept_at: datetime | None = None,
) -> list[Violation]:
    """Run every check; an empty list means that all is in order. `swept_at` is when holds were last swept.

    Reads one snapshot, so charges going on meanwhile neither wait nor confuse it.
    """
    parameters = {
        "users": list(users) if users is not None else None,
        "stale": (swept_at or now or timezone.now()) - SWEEP_GRACE,
        "now": now or timezone.now(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_statement(users is not None), parameters)
        found: dict[str, list[str]] = {}
        for name, row in cursor.fetchall():
            found.setdefault(name, []).append(row)
    return [Violation(name, rows[:EXAMPLES], len(rows)) for name, rows in found.items()]


def _statement(is_narrow: bool) -> str:
    # One statement sees one snapshot, without asking for an isolation level.
    return " UNION ALL ".join(
        f"(SELECT '{check.name}', to_json(found)::text FROM ({_narrowed(check.sql, is_narrow)}) found)"  # noqa: S608 - our own texts
        for check in CHECKS
    )


def _narrowed(sql: str, is_narrow: bool) -> str:
    for table in ("t", "wallet", "hold", "payment"):
        condition = f"{table}.user_id = ANY(%(users)s)" if is_narrow else "true"
        sql = sql.replace(f"{{users:{table}}}", condition)
    return sql


def promises() -> dict[str, Any]:
    return {check.name: check.promise for check in CHECKS}
