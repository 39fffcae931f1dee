from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import offers, selectors
from billing.api.serializers import (
    CatalogSerializer,
    ChangeOwnLimitsSerializer,
    RedeemedSerializer,
    RedeemSerializer,
    TransactionSerializer,
    UsageSerializer,
    WalletSerializer,
)
from billing.models import LedgerTransaction
from billing.services import codes, own_limits
from common.api.idempotency import IdempotentMixin
from common.api.pagination import TimeCursorPagination
from common.http import user_id


class WalletView(APIView):
    @extend_schema(responses=WalletSerializer, operation_id="wallet_retrieve")
    def get(self, request: Request) -> Response:
        """Your credits. `available` is what can be spent; what running replies hold is not in it."""
        return Response(WalletSerializer(selectors.get_wallet(user_id(request))).data)


class OwnLimitsView(APIView):
    @extend_schema(
        request=ChangeOwnLimitsSerializer, responses=WalletSerializer, operation_id="wallet_limits_update"
    )
    def patch(self, request: Request) -> Response:
        """Set your own limits, in credits; null takes one away, and what is left out stays."""
        body = ChangeOwnLimitsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wallet = own_limits.change_own_limits(user_id=user_id(request), **body.validated_data)
        return Response(WalletSerializer(wallet).data)


class RedeemView(IdempotentMixin, APIView):
    @extend_schema(
        request=RedeemSerializer, responses={201: RedeemedSerializer}, operation_id="wallet_redeem_create"
    )
    def post(self, request: Request) -> Response:
        """Redeem a code for bonus credits, once. Ten tries an hour."""
        body = RedeemSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            redeemed = codes.redeem_code(user_id=user_id(request), code=body.validated_data["code"])
        finally:
            # Refusals carry them too.
            self.headers = {**self.headers, **codes.tries(user_id(request)).headers()}
        return Response(RedeemedSerializer(redeemed).data, status=status.HTTP_201_CREATED)


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
            "packs": offers.list_pack_offers(offers.usual_price_for_strangers()),
            "actions": selectors.list_actions(),
        }
        return Response(CatalogSerializer(catalog).data)


class CurrentUsageView(APIView):
    @extend_schema(responses=UsageSerializer, operation_id="usage_current_retrieve")
    def get(self, request: Request) -> Response:
        """Today against your limits. Days begin at midnight in the operator's time zone."""
        return Response(UsageSerializer(selectors.get_usage(user_id(request))).data)
