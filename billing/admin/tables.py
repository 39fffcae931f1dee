"""How tables of money are shown: read-only, found by what an index can answer, never counted whole."""

from typing import Any

from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from common.ids import parse_uuid

_COUNTED_ROWS = 10_000


class BoundedPaginator(Paginator):
    """Counts up to ten thousand rows: an exact count of a ledger is a scan of it."""

    @cached_property
    def count(self) -> int:
        queryset: Any = self.object_list
        rows = queryset.order_by().values("pk")[:_COUNTED_ROWS]
        return len(rows)


class ReadOnlyAdmin(ModelAdmin):
    list_per_page = 25
    show_full_result_count = False
    paginator = BoundedPaginator
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SearchedByKey(ReadOnlyAdmin):
    """Search that an index can answer: an id, an address, or a reference as it is written."""

    search_fields = ["pk"]
    search_help_text = _("An id, somebody's email address, or an exact reference")
    owner = "wallet"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            return queryset.filter(**{f"{self.owner}__user__email": term.lower()}), False
        identity = parse_uuid(term)
        if identity is not None:
            return queryset.filter(models.Q(pk=identity) | models.Q(**{f"{self.owner}_id": identity})), False
        return queryset.filter(reference=term), False
