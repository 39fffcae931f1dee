from datetime import UTC, date, timedelta
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from billing import usage_reports
from billing.models import UsageExport
from billing.services.usage import sign_usage_export
from billing.usage_forecast import Outlook
from common.api.serializers import CreditsField, StrictSerializer
from common.errors import Invalid

_DEFAULT_DAYS = 30


def _day_fields() -> dict[str, serializers.Field]:
    first = serializers.DateField(required=False, help_text=_("The first day, in your time zone."))
    last = serializers.DateField(required=False, help_text=_("The last day, included."))
    return {"from": first, "to": last}


def _check_days(*days: date | None) -> None:
    for day in days:
        if day is not None and not usage_reports.EARLIEST <= day < usage_reports.LATEST:
            raise serializers.ValidationError({"from": [_("There is nothing so far away.")]})


class HistoryQuerySerializer(serializers.Serializer):
    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **_day_fields()}

    def period(self, today: date) -> tuple[date, date]:
        """Thirty days up to today, where nothing else is asked for. Raises Invalid."""
        asked: dict[str, date] = self.validated_data
        last = asked.get("to", today)
        _check_days(asked.get("from"), last)
        first = asked.get("from", last - timedelta(days=_DEFAULT_DAYS - 1))
        if first > last:
            raise Invalid.field("to", "invalid", _("The last day comes before the first."))
        if (last - first).days >= usage_reports.LONGEST_HISTORY:
            raise Invalid.field("from", "too_long", _("At most 366 days at once."))
        return first, last


class AnalyticsQuerySerializer(serializers.Serializer):
    days = serializers.IntegerField(min_value=7, max_value=365, default=_DEFAULT_DAYS)


class FiguresSerializer(serializers.Serializer):
    credits = CreditsField()
    replies = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()


class _LineSerializer(serializers.Serializer):
    credits = CreditsField(source="figures.credits")
    replies = serializers.IntegerField(source="figures.replies")
    input_tokens = serializers.IntegerField(source="figures.input_tokens")
    output_tokens = serializers.IntegerField(source="figures.output_tokens")
    cached_tokens = serializers.IntegerField(source="figures.cached_tokens")


class UsageDaySerializer(_LineSerializer):
    day = serializers.DateField()


class UsageHourSerializer(_LineSerializer):
    hour = serializers.IntegerField(help_text=_("0 to 23, in your time zone."))


class UsageWeekdaySerializer(_LineSerializer):
    weekday = serializers.IntegerField(help_text=_("1 is Monday."))


class UsagePersonaSerializer(_LineSerializer):
    persona = serializers.UUIDField(
        allow_null=True, help_text=_("Empty for what was not paid for a talk; the name says for what.")
    )
    name = serializers.CharField()
    share = serializers.IntegerField(help_text=_("Of the credits, in per cent."))


class UsageModelSerializer(_LineSerializer):
    model = serializers.CharField(source="name")
    share = serializers.IntegerField(help_text=_("Of the credits, in per cent."))


class UsageHistorySerializer(serializers.Serializer):
    time_zone = serializers.CharField(source="zone")
    totals = FiguresSerializer()
    days = UsageDaySerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        period = {"from": serializers.DateField(source="first"), "to": serializers.DateField(source="last")}
        return {**period, **super().get_fields()}


class AccuracySerializer(serializers.Serializer):
    credits_per_day = CreditsField(help_text=_("Mean absolute error of a day's spending."))
    days = serializers.SerializerMethodField(help_text=_("Mean absolute error of the guess, in days."))
    trials = serializers.IntegerField(help_text=_("How often it was tried on your own past."))

    def get_days(self, accuracy: Any) -> float:
        return round(accuracy.days, 1)


class PredictionSerializer(serializers.Serializer):
    outlook = serializers.ChoiceField(choices=[(value, value) for value in Outlook])
    available = CreditsField()
    daily_spending = CreditsField(allow_null=True)
    days_left = serializers.SerializerMethodField()
    runs_out_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    error = AccuracySerializer(source="accuracy", allow_null=True)
    based_on_days = serializers.IntegerField()

    def get_days_left(self, forecast: Any) -> float | None:
        return None if forecast.days_left is None else round(forecast.days_left, 1)


class AveragesSerializer(serializers.Serializer):
    credits_per_day = CreditsField()
    credits_per_reply = CreditsField(allow_null=True)


class TrendSerializer(serializers.Serializer):
    previous = FiguresSerializer()
    change = CreditsField(help_text=_("Credits more than in the period before; negative: fewer."))
    change_percent = serializers.IntegerField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        period = {
            "from": serializers.DateField(source="previous_first"),
            "to": serializers.DateField(source="previous_last"),
        }
        return {**period, **super().get_fields()}


class AnalyticsSerializer(serializers.Serializer):
    time_zone = serializers.CharField(source="zone")
    totals = FiguresSerializer()
    averages = AveragesSerializer(source="*")
    trend = TrendSerializer(source="*")
    days = UsageDaySerializer(many=True)
    hours = UsageHourSerializer(many=True)
    peak_hours = serializers.ListField(
        child=serializers.IntegerField(), help_text=_("Up to three hours with the most replies.")
    )
    weekdays = UsageWeekdaySerializer(many=True)
    personas = UsagePersonaSerializer(many=True)
    models = UsageModelSerializer(many=True)
    prediction = serializers.SerializerMethodField()

    @extend_schema_field(PredictionSerializer)
    def get_prediction(self, analytics: Any) -> dict[str, Any]:
        return dict(PredictionSerializer(self.context["forecast"]).data)

    def get_fields(self) -> dict[str, Any]:
        period = {"from": serializers.DateField(source="first"), "to": serializers.DateField(source="last")}
        return {**period, **super().get_fields()}


class RequestUsageExportSerializer(StrictSerializer):
    def get_fields(self) -> dict[str, Any]:
        file_format = serializers.ChoiceField(choices=UsageExport.Format.choices)
        return {"format": file_format, **super().get_fields(), **_day_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _check_days(attrs.get("from"), attrs.get("to"))
        return attrs


@extend_schema_serializer(component_name="UsageExport")
class UsageExportSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=UsageExport.State.choices)
    rows = serializers.IntegerField(help_text=_("Written so far."))
    size = serializers.IntegerField()
    url = serializers.SerializerMethodField(help_text=_("Good for five minutes, for its owner only."))
    expires_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    created_at = serializers.DateTimeField(default_timezone=UTC)

    def get_fields(self) -> dict[str, Any]:
        more = {
            "format": serializers.ChoiceField(choices=UsageExport.Format.choices),
            "from": serializers.DateField(source="first_day", allow_null=True),
            "to": serializers.DateField(source="last_day", allow_null=True),
        }
        return {**super().get_fields(), **more}

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_url(self, export: UsageExport) -> str | None:
        token = sign_usage_export(export)
        if token is None:
            return None
        path = reverse("billing:usage-export-download", args=[token])
        url: str = self.context["request"].build_absolute_uri(path)
        return url
