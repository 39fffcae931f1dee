from datetime import UTC
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.fields import get_attribute

from billing.models import Bucket, LedgerTransaction, Tier
from billing.money import format_amount
from common.api.serializers import CreditsField, StrictSerializer


@extend_schema_field(serializers.CharField(help_text="Money as a decimal string."))
class PriceField(serializers.Field):
    """Smallest units inside, a decimal string outside. The `currency` stands beside the amount."""

    def __init__(self, *, currency: str = "currency", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.currency = currency

    def get_attribute(self, instance: Any) -> tuple[int, str]:
        beside = [*self.source_attrs[:-1], *self.currency.split(".")]
        amount: int = get_attribute(instance, self.source_attrs)
        return amount, get_attribute(instance, beside)

    def to_representation(self, value: tuple[int, str]) -> str:
        return format_amount(*value)


class DailySerializer(serializers.Serializer):
    granted = CreditsField(source="daily_granted")
    remaining = CreditsField(source="daily_remaining")
    resets_at = serializers.DateTimeField(default_timezone=UTC)


class OwnLimitsSerializer(serializers.Serializer):
    paused = serializers.BooleanField(source="is_paused")
    per_message = CreditsField(source="message_cap", allow_null=True)
    per_day = CreditsField(source="day_cap", allow_null=True)
    low_balance = CreditsField(allow_null=True)


class WalletSerializer(serializers.Serializer):
    available = CreditsField()
    daily = DailySerializer(source="*")
    bonus = CreditsField()
    purchased = CreditsField()
    held = CreditsField()
    tier = serializers.CharField(source="tier.slug")
    debt = CreditsField(help_text=_("Owed after a payment went back; paid off by whatever comes in."))
    frozen = CreditsField(help_text=_("Set aside while a bank decides about a payment."))
    limits = OwnLimitsSerializer(source="*")
    is_low = serializers.BooleanField()


class ChangeOwnLimitsSerializer(StrictSerializer):
    paused = serializers.BooleanField(required=False, help_text=_("Nothing is spent while this is on."))
    per_message = CreditsField(required=False, allow_null=True)
    per_day = CreditsField(required=False, allow_null=True)
    low_balance = CreditsField(required=False, allow_null=True)


class RedeemSerializer(StrictSerializer):
    code = serializers.CharField(max_length=100)


class RedeemedSerializer(serializers.Serializer):
    credits = CreditsField()
    available = CreditsField()


class BucketsSerializer(serializers.Serializer):
    daily = CreditsField()
    bonus = CreditsField()
    purchased = CreditsField()


class TransactionSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=LedgerTransaction.Kind.choices)
    amount = CreditsField()
    balance_after = CreditsField()
    buckets = serializers.SerializerMethodField()
    reference = serializers.CharField()
    description = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(default_timezone=UTC)

    @extend_schema_field(BucketsSerializer)
    def get_buckets(self, transaction: Any) -> dict[str, str]:
        """What came into (or, negative, went out of) each bucket."""
        amounts = dict.fromkeys(Bucket.values, 0)
        for entry in transaction.bucket_entries:
            amounts[entry.account.name] += entry.direction * entry.amount
        return dict(BucketsSerializer(amounts).data)

    def get_description(self, transaction: LedgerTransaction) -> str:
        return transaction.description or transaction.get_kind_display()


class MessagesSerializer(serializers.Serializer):
    used = serializers.IntegerField(source="wallet.messages_used")
    limit = serializers.IntegerField(source="wallet.tier.messages_per_day", allow_null=True)


class SpentSerializer(serializers.Serializer):
    spent = CreditsField()
    available = CreditsField(source="wallet.available")
    daily_granted = CreditsField(source="wallet.daily_granted")
    daily_remaining = CreditsField(source="wallet.daily_remaining")


@extend_schema_serializer(component_name="UsageToday")
class UsageSerializer(serializers.Serializer):
    day = serializers.DateField(source="wallet.day")
    resets_at = serializers.DateTimeField(source="wallet.resets_at", default_timezone=UTC)
    tier = serializers.CharField(source="wallet.tier.slug")
    credits = SpentSerializer(source="*")
    messages = MessagesSerializer(source="*")
    requests_per_minute = serializers.IntegerField(source="wallet.tier.requests_per_minute")


class TierSerializer(serializers.ModelSerializer):
    daily_credits = CreditsField()
    credits_per_1000_tokens = serializers.SerializerMethodField()

    class Meta:
        model = Tier
        fields = [
            "slug",
            "name",
            "daily_credits",
            "credits_per_1000_tokens",
            "requests_per_minute",
            "messages_per_day",
            "max_output_tokens",
            "persona_limit",
            "history_days",
            "memory",
            "storage_bytes",
            "mentor_messages_per_day",
        ]

    def get_credits_per_1000_tokens(self, tier: Tier) -> str:
        return CreditsField().to_representation(tier.token_price * 1000)


class PlanSerializer(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    tier = serializers.CharField(source="tier_id")
    period = serializers.CharField()
    price = PriceField()
    currency = serializers.CharField()
    bonus_credits = CreditsField()
    trial_days = serializers.IntegerField(help_text=_("For somebody's first subscription."))


class PackSerializer(serializers.Serializer):
    slug = serializers.CharField(source="pack.slug")
    name = serializers.CharField(source="pack.name")
    credits = CreditsField(source="pack.credits")
    price = PriceField(source="pack.price")
    currency = serializers.CharField(source="pack.currency")
    approximate_replies = serializers.IntegerField(
        source="replies", allow_null=True, help_text=_("Ordinary ones, in the tier people begin in.")
    )


class ActionPriceSerializer(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    credits = CreditsField()


class CatalogSerializer(serializers.Serializer):
    tiers = TierSerializer(many=True)
    plans = PlanSerializer(many=True)
    packs = PackSerializer(many=True)
    actions = ActionPriceSerializer(many=True)
