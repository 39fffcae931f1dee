"""What operators see of chats: who, when, how much; what was said only with a permission of its own."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.dialogs import ReasonForm, ask_reason, finish
from accounts.services import audit
from chat.models import ChatSession, Generation, Message
from chat.services import stopping
from common.admin_tables import ReadOnlyAdmin
from common.credits import format_credits
from common.errors import DomainError
from common.ids import parse_uuid

_STATUS_COLOURS = {
    "queued": "info",
    "streaming": "info",
    "pending": "info",
    "complete": "success",
    "stopped": "warning",
    "interrupted": "warning",
    "failed": "danger",
    "blocked": "danger",
}


class ChatAdmin(ReadOnlyAdmin):
    search_fields = ["user__email", "user__handle"]
    search_help_text = _("An id, or the user's address or handle.")
    ordering = ["-id"]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        key = parse_uuid(search_term.strip())
        if key is not None:
            return queryset.filter(pk=key), False
        return super().get_search_results(request, queryset, search_term)


class PrivateTextAdmin(ChatAdmin):
    """Shows `private_fields` only to staff who may read what people wrote, and notes that they did."""

    open_fields: tuple[str, ...] = ()
    private_fields: tuple[str, ...] = ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*self.open_fields, *(self.private_fields if _may_read(request) else ())]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        found = super().get_object(request, object_id, from_field)
        if found is not None and _may_read(request):
            audit.record_staff_action(
                actor_id=request.user.pk, action=f"read_{found._meta.model_name}", target=found
            )
        return found


@admin.register(ChatSession)
class ChatSessionAdmin(PrivateTextAdmin):
    list_display = ["id", "user", "persona", "message_count", "last_message_at", "state"]
    list_filter = [("deleted_at", admin.EmptyFieldListFilter), "last_message_at"]
    list_select_related = ["user", "persona"]
    open_fields = (
        "id",
        "user",
        "persona",
        "message_count",
        "created_at",
        "last_message_at",
        "pinned_at",
        "archived_at",
        "deleted_at",
    )
    private_fields = ("title", "last_message_preview")

    @display(description=_("state"), label={"deleted": "warning", "archived": "info", "open": "success"})
    def state(self, session: ChatSession) -> tuple[str, Any]:
        if session.deleted_at:
            return "deleted", _("Deleted")
        if session.archived_at:
            return "archived", _("Archived")
        return "open", _("Open")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChatSession]:
        return super().get_queryset(request).defer("search")


@admin.register(Message)
class MessageAdmin(PrivateTextAdmin):
    list_display = ["id", "user", "role", "state", "model", "tokens", "paid", "created_at"]
    list_filter = ["role", "status", "feedback"]
    list_select_related = ["user"]
    open_fields = (
        "id",
        "session_id",
        "user",
        "role",
        "status",
        "code",
        "feedback",
        "model",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "paid",
        "created_at",
    )
    private_fields = ("content",)
    readonly_fields = ("session_id", "paid")

    @display(description=_("status"), label=_STATUS_COLOURS)
    def state(self, message: Message) -> tuple[str, Any]:
        return message.status, message.get_status_display()

    @admin.display(description=_("tokens in / out"))
    def tokens(self, message: Message) -> str:
        return f"{message.input_tokens:,} / {message.output_tokens:,}" if message.model else ""

    @admin.display(description=_("credits"))
    def paid(self, message: Message) -> str:
        return format_credits(message.charge)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).defer("search")


@admin.register(Generation)
class GenerationAdmin(ChatAdmin):
    list_display = ["id", "user", "kind", "state", "model", "tokens", "paid", "created_at", "finished_at"]
    list_filter = ["status", "kind", "code"]
    list_select_related = ["user"]
    actions_detail = ["stop"]
    fieldsets = [
        (None, {"fields": ["id", "user", "session_id", "reply_id", "kind", "status", "code", "detail"]}),
        (
            _("Cost"),
            {
                "fields": [
                    "model",
                    "price",
                    "prompt_budget",
                    "max_output_tokens",
                    "input_tokens",
                    "output_tokens",
                    "cached_tokens",
                    "paid",
                    "hold_id",
                    "receipt",
                ]
            },
        ),
        (
            _("Making"),
            {
                "fields": [
                    "created_at",
                    "started_at",
                    "first_text_at",
                    "finished_at",
                    "stop_requested_at",
                    "lease_owner",
                    "lease_until",
                    "heartbeat_at",
                    "last_seq",
                ]
            },
        ),
    ]
    readonly_fields = ("session_id", "reply_id", "price", "paid")

    @display(description=_("status"), label=_STATUS_COLOURS)
    def state(self, generation: Generation) -> tuple[str, Any]:
        return generation.status, generation.get_status_display()

    @admin.display(description=_("tokens in / out"))
    def tokens(self, generation: Generation) -> str:
        return f"{generation.input_tokens:,} / {generation.output_tokens:,}"

    @admin.display(description=_("credits"))
    def paid(self, generation: Generation) -> str:
        return format_credits(generation.charge)

    @admin.display(description=_("credits for 1,000 tokens"))
    def price(self, generation: Generation) -> str:
        return format_credits(generation.token_price * 1000)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Generation]:
        return super().get_queryset(request).defer("delta_lengths")

    def has_stop_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("chat.stop_generation")

    @action(
        description=_("Stop"),
        icon="stop_circle",
        variant=ActionVariant.DANGER,
        permissions=["stop"],
        dialog=ask_reason(_("Stop this reply?"), _("What was said so far is kept and paid for."), _("Stop")),
    )
    def stop(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        url = reverse("admin:chat_generation_change", args=[object_id])
        try:
            stopping.stop_generation_by_staff(
                generation_id=UUID(object_id), actor_id=request.user.pk, reason=form.cleaned_data["reason"]
            )
        except DomainError as error:
            return finish(request, url, error=error)
        return finish(request, url, done=_("The reply is asked to stop."))


def _may_read(request: HttpRequest) -> bool:
    return request.user.has_perm("chat.read_content")
