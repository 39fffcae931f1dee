"""The nightly job's part of the functions through which credits move, for many wallets at a time."""

from pathlib import Path

from django.db import migrations

UP = (Path(__file__).parent / "sql" / "0009_refresh.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_sales_rows")]

    # Going back leaves it in place: it does what the one before did, and is called the same.
    operations = [migrations.RunSQL(UP, migrations.RunSQL.noop)]
