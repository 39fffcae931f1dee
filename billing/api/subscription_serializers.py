from datetime import UTC, datetime

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.serializers import PlanSerializer, PriceField
from billing.models import Plan, Subscription, SubscriptionEvent
from billing.services import management
from common.api.serializers import StrictSerializer, WholeNumberField

# The last second Stripe's clock and ours can both write.
_LAST_SECOND = 2**32


class SubscriptionSerializer(serializers.Serializer):
    """Somebody without a subscription has `state` "none" and their tier; the rest is empty."""

    state = serializers.CharField(
        help_text=_("none, pending, trialing, active, grace, on_hold, cancelled (still runs) or expired.")
    )
    plan = serializers.CharField(source="plan_id", allow_null=True)
    tier = serializers.SerializerMethodField(help_text=_("The tier you have now."))
    provider = serializers.CharField(source="store", allow_null=True)
    current_period_end = serializers.DateTimeField(
        source="period_end",
        allow_null=True,
        default_timezone=UTC,
        help_text=_("Empty for a plan for life."),
    )
    cancel_at_period_end = serializers.BooleanField(source="ends_at_period_end")
    grace_until = serializers.SerializerMethodField()
    next_plan = serializers.CharField(source="next_plan_id", allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True, default_timezone=UTC)

    def get_tier(self, row: Subscription) -> str:
        tier: str = self.context["tier"]
        return tier

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_grace_until(self, row: Subscription) -> str | None:
        until: datetime | None = row.entitled_until
        if row.state != Subscription.State.GRACE or until is None:
            return None
        return serializers.DateTimeField(default_timezone=UTC).to_representation(until)


class SubscriptionEventSerializer(serializers.ModelSerializer[SubscriptionEvent]):
    period_end = serializers.DateTimeField(allow_null=True, default_timezone=UTC)
    created_at = serializers.DateTimeField(default_timezone=UTC)
    cause = serializers.CharField(help_text=_("store, time, user or staff."))
    from_state = serializers.CharField(help_text=_("Empty for its beginning."))
    to_state = serializers.CharField()

    class Meta:
        model = SubscriptionEvent
        fields = ["id", "subscription", "cause", "from_state", "to_state", "plan", "period_end", "created_at"]


class PlanOnSaleSerializer(PlanSerializer):
    trial_days = serializers.SerializerMethodField()  # type: ignore[assignment]
    is_current = serializers.SerializerMethodField()
    change = serializers.SerializerMethodField()

    def get_trial_days(self, plan: Plan) -> int:
        """For you: none after your first subscription."""
        return 0 if self.context["had_one"] else plan.trial_days

    def get_is_current(self, plan: Plan) -> bool:
        current: Subscription | None = self.context["current"]
        return current is not None and current.plan_id == plan.slug

    def get_change(self, plan: Plan) -> str | None:
        """How you get it: buy, now, at_period_end; null where you have it or cannot."""
        return management.way_to(self.context["current"], plan)


class ChangePlanSerializer(StrictSerializer):
    plan = serializers.CharField(max_length=40)
    prorated_at = WholeNumberField(
        required=False,
        min_value=1,
        max_value=_LAST_SECOND,
        help_text=_("From the preview, for the price it showed; good for an hour."),
    )


class PreviewPlanSerializer(StrictSerializer):
    plan = serializers.CharField(max_length=40)


class PlanChangeSerializer(serializers.Serializer):
    plan = serializers.CharField(source="plan.slug")
    change = serializers.SerializerMethodField()
    due = PriceField(help_text=_("To pay now."))
    credit = PriceField(help_text=_("For the unused time of the plan you have, taken off already."))
    currency = serializers.CharField()
    prorated_at = serializers.SerializerMethodField()

    def get_change(self, change: management.Change) -> str:
        """now or at_period_end."""
        return management.Way.NOW if change.is_immediate else management.Way.AT_PERIOD_END

    def get_prorated_at(self, change: management.Change) -> int | None:
        """Send it along to pay what is shown here."""
        return change.prorated_at or None


class CancelSerializer(StrictSerializer):
    at_period_end = serializers.BooleanField(default=True, help_text=_("Else it ends at once."))
