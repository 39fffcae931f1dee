from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from notifications.models import MailboxMessage

_SHOWN = 200


@never_cache
@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """What the development mailbox kept, newest first; there is no such page elsewhere."""
    if not (settings.MAILBOX_ENABLED and settings.DEBUG):
        raise Http404
    messages = MailboxMessage.objects.order_by("-created_at", "-id")[:_SHOWN]
    if request.GET.get("format") == "json":
        return JsonResponse([_as_json(message) for message in messages], safe=False)
    return render(request, "notifications/mailbox.html", {"mailbox_messages": messages})


def _as_json(message: MailboxMessage) -> dict[str, Any]:
    return {
        "channel": message.channel,
        "to": message.to,
        "subject": message.subject,
        "body": message.body,
        "at": message.created_at.isoformat().replace("+00:00", "Z"),
    }
