"""The models Parlor ships with, at the list prices of November 2026; operators keep them current."""

from decimal import Decimal

from django.db import migrations

# Effort is kept low: people in a conversation notice the wait more than the extra thought.
_ANTHROPIC = {"output_config": {"effort": "low"}}
_OPENAI = {"reasoning_effort": "low"}

# slug, provider, name, display name, window, longest reply, prices (in, out, cached, cache write), tier,
# temperature, options, default
_MODELS = [
    ("echo", "echo", "echo", "Echo (demo)", 32_000, 4_000, ("0", "0", "0", "0"), "free", True, {}, True),
    (
        "claude-sonnet-5-5",
        "anthropic",
        "claude-sonnet-5-5",
        "Claude Sonnet 5.5",
        1_000_000,
        128_000,
        ("2", "10", "0.10", "2.50"),
        "free",
        False,
        _ANTHROPIC,
        True,
    ),
    (
        "claude-haiku-5-5",
        "anthropic",
        "claude-haiku-5-5",
        "Claude Haiku 5.5",
        1_000_000,
        128_000,
        ("0.10", "0.50", "0.01", "0.125"),
        "free",
        False,
        _ANTHROPIC,
        False,
    ),
    (
        "claude-haiku-4-5",
        "anthropic",
        "claude-haiku-4-5",
        "Claude Haiku 4.5",
        200_000,
        64_000,
        ("1", "5", "0.10", "1.25"),
        "free",
        True,
        {},
        False,
    ),
    (
        "claude-opus-5-5",
        "anthropic",
        "claude-opus-5-5",
        "Claude Opus 5.5",
        1_000_000,
        128_000,
        ("4", "20", "0.20", "5"),
        "premium",
        False,
        _ANTHROPIC,
        False,
    ),
    (
        "gpt-6.1-terra",
        "openai",
        "gpt-6.1-terra",
        "GPT-6.1 Terra",
        1_000_000,
        128_000,
        ("1", "5", "0.05", "1.25"),
        "free",
        False,
        _OPENAI,
        True,
    ),
    (
        "gpt-6-luna",
        "openai",
        "gpt-6-luna",
        "GPT-6 Luna",
        1_000_000,
        128_000,
        ("0.10", "0.50", "0.01", "0.125"),
        "free",
        False,
        _OPENAI,
        False,
    ),
    (
        "gpt-6-sol",
        "openai",
        "gpt-6-sol",
        "GPT-6 Sol",
        1_000_000,
        128_000,
        ("2", "10", "0.20", "2.50"),
        "premium",
        False,
        _OPENAI,
        False,
    ),
    (
        "grok-4.3",
        "xai",
        "grok-4.3",
        "Grok 4.3",
        1_000_000,
        64_000,
        ("1.25", "2.50", "0.20", "1.25"),
        "free",
        True,
        {},
        True,
    ),
    (
        "grok-4.5",
        "xai",
        "grok-4.5",
        "Grok 4.5",
        500_000,
        64_000,
        ("2", "6", "0.50", "2"),
        "premium",
        True,
        {},
        False,
    ),
    (
        "gemini-3.8-flash",
        "gemini",
        "gemini-3.8-flash",
        "Gemini 3.8 Flash",
        1_000_000,
        65_536,
        ("0.75", "3.75", "0.075", "0.75"),
        "free",
        True,
        {},
        True,
    ),
    (
        "gemini-3.5-flash-lite",
        "gemini",
        "gemini-3.5-flash-lite",
        "Gemini 3.5 Flash-Lite",
        1_000_000,
        65_536,
        ("0.30", "2.50", "0.03", "0.30"),
        "free",
        True,
        {},
        False,
    ),
    (
        "local",
        "compatible",
        "llama3.2",
        "Local model",
        32_768,
        8_192,
        ("0", "0", "0", "0"),
        "free",
        True,
        {},
        True,
    ),
]
_FALLBACKS = {
    "claude-sonnet-5-5": "claude-haiku-5-5",
    "claude-haiku-5-5": "claude-haiku-4-5",
    "claude-opus-5-5": "claude-sonnet-5-5",
    "gpt-6.1-terra": "gpt-6-luna",
    "gpt-6-sol": "gpt-6.1-terra",
    "grok-4.5": "grok-4.3",
    "gemini-3.8-flash": "gemini-3.5-flash-lite",
}


def add_models(apps, schema_editor):
    AIModel = apps.get_model("ai", "AIModel")
    for (
        slug,
        provider,
        name,
        display_name,
        window,
        longest,
        prices,
        tier,
        temperature,
        options,
        default,
    ) in _MODELS:
        input_price, output_price, cached_price, cache_write_price = (Decimal(price) for price in prices)
        AIModel.objects.create(
            slug=slug,
            provider=provider,
            name=name,
            display_name=display_name,
            context_window=window,
            max_output_tokens=longest,
            input_price=input_price,
            output_price=output_price,
            cached_price=cached_price,
            cache_write_price=cache_write_price,
            lowest_tier=tier,
            supports_temperature=temperature,
            options=options,
            is_default=default,
        )
    for slug, fallback in _FALLBACKS.items():
        AIModel.objects.filter(slug=slug).update(fallback=AIModel.objects.get(slug=fallback))
    apps.get_model("ai", "SpendLimit").objects.create(id=1, daily_alert_usd=50, daily_cap_usd=500)


def remove_models(apps, schema_editor):
    apps.get_model("ai", "AIModel").objects.filter(slug__in=[row[0] for row in _MODELS]).delete()
    apps.get_model("ai", "SpendLimit").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("ai", "0001_initial")]

    operations = [migrations.RunPython(add_models, remove_models)]
