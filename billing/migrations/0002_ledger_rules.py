"""Triggers, storage and grants that keep the ledger's promises in the database."""

from pathlib import Path

from django.db import migrations

UP = (Path(__file__).parent / "sql" / "0002_ledger_rules.sql").read_text()
DOWN = """
DROP TRIGGER ledger_account_append_only ON billing_ledgeraccount;
DROP TRIGGER ledger_transaction_append_only ON billing_ledgertransaction;
DROP TRIGGER ledger_entry_append_only ON billing_ledgerentry;
DROP TRIGGER ledger_entries_balance ON billing_ledgerentry;
DROP TRIGGER ledger_transaction_has_entries ON billing_ledgertransaction;
DROP FUNCTION billing_refuse_rewrite, billing_check_entries, billing_check_transaction;
"""


class Migration(migrations.Migration):
    # Its grants must come first, or they would undo what is revoked here.
    dependencies = [("common", "0001_initial"), ("billing", "0001_initial")]

    operations = [migrations.RunSQL(UP, DOWN)]
