from django.conf import settings
from django.db import migrations, models

import billing.models.catalogue


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0009_refresh_in_chunks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="pack",
            name="currency",
            field=models.CharField(
                default="USD",
                max_length=3,
                validators=[billing.models.catalogue.check_has_cents],
                verbose_name="currency",
            ),
        ),
        migrations.AlterField(
            model_name="plan",
            name="currency",
            field=models.CharField(
                default="USD",
                max_length=3,
                validators=[billing.models.catalogue.check_has_cents],
                verbose_name="currency",
            ),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(fields=["external_id"], name="dispute_at_store"),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["external_id"], name="payment_at_store"),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(fields=["external_id"], name="refund_at_store"),
        ),
        migrations.AddIndex(
            model_name="storeevent",
            index=models.Index(
                condition=models.Q(("state", "quarantined")),
                fields=["created_at"],
                name="store_event_quarantined",
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["external_id"], name="subscription_at_store"),
        ),
    ]
