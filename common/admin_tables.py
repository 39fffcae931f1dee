"""Tables of the admin that are looked at, never edited, and may be long."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin

_COUNTED_ROWS = 10_000


class BoundedPaginator(Paginator):
    """Counts up to ten thousand rows: an exact count of a log is a scan of it."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.order_by().values("pk")[:_COUNTED_ROWS])


class ReadOnlyAdmin(ModelAdmin):
    """Rows to look at: what changes them are services."""

    list_per_page = 25
    show_full_result_count = False
    paginator = BoundedPaginator
    actions: Any = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
