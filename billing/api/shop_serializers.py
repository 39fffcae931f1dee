from datetime import UTC

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from billing.api.serializers import PriceField
from billing.models import Payment, Refund
from common.api.serializers import CreditsField, StrictSerializer

_URL = 1000


class CheckoutSerializer(StrictSerializer):
    """A pack or a plan; where the store sends people back to is one of our pages or of your app's."""

    pack = serializers.CharField(required=False, max_length=40)
    plan = serializers.CharField(required=False, max_length=40)
    success_url = serializers.CharField(required=False, max_length=_URL)
    cancel_url = serializers.CharField(required=False, max_length=_URL)
    promotion_code = serializers.CharField(required=False, max_length=100)


class CheckoutPageSerializer(serializers.Serializer):
    checkout_url = serializers.CharField(source="url")
    id = serializers.CharField(source="session_id", help_text=_("The checkout's id at the store."))


class PaymentIntentSerializer(StrictSerializer):
    pack = serializers.CharField(max_length=40)


class PaymentSheetSerializer(serializers.Serializer):
    client_secret = serializers.CharField(source="sheet.client_secret")
    customer = serializers.CharField()
    ephemeral_key = serializers.CharField(source="sheet.ephemeral_key")


class OpenPortalSerializer(StrictSerializer):
    return_url = serializers.CharField(required=False, max_length=_URL)


class PortalSerializer(serializers.Serializer):
    url = serializers.CharField()


class InvoiceSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    number = serializers.CharField()
    name = serializers.CharField()
    amount = PriceField()
    currency = serializers.CharField()
    status = serializers.SerializerMethodField(help_text=_("paid, refunded or partly_refunded."))
    paid_at = serializers.DateTimeField(default_timezone=UTC)
    document_url = serializers.CharField(help_text=_("The store's own document; empty where it has none."))
    receipt_url = serializers.SerializerMethodField()

    def get_status(self, payment: Payment) -> str:
        if not payment.returned:
            return "paid"
        return "refunded" if payment.returned == payment.amount else "partly_refunded"

    def get_receipt_url(self, payment: Payment) -> str:
        path = reverse("billing:receipt", args=[payment.id])
        return str(self.context["request"].build_absolute_uri(path))


class RefundSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Refund.Kind.choices)
    amount = PriceField(source="counted", currency="payment.currency")
    credits = CreditsField(help_text=_("Taken back for it."))
    owed = CreditsField(source="debt", help_text=_("Of these, what had been spent already."))
    refunded_at = serializers.DateTimeField(default_timezone=UTC)


class PaymentDetailSerializer(InvoiceSerializer):
    tax = PriceField(help_text=_("In the amount."))
    provider = serializers.CharField(source="store")
    credits = CreditsField()
    credits_returned = CreditsField()
    returned = PriceField()
    period_start = serializers.DateTimeField(allow_null=True, default_timezone=UTC)
    period_end = serializers.DateTimeField(allow_null=True, default_timezone=UTC)
    refunds = RefundSerializer(many=True)
