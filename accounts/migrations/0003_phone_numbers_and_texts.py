import django.utils.timezone
from django.db import migrations, models

import common.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_staff_actions_append_only"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="TextMessage",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("number", models.CharField(max_length=16, verbose_name="number")),
                ("prefix", models.CharField(max_length=8, verbose_name="prefix")),
                ("country", models.CharField(max_length=2, verbose_name="country")),
                ("address", models.GenericIPAddressField(null=True, verbose_name="asked for from")),
                (
                    "purpose",
                    models.CharField(
                        choices=[("code", "code"), ("notice", "notice")],
                        max_length=10,
                        verbose_name="purpose",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("queued", "queued"), ("sent", "sent"), ("failed", "failed")],
                        default="queued",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("used_at", models.DateTimeField(null=True, verbose_name="code used")),
            ],
            options={
                "verbose_name": "text message",
                "verbose_name_plural": "text messages",
            },
        ),
        migrations.AddField(
            model_name="user",
            name="unverified_phone",
            field=models.CharField(blank=True, editable=False, max_length=16),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("unverified_phone", ""),
                    ("unverified_phone__regex", "^\\+[1-9][0-9]{6,14}\\Z"),
                    _connector="OR",
                ),
                name="user_unverified_phone_e164",
            ),
        ),
        migrations.AddIndex(
            model_name="textmessage",
            index=models.Index(fields=["created_at"], name="text_message_age"),
        ),
        migrations.AddIndex(
            model_name="textmessage",
            index=models.Index(fields=["number", "created_at"], name="text_message_number"),
        ),
    ]
