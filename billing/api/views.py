from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import selectors
from billing.api.serializers import (
    CatalogSerializer,
    TransactionSerializer,
    UsageSerializer,
    WalletSerializer,
)
from billing.models import LedgerTransaction
from common.api.pagination import TimeCursorPagination
from common.http import user_id


class WalletView(APIView):
    @extend_schema(responses=WalletSerializer, operation_id="wallet_retrieve")
    def get(self, request: Request) -> Response:
        """Your credits. `available` is what can be spent; what running replies hold is not in it."""
        return Response(WalletSerializer(selectors.get_wallet(user_id(request))).data)


class HistoryPagination(TimeCursorPagination):
    """A wallet's transactions are numbered, which is the order of time without ties."""

    ordering = ("-number",)  # type: ignore[assignment]


class TransactionListView(ListAPIView):
    """Your wallet's history, latest first."""

    serializer_class = TransactionSerializer
    pagination_class = HistoryPagination
    queryset = LedgerTransaction.objects.none()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return selectors.list_transactions(user_id(self.request))


class CatalogView(APIView):
    permission_classes = (AllowAny,)

    @extend_schema(responses=CatalogSerializer, operation_id="billing_catalog_retrieve", auth=[])
    def get(self, request: Request) -> Response:
        """Tiers, plans, packs and the prices of actions."""
        catalog = {
            "tiers": selectors.list_tiers(),
            "plans": selectors.list_plans(),
            "packs": selectors.list_packs(),
            "actions": selectors.list_actions(),
        }
        return Response(CatalogSerializer(catalog).data)


class CurrentUsageView(APIView):
    @extend_schema(responses=UsageSerializer, operation_id="usage_current_retrieve")
    def get(self, request: Request) -> Response:
        """Today against your limits. Days begin at midnight in the operator's time zone."""
        return Response(UsageSerializer(selectors.get_usage(user_id(request))).data)
