"""Where Apple tells of purchases."""

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.api.webhooks import BadWebhook
from billing.services import app_store
from billing.stores.app_store import adapter, connection
from billing.stores.base import StoreError
from common.context import request_id
from common.errors import DomainError, NotFound, Unavailable, as_problem


@csrf_exempt
@require_POST
def notify(request: HttpRequest) -> HttpResponse:
    """Apple's server notifications (version 2): the signature is checked, what they tell kept."""
    if not connection.is_configured():
        return _problem(NotFound())
    try:
        notification = adapter.read_notification(_signed_payload(request))
    except adapter.InvalidSignature as error:
        return _problem(BadWebhook(str(error)))
    except StoreError:
        return _problem(Unavailable())
    app_store.keep_notification(notification)
    return JsonResponse({"received": True})


def _signed_payload(request: HttpRequest) -> str:
    try:
        content = json.loads(request.body) if len(request.body) <= 2 * adapter.MAX_SIGNED_LENGTH else None
    except (ValueError, RecursionError) as error:
        raise adapter.InvalidSignature("not JSON") from error
    signed = content.get("signedPayload") if isinstance(content, dict) else None
    if not isinstance(signed, str):
        raise adapter.InvalidSignature("signedPayload")
    return signed


def _problem(error: DomainError) -> HttpResponse:
    return JsonResponse(
        as_problem(error, request_id.get()), status=error.status, content_type="application/problem+json"
    )
