from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import usage_forecast, usage_reports
from billing.api.usage_serializers import (
    AnalyticsQuerySerializer,
    AnalyticsSerializer,
    HistoryQuerySerializer,
    PredictionSerializer,
    RequestUsageExportSerializer,
    UsageExportSerializer,
    UsageHistorySerializer,
)
from billing.services import usage
from common.http import user_id


class UsageHistoryView(APIView):
    @extend_schema(
        parameters=[HistoryQuerySerializer],
        responses=UsageHistorySerializer,
        operation_id="usage_history_retrieve",
    )
    def get(self, request: Request) -> Response:
        """What each day cost, days without use included; days are those of your time zone.

        The last thirty days where nothing else is asked for, at most 366.
        """
        query = HistoryQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        zone = usage_reports.zone_of(user_id(request))
        first, last = query.period(usage_reports.today_in(zone, timezone.now()))
        history = usage_reports.get_history(user_id(request), first=first, last=last, zone=zone)
        return Response(UsageHistorySerializer(history).data)


class UsageAnalyticsView(APIView):
    @extend_schema(
        parameters=[AnalyticsQuerySerializer],
        responses=AnalyticsSerializer,
        operation_id="usage_analytics_retrieve",
    )
    def get(self, request: Request) -> Response:
        """The last days beside those before them; by hour, weekday, persona and model; and what is ahead."""
        query = AnalyticsQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        now = timezone.now()
        analytics = usage_reports.get_analytics(
            user_id(request),
            days=query.validated_data["days"],
            zone=usage_reports.zone_of(user_id(request)),
            now=now,
        )
        forecast = usage_forecast.get_forecast(user_id(request), now=now)
        answer = AnalyticsSerializer(analytics, context={"forecast": forecast})
        return Response(answer.data)


class UsagePredictionView(APIView):
    @extend_schema(responses=PredictionSerializer, operation_id="usage_prediction_retrieve")
    def get(self, request: Request) -> Response:
        """When your credits will run out if you go on like this, and how far off such guesses were before.

        `runs_out_at` is empty where the credits last for more than a year, the daily ones included, and
        where there is too little to guess from.
        """
        forecast = usage_forecast.get_forecast(user_id(request), now=timezone.now())
        return Response(PredictionSerializer(forecast).data)


class UsageExportListView(APIView):
    @extend_schema(
        request=RequestUsageExportSerializer,
        responses={202: UsageExportSerializer},
        operation_id="usage_export_create",
    )
    def post(self, request: Request) -> Response:
        """Have every charge of these days put into a file; look at the answer's id to see how far it is."""
        body = RequestUsageExportSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        export = usage.request_usage_export(
            user_id=user_id(request),
            file_format=body.validated_data["format"],
            first=body.validated_data.get("from"),
            last=body.validated_data.get("to"),
        )
        answer = UsageExportSerializer(export, context={"request": request})
        return Response(answer.data, status=status.HTTP_202_ACCEPTED)


class UsageExportDetailView(APIView):
    @extend_schema(responses=UsageExportSerializer, operation_id="usage_export_retrieve")
    def get(self, request: Request, export_id: UUID) -> Response:
        """How far it is, and once it is ready where to fetch it."""
        export = usage_reports.get_usage_export(user_id(request), export_id)
        return Response(UsageExportSerializer(export, context={"request": request}).data)
