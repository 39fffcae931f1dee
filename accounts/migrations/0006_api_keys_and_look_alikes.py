import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.models
import common.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_erased_names_leave_the_staff_log"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                ("prefix", models.CharField(max_length=16, verbose_name="key")),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("last_used_at", models.DateTimeField(null=True, verbose_name="last used")),
                ("revoked_at", models.DateTimeField(null=True, verbose_name="revoked")),
            ],
            options={
                "verbose_name": "API key",
                "verbose_name_plural": "API keys",
                "permissions": [("revoke_api_key", "Can revoke API keys")],
            },
        ),
        migrations.AddField(
            model_name="user",
            name="handle_skeleton",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.text.Replace(
                    django.db.models.functions.text.Replace(
                        django.db.models.functions.text.Replace(
                            accounts.models.Translate(
                                django.db.models.functions.text.Replace(
                                    "handle", models.Value("_"), models.Value("")
                                ),
                                models.Value("01i58"),
                                models.Value("ollsb"),
                            ),
                            models.Value("rn"),
                            models.Value("m"),
                        ),
                        models.Value("vv"),
                        models.Value("w"),
                    ),
                    models.Value("cl"),
                    models.Value("d"),
                ),
                output_field=models.CharField(max_length=30),
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                fields=("handle_skeleton",), name="user_handle_no_look_alikes"
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(fields=["user", "-created_at"], name="api_key_newest"),
        ),
    ]
