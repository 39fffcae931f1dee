"""One's subscription, whatever store it is of."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import selectors
from billing.api.subscription_serializers import (
    CancelSerializer,
    ChangePlanSerializer,
    PlanChangeSerializer,
    PlanOnSaleSerializer,
    PreviewPlanSerializer,
    SubscriptionEventSerializer,
    SubscriptionSerializer,
)
from billing.models import Plan, Subscription, SubscriptionEvent
from billing.services import management
from common.api.idempotency import IdempotentMixin
from common.api.pagination import TimeCursorPagination
from common.api.serializers import expect_no_fields
from common.http import user_id

# What somebody has who has none.
_NONE = SimpleNamespace(
    state="none",
    plan_id=None,
    store=None,
    period_end=None,
    ends_at_period_end=False,
    next_plan_id=None,
    started_at=None,
    entitled_until=None,
)


class SubscriptionView(APIView):
    @extend_schema(responses=SubscriptionSerializer, operation_id="subscription_retrieve")
    def get(self, request: Request) -> Response:
        """The subscription you bought, also while it waits for money; else the one you were given."""
        owner = user_id(request)
        bought = selectors.get_bought_subscription(owner)
        return _answer(owner, bought or selectors.get_given_subscription(owner))


class HistoryView(ListAPIView):
    """Every change of your subscriptions, latest first."""

    serializer_class = SubscriptionEventSerializer
    pagination_class = TimeCursorPagination
    queryset = SubscriptionEvent.objects.none()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return selectors.list_subscription_events(user_id(self.request))


class PlanPagination(TimeCursorPagination):
    ordering = ("position", "slug")


class PlanListView(ListAPIView):
    """The plans on sale, and how you would get each."""

    serializer_class = PlanOnSaleSerializer
    pagination_class = PlanPagination
    queryset = Plan.objects.none()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return selectors.list_plans().select_related("tier")

    def get_serializer_context(self) -> dict[str, Any]:
        context = {**super().get_serializer_context()}
        if getattr(self, "swagger_fake_view", False):
            return context
        owner = user_id(self.request)
        return {
            **context,
            "current": selectors.get_bought_subscription(owner),
            "had_one": selectors.had_subscription(owner),
        }


class PreviewView(APIView):
    @extend_schema(
        request=PreviewPlanSerializer,
        responses=PlanChangeSerializer,
        operation_id="subscription_preview_create",
    )
    def post(self, request: Request) -> Response:
        """When a change of plan would take place, and what it would cost now. Nothing is changed."""
        body = PreviewPlanSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        change = management.preview_change(user_id=user_id(request), plan=body.validated_data["plan"])
        return Response(PlanChangeSerializer(change).data)


class ChangeView(IdempotentMixin, APIView):
    @extend_schema(
        request=ChangePlanSerializer,
        responses=SubscriptionSerializer,
        operation_id="subscription_change_create",
    )
    def post(self, request: Request) -> Response:
        """Change to another plan: a better one at once, for the difference; a smaller one after the period.

        402 `payment_refused` leaves everything as it was.
        """
        body = ChangePlanSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = management.change(user_id=user_id(request), **body.validated_data)
        return _answer(user_id(request), row)


class CancelView(APIView):
    @extend_schema(
        request=CancelSerializer, responses=SubscriptionSerializer, operation_id="subscription_cancel_create"
    )
    def post(self, request: Request) -> Response:
        """End your subscription with the period that is paid, or at once. Repeating it changes nothing."""
        body = CancelSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = management.cancel(user_id=user_id(request), **body.validated_data)
        return _answer(user_id(request), row)


class ResumeView(APIView):
    @extend_schema(request=None, responses=SubscriptionSerializer, operation_id="subscription_resume_create")
    def post(self, request: Request) -> Response:
        """Take back a cancellation, or a change that was to come."""
        expect_no_fields(request)
        return _answer(user_id(request), management.resume(user_id=user_id(request)))


def _answer(owner: UUID, row: Subscription | None) -> Response:
    tier = selectors.get_tier(owner).slug
    return Response(SubscriptionSerializer(row or _NONE, context={"tier": tier}).data)
