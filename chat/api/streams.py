"""Replies over HTTP: as a stream of server-sent events, or as 202 with what was queued."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from chat import payloads
from chat.eventlog.base import PAUSE, AnyEvent, Event, to_json
from chat.events import follow
from chat.runner import embedded
from chat.services.generations import Started

_KEEP_ALIVE = b": \n\n"


class EventStreamRenderer(BaseRenderer):
    """Lets clients ask for a stream; errors come as problem+json all the same."""

    media_type = "text/event-stream"
    format = "sse"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return to_json(data).encode()


def answer(request: Request, started: Started) -> HttpResponseBase:
    """The reply under way, in the manner the client asked for."""
    headers = started.rate.headers() if started.rate is not None else {}
    if request.accepted_renderer.media_type == EventStreamRenderer.media_type:
        first = [Event(event) for event in payloads.created_events(started)]
        events = follow(started.generation.id, is_fresh=started.is_new)
        return stream(events, first=first, headers=headers)
    return Response(payloads.accepted_payload(started), status=202, headers=headers)


def stream(
    events: AsyncIterator[AnyEvent], *, first: Sequence[Event] = (), headers: dict[str, str] | None = None
) -> StreamingHttpResponse:
    response = StreamingHttpResponse(
        _frames(events, first), content_type="text/event-stream; charset=utf-8", headers=headers
    )
    response["Cache-Control"] = "private, no-store"
    # Tells nginx not to hold the stream back.
    response["X-Accel-Buffering"] = "no"
    return response


def last_event_id(request: Request) -> int:
    """Where the client wants to go on; 0 for the beginning."""
    value = request.headers.get("Last-Event-ID") or request.query_params.get("after") or "0"
    return int(value[:9]) if value.isascii() and value.isdigit() else 0


async def _frames(events: AsyncIterator[AnyEvent], first: Sequence[Event]) -> AsyncIterator[bytes]:
    # The request lasts as long as the stream: its connection would be missing in the pool all the while.
    await sync_to_async(connections.close_all)()
    await embedded.ensure_started()
    for known in first:
        yield known.as_sse()
    async for event in events:
        yield _KEEP_ALIVE if event is PAUSE else event.as_sse()
