"""Purchases made in the app, and where Google tells of them."""

from datetime import UTC
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import selectors
from billing.api.serializers import PriceField, WalletSerializer
from billing.api.subscription_serializers import SubscriptionSerializer
from billing.api.webhooks import BadWebhook
from billing.models import Store, Subscription
from billing.services import app_store, google_play
from billing.services.purchases import Verified
from billing.stores import google_play_push
from billing.stores.app_store.adapter import MAX_SIGNED_LENGTH
from billing.stores.google_play import is_configured
from common.api.serializers import CreditsField, StrictSerializer
from common.context import request_id
from common.errors import DomainError, NotAuthenticated, NotFound, Unavailable, as_problem
from common.http import user_id


class VerifyPurchaseSerializer(StrictSerializer):
    """Google Play's purchases by product and token, the App Store's by the transaction Apple signed."""

    provider = serializers.ChoiceField(choices=[Store.GOOGLE_PLAY.value, Store.APP_STORE.value])
    product_id = serializers.CharField(max_length=40, required=False)
    purchase_token = serializers.CharField(max_length=500, required=False)
    signed_transaction = serializers.CharField(max_length=MAX_SIGNED_LENGTH, required=False)

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        is_google = attrs["provider"] == Store.GOOGLE_PLAY
        needed = {"product_id", "purchase_token"} if is_google else {"signed_transaction"}
        missing = {name: [self.fields[name].error_messages["required"]] for name in needed - set(attrs)}
        if missing:
            raise serializers.ValidationError(missing, code="required")
        return attrs


class VerifiedPaymentSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    number = serializers.CharField()
    name = serializers.CharField()
    credits = CreditsField()
    amount = PriceField()
    currency = serializers.CharField()
    paid_at = serializers.DateTimeField(default_timezone=UTC)


class VerifiedPackSerializer(serializers.Serializer[Any]):
    payment = VerifiedPaymentSerializer()
    wallet = WalletSerializer()


class PendingPurchaseSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=[Subscription.State.PENDING.value])


_GIVEN = PolymorphicProxySerializer(
    component_name="VerifiedPurchase",
    serializers=[SubscriptionSerializer, VerifiedPackSerializer],
    resource_type_field_name=None,
)


class VerifyPurchaseView(APIView):
    @extend_schema(
        request=VerifyPurchaseSerializer,
        responses={200: _GIVEN, 202: PendingPurchaseSerializer},
        operation_id="subscription_verify",
    )
    def post(self, request: Request) -> Response:
        """Have what you bought in the app: the subscription, or the payment for a pack and your wallet.

        202 while it is not paid: nothing is given then. Showing the same purchase again changes nothing.
        """
        serializer = VerifyPurchaseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        purchase = serializer.validated_data
        if purchase["provider"] == Store.APP_STORE:
            verified = app_store.verify_purchase(
                user_id=user_id(request), signed_transaction=purchase["signed_transaction"]
            )
        else:
            verified = google_play.verify_purchase(
                user_id=user_id(request),
                product_id=purchase["product_id"],
                purchase_token=purchase["purchase_token"],
            )
        return _answer(request, verified)


@csrf_exempt
@require_POST
def push(request: HttpRequest) -> HttpResponse:
    """Google's developer notifications: who sent them is checked, what they tell is kept, applied apart."""
    if not is_configured():
        return _problem(NotFound())
    authorization = request.headers.get("Authorization", "")
    try:
        notification = google_play_push.verify_push(authorization_header=authorization, body=request.body)
    except google_play_push.InvalidPush:
        return _problem(NotAuthenticated())
    except google_play_push.MalformedPush as error:
        return _problem(BadWebhook(str(error)))
    except Unavailable as error:
        return _problem(error)
    google_play.keep_notification(notification)
    return JsonResponse({"received": True})


def _answer(request: Request, verified: Verified) -> Response:
    if verified.is_pending:
        return Response({"state": Subscription.State.PENDING.value}, status=status.HTTP_202_ACCEPTED)
    if verified.subscription is not None:
        context = {"tier": selectors.get_tier(user_id(request)).slug}
        return Response(SubscriptionSerializer(verified.subscription, context=context).data)
    wallet = selectors.get_wallet(user_id(request))
    return Response(VerifiedPackSerializer({"payment": verified.payment, "wallet": wallet}).data)


def _problem(error: DomainError) -> HttpResponse:
    return JsonResponse(
        as_problem(error, request_id.get()), status=error.status, content_type="application/problem+json"
    )
