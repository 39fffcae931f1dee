"""Payments, refunds, disputes and subscriptions in the functions through which credits move."""

from pathlib import Path

from django.db import migrations

UP = (Path(__file__).parent / "sql" / "0007_sales.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_sales")]

    # No way back: the functions of before know nothing of debts, and would let them be spent.
    operations = [migrations.RunSQL(UP)]
