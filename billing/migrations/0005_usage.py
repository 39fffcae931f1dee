"""What was used, added up from the ledger, and files of it."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import common.ids


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("billing", "0004_catalogue"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageExport",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "format",
                    models.CharField(
                        choices=[("json", "JSON"), ("csv", "CSV")], max_length=4, verbose_name="format"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("processing", "processing"),
                            ("ready", "ready"),
                            ("failed", "failed"),
                            ("expired", "expired"),
                        ],
                        default="queued",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("first_day", models.DateField(null=True, verbose_name="from")),
                ("last_day", models.DateField(null=True, verbose_name="to")),
                ("time_zone", models.CharField(max_length=64, verbose_name="time zone")),
                ("key", models.CharField(blank=True, editable=False, max_length=80)),
                ("rows", models.BigIntegerField(default=0, verbose_name="rows")),
                ("size", models.BigIntegerField(default=0, verbose_name="size in bytes")),
                ("expires_at", models.DateTimeField(null=True, verbose_name="expires")),
            ],
            options={
                "verbose_name": "usage export",
                "verbose_name_plural": "usage exports",
            },
        ),
        migrations.CreateModel(
            name="UsageMark",
            fields=[
                (
                    "wallet",
                    models.OneToOneField(
                        db_column="user_id",
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="billing.wallet",
                    ),
                ),
                ("through_number", models.BigIntegerField(default=0, verbose_name="through number")),
            ],
            options={
                "verbose_name": "usage mark",
                "verbose_name_plural": "usage marks",
            },
        ),
        migrations.CreateModel(
            name="UsageSlot",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("starts_at", models.DateTimeField(verbose_name="starts at")),
                ("persona_id", models.UUIDField(null=True, verbose_name="persona")),
                (
                    "label",
                    models.CharField(
                        blank=True,
                        help_text="The persona's name then, or what was paid for.",
                        max_length=300,
                        verbose_name="for",
                    ),
                ),
                ("model", models.CharField(blank=True, max_length=200, verbose_name="model")),
                ("charges", models.BigIntegerField(verbose_name="charges")),
                ("replies", models.BigIntegerField(verbose_name="replies")),
                ("input_tokens", models.BigIntegerField(verbose_name="tokens read")),
                ("output_tokens", models.BigIntegerField(verbose_name="tokens written")),
                ("cached_tokens", models.BigIntegerField(verbose_name="tokens from cache")),
                ("credits", models.BigIntegerField(help_text="In microcredits.", verbose_name="credits")),
            ],
            options={
                "verbose_name": "usage",
                "verbose_name_plural": "usage",
            },
        ),
        migrations.AddField(
            model_name="usageexport",
            name="user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="usagemark",
            constraint=models.CheckConstraint(
                condition=models.Q(("through_number__gte", 0)), name="usage_mark_not_negative"
            ),
        ),
        migrations.AddField(
            model_name="usageslot",
            name="wallet",
            field=models.ForeignKey(
                db_column="user_id",
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="billing.wallet",
                verbose_name="wallet",
            ),
        ),
        migrations.AddIndex(
            model_name="usageexport",
            index=models.Index(fields=["user", "-created_at"], name="usage_export_newest"),
        ),
        migrations.AddIndex(
            model_name="usageexport",
            index=models.Index(
                condition=models.Q(
                    models.Q(("key", ""), _negated=True),
                    ("state__in", ["queued", "processing"]),
                    _connector="OR",
                ),
                fields=["created_at"],
                name="usage_export_with_file",
            ),
        ),
        migrations.AddConstraint(
            model_name="usageslot",
            constraint=models.UniqueConstraint(
                fields=("wallet", "starts_at", "persona_id", "label", "model"),
                name="usage_slot_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="usageslot",
            constraint=models.CheckConstraint(
                condition=models.Q(("charges__gte", 1), ("credits__gte", 0), ("replies__gte", 0)),
                name="usage_slot_not_negative",
            ),
        ),
    ]
