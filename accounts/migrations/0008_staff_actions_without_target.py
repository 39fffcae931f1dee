from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_roles"),
    ]

    operations = [
        migrations.AlterField(
            model_name="staffaction",
            name="target_id",
            field=models.CharField(blank=True, max_length=64, verbose_name="target id"),
        ),
        migrations.AlterField(
            model_name="staffaction",
            name="target_type",
            field=models.CharField(blank=True, max_length=60, verbose_name="kind of target"),
        ),
    ]
