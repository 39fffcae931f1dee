"""Cursor pages: stable while rows are added, and as quick on the thousandth page as on the first."""

from rest_framework.pagination import CursorPagination


class TimeCursorPagination(CursorPagination):
    """Newest first; ids are time-ordered, so they break ties."""

    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100
    ordering = ("-created_at", "-id")
