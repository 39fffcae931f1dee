from typing import Any, cast
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from billing.services.limits import TooManyRequests
from chat import cursors, payloads, selectors
from chat.api import streams
from chat.api.serializers import (
    AcceptedSerializer,
    ClientIdSerializer,
    EditSerializer,
    ExportSerializer,
    FeedbackSerializer,
    FoundSerializer,
    GenerationSerializer,
    MessageSerializer,
    NewSessionSerializer,
    SendSerializer,
    SessionChangeSerializer,
    SessionSerializer,
    page_of,
)
from chat.events import follow
from chat.models import Generation
from chat.services import export, messages, sessions, stopping
from chat.services.generations import Started, describe
from common.api.idempotency import IdempotentMixin
from common.api.serializers import StrictSerializer, expect_no_fields

_MAX_PAGE = 100
_PAGING = [
    OpenApiParameter("cursor", str, description="From `next` or `previous` of another page."),
    OpenApiParameter("page_size", int, description="Up to 100."),
]
_REPLY = {
    (202, "application/json"): AcceptedSerializer,
    (200, "text/event-stream"): OpenApiResponse(
        OpenApiTypes.STR, "The events of the reply, if `Accept: text/event-stream` was sent."
    ),
}


class ChatView(APIView):
    @property
    def user_id(self) -> UUID:
        # Nobody gets past the default permission without one.
        return cast(UUID, self.request.user.pk)


class SessionListView(IdempotentMixin, ChatView):
    @extend_schema(
        operation_id="chat_sessions_list",
        parameters=[
            OpenApiParameter("q", str, description="Words in titles and messages."),
            OpenApiParameter("archived", bool, description="The archived ones instead."),
            *_PAGING,
        ],
        responses=page_of(SessionSerializer),
    )
    def get(self, request: Request) -> Response:
        """The caller's chats: pinned ones first, then by last message."""
        found = selectors.list_sessions(
            self.user_id,
            is_archived=request.query_params.get("archived", "").lower() in {"true", "1"},
            query=request.query_params.get("q", ""),
        )
        page = selectors.page_sessions(
            found, cursor=request.query_params.get("cursor", ""), limit=_page_size(request)
        )
        results = [payloads.session_payload(session) for session in page.sessions]
        return _page(request, results, next_cursor=page.next, previous_cursor=page.previous)

    @extend_schema(request=NewSessionSerializer, responses={201: SessionSerializer})
    def post(self, request: Request) -> Response:
        """Begin a chat with a persona; its greeting is the first message."""
        data = _valid(NewSessionSerializer, request)
        session = sessions.create_session(user_id=self.user_id, persona_id=data["persona"])
        return Response(payloads.session_payload(session), status=201)


class SessionDetailView(ChatView):
    @extend_schema(responses=SessionSerializer)
    def get(self, request: Request, session_id: UUID) -> Response:
        return Response(payloads.session_payload(selectors.get_session(self.user_id, session_id)))

    @extend_schema(request=SessionChangeSerializer, responses=SessionSerializer)
    def patch(self, request: Request, session_id: UUID) -> Response:
        """Rename, pin or archive."""
        data = _valid(SessionChangeSerializer, request)
        session = sessions.update_session(
            user_id=self.user_id,
            session_id=session_id,
            title=data.get("title"),
            is_pinned=data.get("pinned"),
            is_archived=data.get("archived"),
        )
        return Response(payloads.session_payload(session))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Delete the chat; a running reply ends first. It can be restored for some days."""
        sessions.delete_session(user_id=self.user_id, session_id=session_id)
        return Response(status=204)


class SessionRestoreView(ChatView):
    @extend_schema(request=None, responses=SessionSerializer)
    def post(self, request: Request, session_id: UUID) -> Response:
        """Bring a deleted chat back."""
        expect_no_fields(request)
        session = sessions.restore_session(user_id=self.user_id, session_id=session_id)
        return Response(payloads.session_payload(session))


class SessionExportView(ChatView):
    @extend_schema(
        request=ExportSerializer,
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "text/markdown"): OpenApiTypes.STR,
        },
    )
    def post(self, request: Request, session_id: UUID) -> HttpResponse:
        """The chat as a file."""
        data = _valid(ExportSerializer, request)
        file = export.export_session(user_id=self.user_id, session_id=session_id, file_format=data["format"])
        response = HttpResponse(file.data, content_type=file.content_type)
        response.headers["Content-Disposition"] = file.disposition
        return response


class ReplyView(ChatView):
    """For requests that are answered by a reply: a stream of events, or 202."""

    renderer_classes = [JSONRenderer, streams.EventStreamRenderer]

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(exc, TooManyRequests):
            for name, value in exc.state.headers().items():
                response.headers[name] = value
        return response

    def answer(self, request: Request, started: Started) -> HttpResponseBase:
        return streams.answer(request, started)


class MessageListView(IdempotentMixin, ReplyView):
    @extend_schema(parameters=_PAGING, responses=page_of(MessageSerializer))
    def get(self, request: Request, session_id: UUID) -> Response:
        """The active branch, newest first."""
        session = selectors.get_session(self.user_id, session_id)
        cursor = request.query_params.get("cursor", "")
        start = cursors.decode(cursor, UUID)[0] if cursor else None
        page = selectors.list_branch(session, start=start, limit=_page_size(request))
        results = [payloads.message_payload(row.message, row.variant) for row in page.messages]
        return _page(request, results, next_cursor=cursors.encode(page.next) if page.next else None)

    @extend_schema(request=SendSerializer, responses=_REPLY)
    def post(self, request: Request, session_id: UUID) -> HttpResponseBase:
        """Send a message and have it answered."""
        data = _valid(SendSerializer, request)
        started = messages.send_message(
            user_id=self.user_id,
            session_id=session_id,
            content=data["content"],
            client_id=data["client_id"],
            parent_id=data.get("parent"),
            attachments=data.get("attachments"),
        )
        return self.answer(request, started)


class RegenerateView(IdempotentMixin, ReplyView):
    @extend_schema(request=ClientIdSerializer, responses=_REPLY)
    def post(self, request: Request, message_id: UUID) -> HttpResponseBase:
        """Another variant of a reply; a running one is cancelled first."""
        data = _valid(ClientIdSerializer, request)
        started = messages.regenerate_reply(
            user_id=self.user_id, message_id=message_id, client_id=data["client_id"]
        )
        return self.answer(request, started)


class EditView(IdempotentMixin, ReplyView):
    @extend_schema(request=EditSerializer, responses=_REPLY)
    def post(self, request: Request, message_id: UUID) -> HttpResponseBase:
        """Reword one's message: a new branch beside the old one, with a reply of its own."""
        data = _valid(EditSerializer, request)
        started = messages.edit_message(
            user_id=self.user_id,
            message_id=message_id,
            content=data["content"],
            client_id=data["client_id"],
        )
        return self.answer(request, started)


class ContinueView(IdempotentMixin, ReplyView):
    @extend_schema(request=ClientIdSerializer, responses=_REPLY)
    def post(self, request: Request, message_id: UUID) -> HttpResponseBase:
        """Let the last reply go on. The first delta repeats the text so far."""
        data = _valid(ClientIdSerializer, request)
        started = messages.continue_reply(
            user_id=self.user_id, message_id=message_id, client_id=data["client_id"]
        )
        return self.answer(request, started)


class SelectView(ChatView):
    @extend_schema(request=None, responses=SessionSerializer)
    def post(self, request: Request, message_id: UUID) -> Response:
        """Make the branch through this message the active one."""
        expect_no_fields(request)
        session = messages.select_branch(user_id=self.user_id, message_id=message_id)
        return Response(payloads.session_payload(session))


class FeedbackView(ChatView):
    @extend_schema(request=FeedbackSerializer, responses=MessageSerializer)
    def post(self, request: Request, message_id: UUID) -> Response:
        """Rate a reply."""
        data = _valid(FeedbackSerializer, request)
        message = messages.rate_message(user_id=self.user_id, message_id=message_id, rating=data["rating"])
        return Response(payloads.message_payload(message, selectors.get_variant(message)))


class MessageDetailView(ChatView):
    @extend_schema(responses=MessageSerializer)
    def get(self, request: Request, message_id: UUID) -> Response:
        message = selectors.get_message(self.user_id, message_id)
        return Response(payloads.message_payload(message, selectors.get_variant(message)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, message_id: UUID) -> Response:
        """Erase the message and everything said after it."""
        messages.delete_message(user_id=self.user_id, message_id=message_id)
        return Response(status=204)


class GenerationDetailView(ChatView):
    @extend_schema(responses=GenerationSerializer)
    def get(self, request: Request, generation_id: UUID) -> Response:
        return Response(_generation(selectors.get_generation(self.user_id, generation_id)))


class GenerationStopView(ChatView):
    @extend_schema(request=None, responses=GenerationSerializer)
    def post(self, request: Request, generation_id: UUID) -> Response:
        """Stop a reply; what was said is kept and paid for. Stopping twice changes nothing."""
        expect_no_fields(request)
        generation = stopping.stop_generation(user_id=self.user_id, generation_id=generation_id)
        return Response(_generation(generation))


class GenerationEventsView(ChatView):
    renderer_classes = [streams.EventStreamRenderer, JSONRenderer]

    @extend_schema(
        parameters=[
            OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER, description="Go on after this."),
            OpenApiParameter("after", int, description="The same for clients that cannot set the header."),
        ],
        responses={
            (200, "text/event-stream"): OpenApiTypes.STR,
            204: OpenApiResponse(description="The client has everything already."),
        },
    )
    def get(self, request: Request, generation_id: UUID) -> HttpResponseBase:
        """The events of a reply, running or ended, as server-sent events."""
        generation = selectors.get_generation(self.user_id, generation_id)
        after = streams.last_event_id(request)
        if not generation.is_live and after > generation.last_seq:
            # Tells an EventSource not to come back.
            return HttpResponse(status=204)
        return streams.stream(follow(generation.id, after=after))


class SearchView(ChatView):
    @extend_schema(
        parameters=[OpenApiParameter("q", str, required=True), OpenApiParameter("page_size", int)],
        responses=page_of(FoundSerializer),
    )
    def get(self, request: Request) -> Response:
        """Chats by title, and messages by their words, newest first."""
        found = selectors.search(self.user_id, request.query_params.get("q", ""), limit=_page_size(request))
        results = [
            {
                "session": payloads.session_payload(result.session),
                "message": payloads.message_payload(result.message) if result.message else None,
            }
            for result in found
        ]
        return _page(request, results)


def _generation(generation: Generation) -> payloads.Payload:
    started = describe(generation)
    reply = payloads.message_payload(started.reply, started.reply_variant) if started.reply else None
    return payloads.generation_payload(generation, reply)


def _valid(serializer_class: type[StrictSerializer], request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def _page_size(request: Request) -> int:
    value = request.query_params.get("page_size", "")
    size = int(value[:6]) if value.isascii() and value.isdigit() else selectors.PAGE
    return max(1, min(size, _MAX_PAGE))


def _page(
    request: Request,
    results: list[payloads.Payload],
    *,
    next_cursor: str | None = None,
    previous_cursor: str | None = None,
) -> Response:
    address = request.build_absolute_uri()
    next_, previous = (
        replace_query_param(address, "cursor", cursor) if cursor else None
        for cursor in (next_cursor, previous_cursor)
    )
    return Response({"next": next_, "previous": previous, "results": results})
