from django.db import migrations, models

_STORES = [
    ("stripe", "Stripe"),
    ("stripe_test", "Stripe, test mode"),
    ("sandbox", "Test shop"),
    ("google_play", "Google Play"),
    ("app_store", "App Store"),
    ("given", "Given by us"),
]
_MODELS = ("order", "payment", "storecustomer", "storeevent", "storeprice", "subscription")


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0011_reversed_refunds"),
    ]

    operations = [
        migrations.AlterField(
            model_name=model,
            name="store",
            field=models.CharField(choices=_STORES, max_length=20, verbose_name="store"),
        )
        for model in _MODELS
    ]
