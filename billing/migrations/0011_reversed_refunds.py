from pathlib import Path

from django.db import migrations, models

KEEP = (Path(__file__).parent / "sql" / "0011_reversed_refunds.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0010_indexes_and_currencies"),
    ]

    operations = [
        migrations.RunSQL(KEEP, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="ledgertransaction",
            name="kind",
            field=models.CharField(
                choices=[
                    ("allowance", "Daily allowance"),
                    ("upgrade", "More daily credits in the new tier"),
                    ("lapse", "Daily credits lapsed"),
                    ("charge", "Paid"),
                    ("write_off", "Not charged"),
                    ("sign_up_bonus", "Welcome gift"),
                    ("grant", "Credits given"),
                    ("adjustment", "Adjustment by support"),
                    ("purchase", "Credits bought"),
                    ("plan", "Payment for your plan"),
                    ("refund", "Refund"),
                    ("chargeback", "Payment taken back by your bank"),
                    ("reversed", "Refund that did not reach you"),
                    ("freeze", "Set aside while your bank decides"),
                    ("unfreeze", "Given back after your bank decided"),
                    ("code", "Code redeemed"),
                    ("debt_paid", "Paid off what was owed"),
                    ("debt_waived", "What was owed was waived"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="refund",
            name="kind",
            field=models.CharField(
                choices=[
                    ("refund", "refund"),
                    ("chargeback", "chargeback"),
                    ("reversed", "refund that failed"),
                ],
                max_length=10,
                verbose_name="kind",
            ),
        ),
    ]
