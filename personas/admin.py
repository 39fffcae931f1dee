from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.dialogs import ReasonForm, ask_reason, finish
from common.admin_tables import ReadOnlyAdmin
from common.errors import DomainError
from common.ids import parse_uuid
from personas.models import Category, Persona
from personas.services import takedowns


@admin.register(Category)
class CategoryAdmin(ModelAdmin):
    list_display = ["name", "slug", "position"]
    ordering = ["position", "slug"]

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> list[str]:
        # The slug is what personas point at.
        return ["slug"] if obj else []


@admin.register(Persona)
class PersonaAdmin(ReadOnlyAdmin):
    """What people wrote is theirs: staff read it, and take it down or give it back by an action."""

    list_display = [
        "identity",
        "owner",
        "state",
        "rating",
        "category",
        "chats_count",
        "likes_count",
        "created_at",
    ]
    list_filter = ["visibility", "status", "rating", "category", ("hidden_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "slug", "owner__email", "owner__handle"]
    search_help_text = _("Name, address, id, or the owner's address or handle.")
    list_select_related = ["owner", "category"]
    ordering = ["-created_at", "-id"]
    actions_detail = ["hide", "unhide", "unpublish"]
    fieldsets = [
        (None, {"fields": ["id", "slug", "name", "tagline", "owner", "cloned_from"]}),
        (
            _("State"),
            {
                "fields": [
                    "visibility",
                    "status",
                    "rating",
                    "hidden_at",
                    "hidden_reason",
                    "deleted_at",
                    "published_at",
                    "created_at",
                    "updated_at",
                ]
            },
        ),
        (_("Numbers"), {"fields": ["chats_count", "likes_count", "trending_score"]}),
        (
            _("What it is made of"),
            {
                "fields": [
                    "description",
                    "greeting",
                    "alternate_greetings",
                    "personality",
                    "scenario",
                    "example_dialogue",
                    "system_prompt",
                    "post_history_instructions",
                    "tags",
                    "category",
                    "language",
                    "model",
                    "temperature",
                    "allow_clone",
                    "lorebook",
                ]
            },
        ),
    ]

    @display(description=_("persona"), header=True)
    def identity(self, persona: Persona) -> list[str]:
        return [persona.name, persona.tagline]

    @display(
        description=_("state"),
        label={"public": "success", "hidden": "danger", "deleted": "warning"},
    )
    def state(self, persona: Persona) -> tuple[str, Any]:
        if persona.deleted_at:
            return "deleted", _("Deleted")
        if persona.hidden_at:
            return "hidden", _("Taken down")
        if persona.status == Persona.Status.DRAFT:
            return "draft", _("Draft")
        return persona.visibility, persona.get_visibility_display()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Persona]:
        return super().get_queryset(request).defer("card", "search_vector")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        persona_id = parse_uuid(search_term.strip())
        if persona_id is not None:
            return queryset.filter(pk=persona_id), False
        return super().get_search_results(request, queryset, search_term)

    def has_hide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("personas.hide_persona")

    @action(
        description=_("Take down"),
        icon="visibility_off",
        variant=ActionVariant.DANGER,
        permissions=["hide"],
        dialog=ask_reason(
            _("Take this persona down?"),
            _("Nobody but its owner finds or opens it any more. The owner reads your reason."),
            _("Take down"),
        ),
    )
    def hide(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, takedowns.hide_persona, _("The persona is taken down."))

    @action(
        description=_("Give back"),
        icon="visibility",
        permissions=["hide"],
        dialog=ask_reason(_("Give this persona back?"), "", _("Give back")),
    )
    def unhide(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, takedowns.unhide_persona, _("The persona is back."))

    @action(
        description=_("Unpublish"),
        icon="edit_off",
        permissions=["hide"],
        dialog=ask_reason(
            _("Make this persona a draft again?"), _("Its owner may publish it again."), _("Unpublish")
        ),
    )
    def unpublish(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, takedowns.unpublish_persona, _("The persona is a draft again."))


def _run(
    request: HttpRequest, object_id: str, form: ReasonForm, service: Callable[..., Persona], done: Any
) -> HttpResponse:
    url = reverse("admin:personas_persona_change", args=[object_id])
    try:
        service(
            persona_id=parse_uuid(object_id), actor_id=request.user.pk, reason=form.cleaned_data["reason"]
        )
    except DomainError as error:
        return finish(request, url, error=error)
    return finish(request, url, done=done)
