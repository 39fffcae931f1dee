"""What ships: tiers, plans, packs, prices, and the platform's ledger accounts."""

from typing import Any

from django.db import migrations

CREDIT = 1_000_000
MEGABYTE = 1024 * 1024
GIGABYTE = 1024 * MEGABYTE

TIERS = (
    {
        "slug": "free",
        "name": "Free",
        "position": 10,
        "daily_credits": 10 * CREDIT,
        "token_price": 100,
        "requests_per_minute": 5,
        "messages_per_day": 10,
        "max_output_tokens": 1024,
        "persona_limit": 2,
        "history_days": 7,
        "memory": "none",
        "storage_bytes": 100 * MEGABYTE,
        "mentor_messages_per_day": 10,
    },
    {
        "slug": "premium",
        "name": "Premium",
        "position": 20,
        "daily_credits": 100 * CREDIT,
        "token_price": 70,
        "requests_per_minute": 30,
        "messages_per_day": None,
        "max_output_tokens": 2048,
        "persona_limit": None,
        "history_days": None,
        "memory": "basic",
        "storage_bytes": 5 * GIGABYTE,
        "mentor_messages_per_day": 50,
    },
    {
        "slug": "vip",
        "name": "VIP",
        "position": 30,
        "daily_credits": 500 * CREDIT,
        "token_price": 50,
        "requests_per_minute": 100,
        "messages_per_day": None,
        "max_output_tokens": 4096,
        "persona_limit": None,
        "history_days": None,
        "memory": "deep",
        "storage_bytes": 20 * GIGABYTE,
        "mentor_messages_per_day": 50,
    },
)
PLANS = (
    ("premium_daily", "Premium for a day", "premium", "day", 99, 0),
    ("premium_monthly", "Premium monthly", "premium", "month", 999, 200),
    ("premium_yearly", "Premium yearly", "premium", "year", 9999, 2500),
    ("premium_lifetime", "Premium for life", "premium", "lifetime", 24999, 2500),
    ("vip_monthly", "VIP monthly", "vip", "month", 2999, 1000),
    ("vip_yearly", "VIP yearly", "vip", "year", 29999, 13000),
)
PACKS = (
    ("credits_10", "10 credits", 10, 99),
    ("credits_50", "50 credits", 50, 499),
    ("credits_100", "100 credits", 100, 899),
    ("credits_500", "550 credits", 550, 3999),
    ("credits_1000", "1,200 credits", 1200, 6999),
)
ACTIONS = (
    ("short_chat", "Short conversation", 5),
    ("long_chat", "Long conversation", 20),
    ("image_analysis", "Screenshot", 50),
)
ACCOUNTS = ("allowance", "grants", "adjustments", "revenue", "expired", "write_off")


def add_catalogue(apps: Any, schema_editor: Any) -> None:
    tier, plan, pack = (apps.get_model("billing", name) for name in ("Tier", "Plan", "Pack"))
    tier.objects.bulk_create(tier(**values) for values in TIERS)
    plan.objects.bulk_create(
        plan(
            slug=slug,
            name=name,
            tier_id=tier_slug,
            period=period,
            price=price,
            bonus_credits=bonus * CREDIT,
            position=position * 10,
        )
        for position, (slug, name, tier_slug, period, price, bonus) in enumerate(PLANS, start=1)
    )
    pack.objects.bulk_create(
        pack(slug=slug, name=name, credits=amount * CREDIT, price=price, position=position * 10)
        for position, (slug, name, amount, price) in enumerate(PACKS, start=1)
    )
    action = apps.get_model("billing", "ActionPrice")
    action.objects.bulk_create(
        action(slug=slug, name=name, credits=amount * CREDIT, position=position * 10)
        for position, (slug, name, amount) in enumerate(ACTIONS, start=1)
    )
    apps.get_model("billing", "Gift").objects.create(slug="sign_up", name="Welcome gift", credits=20 * CREDIT)
    account = apps.get_model("billing", "LedgerAccount")
    account.objects.bulk_create(account(name=name) for name in ACCOUNTS)


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_money_functions")]

    operations = [migrations.RunPython(add_catalogue, migrations.RunPython.noop)]
