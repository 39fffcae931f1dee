"""The functions through which credits move."""

from pathlib import Path

from django.db import migrations

UP = (Path(__file__).parent / "sql" / "0003_money_functions.sql").read_text()
DOWN = """
DROP FUNCTION billing_refresh_allowances, billing_set_tier, billing_grant, billing_expire_holds,
    billing_release, billing_capture, billing_settle, billing_reserve, billing_open_wallet,
    billing_lock_wallet, billing_create_wallet, billing_start_day, billing_available, billing_balance,
    billing_post;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_ledger_rules")]

    operations = [migrations.RunSQL(UP, DOWN)]
