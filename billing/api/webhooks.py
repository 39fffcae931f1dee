"""Where stores tell us things. The answer is 200 only once what they told is kept."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.services import inbox
from billing.stores.stripe import webhooks
from billing.stores.stripe.connection import ShopClosed, connect
from common.context import request_id
from common.errors import Invalid, NotFound, as_problem


class BadWebhook(Invalid):
    code = "invalid_webhook"
    status = 400


@csrf_exempt
@require_POST
def stripe(request: HttpRequest) -> HttpResponse:
    """Stripe's events: the signature is checked, the event kept; it is applied apart."""
    try:
        connection = connect()
        event = webhooks.verify(connection, request.body, request.headers.get("Stripe-Signature", ""))
    except ShopClosed:
        return _problem(NotFound())
    except webhooks.InvalidWebhook as error:
        return _problem(BadWebhook(str(error)))
    is_new = inbox.keep_event(
        store=connection.store,
        external_id=event.external_id,
        kind=event.kind,
        object_id=event.object_id,
        happened_at=event.happened_at,
        payload=event.payload,
    )
    return JsonResponse({"received": True, "new": is_new})


def _problem(error: Invalid | NotFound) -> HttpResponse:
    return JsonResponse(
        as_problem(error, request_id.get()), status=error.status, content_type="application/problem+json"
    )
