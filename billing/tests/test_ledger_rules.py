# ruff: noqa: S608 - forged statements are what this file is about
"""What the database refuses, whoever asks, and what the nightly check finds when somebody gets past it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.db.utils import ProgrammingError
from django.utils import timezone

from billing import invariants, metrics, tasks
from billing.models import (
    Hold,
    LedgerAccount,
    LedgerCheck,
    LedgerEntry,
    LedgerTransaction,
    Store,
    Tier,
    Wallet,
)
from billing.services import checks, payments
from billing.stores.base import DisputeFacts, DisputeStanding, PaymentFacts, PaymentStanding, RefundFacts
from billing.tests.factories import assert_ledger_holds, capture, make_wallet, reserve
from common.credits import MICRO
from common.testing.database import as_superuser

pytestmark = pytest.mark.django_db(transaction=True)


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


@pytest.mark.parametrize("table", ["account", "transaction", "entry"])
@pytest.mark.parametrize(
    "change",
    ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE", "INSERT INTO {} DEFAULT VALUES"],
)
def test_i2_the_application_may_not_write_the_ledger(table: str, change: str) -> None:
    make_wallet()
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute(change.format(f"billing_ledger{table}"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_wallet SET bonus_balance = 10",
        "UPDATE billing_wallet SET tier_id = 'vip'",
        "DELETE FROM billing_wallet",
        "UPDATE billing_hold SET captured = 0",
        "DELETE FROM billing_hold",
        "SELECT billing_post(w, 1, 1, 'grant', 'k', '{bonus,grants}', '{1,-1}') FROM billing_wallet w",
    ],
)
def test_m39_the_application_may_not_write_balances_or_holds(statement: str) -> None:
    user_id = make_wallet()
    reserve(user_id, 1)
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute(statement)


@pytest.mark.parametrize("table", ["account", "transaction", "entry"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_i2_not_even_the_owner_rewrites_the_ledger(table: str, change: str) -> None:
    make_wallet()
    with as_superuser() as admin, pytest.raises(Exception, match="only ever added"):
        admin.execute(change.format(f"billing_ledger{table}"))


def _insert(*entries: tuple[str, int, int], wallet: Any, separately: bool = False) -> None:
    """Write a transaction with these entries (account, direction, amount) as the owner could."""
    with as_superuser() as admin, admin.transaction():
        new_id = admin.execute(
            "INSERT INTO billing_ledgertransaction (id, user_id, number, kind, key, amount, balance_after,"
            " reference, description, details, reason)"
            " VALUES (uuidv7(), %s, 99, 'grant', %s, 0, 0, '', '', '{}', '') RETURNING id",
            [wallet, str(uuid4())],
        ).fetchone()[0]
        rows = [
            f"('{new_id}', (SELECT id FROM billing_ledgeraccount WHERE name = '{name}'"
            f" AND (user_id = '{wallet}' OR user_id IS NULL)), {direction}, {amount})"
            for name, direction, amount in entries
        ]
        for batch in rows if separately else [", ".join(rows)] if rows else []:
            admin.execute(
                f"INSERT INTO billing_ledgerentry (transaction_id, account_id, direction, amount)"
                f" VALUES {batch}"
            )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((), "has no entries"),
        ((("bonus", 1, 5),), "does not balance"),
        ((("bonus", 1, 5), ("grants", -1, 4)), "does not balance"),
        ((("bonus", 1, 4), ("grants", -1, 5)), "does not balance"),
        ((("bonus", 1, 5), ("grants", 1, 5)), "does not balance"),
        ((("bonus", 1, 0), ("grants", -1, 0)), "ledger_entry_amount_in_range"),
        ((("bonus", 1, -5), ("grants", -1, -5)), "ledger_entry_amount_in_range"),
        ((("bonus", 1, 5), ("nobody", -1, 5)), "null value"),
    ],
)
def test_i1_unbalanced_transactions_cannot_be_written(entries: Any, message: str) -> None:
    wallet = make_wallet()
    with pytest.raises(Exception, match=message):
        _insert(*entries, wallet=wallet)
    assert LedgerTransaction.objects.count() == 1
    assert_ledger_holds()


def test_i1_currencies_balance_separately() -> None:
    wallet = make_wallet()
    with as_superuser() as admin:
        admin.execute("INSERT INTO billing_ledgeraccount (name, currency) VALUES ('till', 'USD')")
    with pytest.raises(Exception, match="does not balance"):
        _insert(("bonus", 1, 5), ("till", -1, 5), wallet=wallet)


def test_entries_are_added_whole_and_never_later() -> None:
    wallet = make_wallet()
    with pytest.raises(Exception, match="does not balance"):
        _insert(("bonus", 1, 5), ("grants", -1, 5), wallet=wallet, separately=True)
    old = LedgerTransaction.objects.get()
    with as_superuser() as admin, pytest.raises(Exception, match="together and once"):
        admin.execute(
            "INSERT INTO billing_ledgerentry (transaction_id, account_id, direction, amount)"
            " SELECT %s, id, CASE name WHEN 'revenue' THEN 1 ELSE -1 END, 5 FROM billing_ledgeraccount"
            " WHERE name IN ('revenue', 'grants')",
            [old.id],
        )


def test_i21_time_is_the_databases_and_follows_the_order_of_ids() -> None:
    user_id = make_wallet()
    for _ in range(20):
        capture(reserve(user_id, 0).hold_id, 1)
    rows = list(LedgerTransaction.objects.order_by("id"))
    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)
    assert [row.number for row in rows] == list(range(1, 22))
    now = Tier.objects.annotate(now=Now()).first().now
    assert 0 <= (now - rows[-1].created_at).total_seconds() < 5


def test_wallets_and_holds_cannot_break_their_bounds() -> None:
    user_id = make_wallet()
    reserve(user_id, 4)
    broken = [
        ("billing_wallet", "daily_held = daily_balance + 1"),
        ("billing_wallet", "daily_balance = -1"),
        ("billing_wallet", "bonus_held = -1"),
        ("billing_hold", "captured = daily + 1"),
        ("billing_hold", "captured = 1"),
        ("billing_hold", "state = 'released'"),
        ("billing_hold", "state = 'lost'"),
    ]
    with as_superuser() as admin:
        for table, change in broken:
            with pytest.raises(Exception, match="violates check constraint"):
                admin.execute(f"UPDATE {table} SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        {"token_price": -1},
        {"daily_credits": -1},
        {"requests_per_minute": 0},
        {"max_output_tokens": 0},
        {"messages_per_day": -1},
        {"storage_bytes": -1},
    ],
)
def test_m13_negative_prices_and_limits_cannot_be_saved(change: dict[str, int]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Tier.objects.filter(slug="free").update(**change)


TAMPERING = {
    "transactions_balance": "UPDATE billing_ledgerentry SET amount = amount + 1 WHERE id = {entry}",
    "entries_have_parents": "UPDATE billing_ledgerentry SET account_id = 999999 WHERE id = {entry}",
    "balances_are_sums": "UPDATE billing_wallet SET bonus_balance = bonus_balance + 1000000",
    "held_is_open_holds": "UPDATE billing_wallet SET bonus_held = bonus_held + 1",
    "charges_match_holds": "UPDATE billing_hold SET captured = captured - 1 WHERE state = 'captured'",
    "charges_have_holds": "DELETE FROM billing_hold WHERE state = 'captured'",
    "charges_spend_in_order": "UPDATE billing_hold SET daily = daily - 1, bonus = bonus + 1"
    " WHERE state = 'captured'",
    "holds_swept": "UPDATE billing_hold SET expires_at = now() - interval '3 minutes' WHERE state = 'held'",
    "one_allowance_a_day": "UPDATE billing_ledgertransaction SET kind = 'allowance' WHERE kind = 'grant'",
    "history_is_a_chain": "DELETE FROM billing_ledgertransaction WHERE number = 2",
    "amounts_match_entries": "UPDATE billing_ledgertransaction SET amount = amount + 1 WHERE number = 2",
    "everything_sums_to_zero": "DELETE FROM billing_ledgerentry WHERE id = {entry}",
    "allowance_spent_or_there": "UPDATE billing_wallet SET daily_balance = 20000000",
    "day_spent_is_sum": "UPDATE billing_wallet SET day_spent = day_spent + 1",
    "payments_are_booked": "UPDATE billing_payment SET amount = amount + 1",
    "sales_have_payments": "DELETE FROM billing_payment",
    "returns_are_booked": "UPDATE billing_payment SET returned = returned + 1",
    "frozen_belongs_to_disputes": "UPDATE billing_dispute SET frozen_purchased = frozen_purchased + 1",
    "tiers_follow_subscriptions": "UPDATE billing_wallet SET tier_id = 'vip'",
}


def _sell(user_id: UUID) -> None:
    """A pack that was paid, half refunded and then disputed."""
    now = timezone.now()
    payments.apply_facts(
        store=Store.STRIPE,
        facts=PaymentFacts(
            external_id="pi_1",
            standing=PaymentStanding.PAID,
            user_id=user_id,
            pack="credits_100",
            amount=899,
            earned=899,
            currency="USD",
            refunds=(RefundFacts("re_1", 400, now),),
            disputes=(DisputeFacts("dp_1", DisputeStanding.OPEN, 499, now),),
        ),
        asked_at=now,
    )


@pytest.mark.parametrize("check", TAMPERING)
def test_m44_what_somebody_with_the_keys_changes_is_reported_by_name(check: str) -> None:
    user_id = make_wallet(bonus=5)
    capture(reserve(user_id, 12).hold_id, 11)
    reserve(user_id, 1)
    _sell(user_id)
    assert checks.check_ledger().is_clean
    entry = LedgerEntry.objects.filter(transaction__kind="charge").order_by("id").first()
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(TAMPERING[check].format(entry=entry.id))
    counted = metrics.VIOLATIONS._value.get()
    result = checks.check_ledger()
    assert not result.is_clean
    assert check in result.results
    assert result.results[check]["count"] >= 1
    assert result.violations == sum(found["count"] for found in result.results.values())
    assert metrics.VIOLATIONS._value.get() == counted + result.violations


def test_m44_a_consistent_forgery_still_breaks_the_chain_of_balances() -> None:
    user_id = make_wallet(bonus=5)
    make_wallet(bonus=5)
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE billing_ledgerentry e SET amount = e.amount * 2 FROM billing_ledgertransaction t"
            " WHERE t.id = e.transaction_id AND t.kind = 'grant' AND t.user_id = %s",
            [user_id],
        )
        admin.execute(
            "UPDATE billing_ledgertransaction SET amount = amount * 2 WHERE kind = 'grant' AND user_id = %s",
            [user_id],
        )
        admin.execute(
            "UPDATE billing_wallet SET bonus_balance = bonus_balance * 2 WHERE user_id = %s", [user_id]
        )
    violations = invariants.find_violations()
    assert [violation.check for violation in violations] == ["history_is_a_chain"]
    assert str(user_id) in violations[0].rows[0]


def test_the_nightly_job_stores_its_result() -> None:
    make_wallet()
    tasks.check_ledger()
    result = LedgerCheck.objects.get()
    assert (result.is_clean, result.violations, result.results) == (True, 0, {})


def test_the_command_says_each_promise_and_fails_on_a_broken_one(capsys: pytest.CaptureFixture[str]) -> None:
    user_id = make_wallet(bonus=5)
    call_command("check_ledger")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(invariants.CHECKS)
    assert all(line.startswith("ok ") for line in lines)
    with as_superuser() as admin:
        admin.execute("UPDATE billing_wallet SET bonus_balance = bonus_balance + 1")
    with pytest.raises(CommandError, match="2 rows break"):
        call_command("check_ledger")
    out = capsys.readouterr().out
    assert (
        "FAIL A wallet's balance in each bucket, what it owes and what is frozen are sums of entries." in out
    )
    assert str(user_id) in out


def test_every_check_has_a_forgery_that_proves_it() -> None:
    # These cannot be broken past constraints of the tables or past generated columns.
    kept_by_the_table = {
        "amounts_positive",
        "spendable_not_negative",
        "holds_end_once",
        "ids_follow_the_clock",
        "debts_are_paid_first",
    }
    assert {check.name for check in invariants.CHECKS} == set(TAMPERING) | kept_by_the_table


def test_the_shipped_accounts_are_there() -> None:
    names = LedgerAccount.objects.filter(wallet=None).values_list("name", flat=True)
    # Those of money are made with the first payment in a currency.
    assert sorted(names) == sorted(set(LedgerAccount.System.values) - {"store", "sales", "tax"})


def test_a_wallet_cannot_lose_its_owner() -> None:
    user_id = make_wallet()
    with pytest.raises(DatabaseError), transaction.atomic():
        execute("DELETE FROM accounts_user WHERE id = %s", user_id)
    assert Wallet.objects.filter(pk=user_id).exists()
    assert not Hold.objects.exists()
    assert LedgerTransaction.objects.get().amount == 10 * MICRO
