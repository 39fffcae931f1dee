"""Buying, and the papers of what was bought."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import selectors
from billing.api.shop_serializers import (
    CheckoutPageSerializer,
    CheckoutSerializer,
    InvoiceSerializer,
    OpenPortalSerializer,
    PaymentDetailSerializer,
    PaymentIntentSerializer,
    PaymentSheetSerializer,
    PortalSerializer,
)
from billing.models import Payment
from billing.services import checkout, management
from common.api.idempotency import IdempotentMixin
from common.api.pagination import TimeCursorPagination
from common.http import user_id


class CheckoutView(IdempotentMixin, APIView):
    @extend_schema(
        request=CheckoutSerializer,
        responses={201: CheckoutPageSerializer},
        operation_id="billing_checkout_create",
    )
    def post(self, request: Request) -> Response:
        """Open the store's page for a pack or a plan. Credits come once the store says that it was paid.

        403 `email_not_verified` until the address is proved; 409 with a plan that can be changed instead.
        """
        body = CheckoutSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        page = checkout.begin_checkout(user_id=user_id(request), **body.validated_data)
        return Response(CheckoutPageSerializer(page).data, status=status.HTTP_201_CREATED)


class PaymentIntentView(IdempotentMixin, APIView):
    @extend_schema(
        request=PaymentIntentSerializer,
        responses={201: PaymentSheetSerializer},
        operation_id="billing_payment_intents_create",
    )
    def post(self, request: Request) -> Response:
        """What a phone's payment sheet needs to sell a pack."""
        body = PaymentIntentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        sheet, customer = checkout.begin_payment(user_id=user_id(request), pack=body.validated_data["pack"])
        answer = PaymentSheetSerializer({"sheet": sheet, "customer": customer})
        return Response(answer.data, status=status.HTTP_201_CREATED)


class PortalView(APIView):
    @extend_schema(
        request=OpenPortalSerializer, responses=PortalSerializer, operation_id="billing_portal_create"
    )
    def post(self, request: Request) -> Response:
        """The store's own page for cards and papers; 404 before the first purchase."""
        body = OpenPortalSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        url = management.open_portal(user_id=user_id(request), **body.validated_data)
        return Response(PortalSerializer({"url": url}).data)


class PaymentPagination(TimeCursorPagination):
    ordering = ("-paid_at", "-id")


class InvoiceListView(ListAPIView):
    """What you paid, latest first."""

    serializer_class = InvoiceSerializer
    pagination_class = PaymentPagination
    queryset = Payment.objects.none()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return selectors.list_payments(user_id(self.request))


class PaymentDetailView(APIView):
    @extend_schema(responses=PaymentDetailSerializer, operation_id="billing_payments_retrieve")
    def get(self, request: Request, payment_id: UUID) -> Response:
        """A payment with what came back of it."""
        payment = selectors.get_payment(user_id(request), payment_id)
        return Response(PaymentDetailSerializer(payment, context={"request": request}).data)
