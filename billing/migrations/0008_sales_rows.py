"""The account credits are sold from, the limits of staff, and the rights of the new tables."""

from typing import Any

from django.db import migrations

from accounts.roles import grant

MODELS = (
    "approval",
    "cataloguechange",
    "dispute",
    "moneylimit",
    "order",
    "payment",
    "reconciliation",
    "redemption",
    "redemptioncode",
    "refund",
    "storecustomer",
    "storeevent",
    "storeprice",
    "subscription",
    "subscriptionevent",
    "usageexport",
    "usagemark",
    "usageslot",
)
ACTIONS = (
    "billing.replay_storeevent",
    "billing.refund_payment",
    "billing.comp_subscription",
    "billing.extend_subscription",
    "billing.decide_approval",
    "billing.run_reconciliation",
)
NEW = ACTIONS + tuple(
    f"billing.{verb}_{model}" for model in MODELS for verb in ("view", "add", "change", "delete")
)


def add_rows(apps: Any, schema_editor: Any) -> None:
    apps.get_model("billing", "LedgerAccount").objects.get_or_create(
        name="sold", wallet=None, currency="credits"
    )
    apps.get_model("billing", "MoneyLimit").objects.get_or_create(id=1)


def grant_new(apps: Any, schema_editor: Any) -> None:
    grant(apps, schema_editor, new=NEW)


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_sales_functions"), ("accounts", "0007_roles")]

    operations = [
        migrations.RunPython(add_rows, migrations.RunPython.noop),
        migrations.RunPython(grant_new, migrations.RunPython.noop),
    ]
