from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing.models import UsageExport, UsageSlot
from common.admin_tables import ReadOnlyAdmin
from common.credits import format_credits
from common.ids import parse_uuid


class _OfSomebody(ReadOnlyAdmin):
    """Found by what an index can answer: somebody's id or address."""

    search_fields = ["pk"]
    search_help_text = _("Somebody's id or email address")
    owner = "user"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        person = "user" if self.owner == "user" else f"{self.owner}__user"
        condition = models.Q(**{f"{person}__email": term.lower()})
        identity = parse_uuid(term)
        if identity is not None:
            condition = models.Q(**{f"{self.owner}_id": identity})
        return queryset.filter(condition), False


@admin.register(UsageSlot)
class UsageSlotAdmin(_OfSomebody):
    list_display = [
        "starts_at",
        "owner_shown",
        "label",
        "model",
        "replies",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "credits_shown",
    ]
    list_select_related = ["wallet__user"]
    ordering = ["-id"]
    owner = "wallet"

    @display(description=_("user"))
    def owner_shown(self, slot: UsageSlot) -> str:
        return str(slot.wallet.user)

    @display(description=_("credits"))
    def credits_shown(self, slot: UsageSlot) -> str:
        return format_credits(slot.credits)


@admin.register(UsageExport)
class UsageExportAdmin(_OfSomebody):
    list_display = ["created_at", "user", "format", "state", "rows", "size", "expires_at"]
    list_filter = ["state", "format"]
    list_select_related = ["user"]
    ordering = ["-id"]
