"""Cursor pages over any order: by a column of many equal values as safely as by time."""

import base64
import binascii
import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from rest_framework.exceptions import NotFound
from rest_framework.utils.urls import replace_query_param

from common.api.pagination import TimeCursorPagination
from common.ids import parse_uuid


class KeysetPagination(TimeCursorPagination):
    """Falling by the view's `sort_field`, then by id; a cursor is the pair the page ended at.

    The framework's own cursor remembers one value and an offset among its equals, which fails where
    thousands of personas share a score of zero.
    """

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        self.base_url: str = request.build_absolute_uri()
        self.field = view.sort_field
        size = self.get_page_size(request) or self.page_size
        cursor = request.query_params.get(self.cursor_query_param)
        backwards, value, row_id = self._decode(queryset, cursor) if cursor else (False, None, None)
        if cursor:
            queryset = queryset.filter(_beyond(self.field, value, row_id, backwards))
        direction = "" if backwards else "-"
        rows = list(queryset.order_by(f"{direction}{self.field}", f"{direction}id")[: size + 1])
        has_more = len(rows) > size
        page = rows[:size]
        self.page = page[::-1] if backwards else page
        self.has_next = backwards or has_more
        self.has_previous = has_more if backwards else bool(cursor)
        return self.page

    def get_next_link(self) -> str | None:
        return self._link(self.page[-1], backwards=False) if self.has_next and self.page else None

    def get_previous_link(self) -> str | None:
        return self._link(self.page[0], backwards=True) if self.has_previous and self.page else None

    def _link(self, row: Any, *, backwards: bool) -> str:
        value = getattr(row, self.field)
        pair = [int(backwards), value if isinstance(value, (int, float)) else str(value), str(row.pk)]
        cursor = base64.urlsafe_b64encode(json.dumps(pair).encode()).decode()
        return replace_query_param(self.base_url, self.cursor_query_param, cursor)

    def _decode(self, queryset: Any, cursor: str) -> tuple[bool, Any, Any]:
        try:
            backwards, value, text = json.loads(base64.urlsafe_b64decode(cursor.encode()))
            row_id = parse_uuid(text)
            if row_id is None or value is None:
                raise ValueError(cursor)
            return backwards == 1, _sort_column(queryset, self.field).to_python(value), row_id
        except (binascii.Error, ValueError, TypeError, ArithmeticError, RecursionError, ValidationError):
            raise NotFound from None


def _sort_column(queryset: Any, field: str) -> Any:
    annotation = queryset.query.annotations.get(field)
    return annotation.output_field if annotation is not None else queryset.model._meta.get_field(field)


def _beyond(field: str, value: Any, row_id: Any, backwards: bool) -> Q:
    side = "gt" if backwards else "lt"
    # The first condition alone lets an index on the column find the place.
    return Q(**{f"{field}__{side}e": value}) & (
        Q(**{f"{field}__{side}": value}) | Q(**{field: value, f"id__{side}": row_id})
    )
