from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from common.admin_tables import ReadOnlyAdmin
from files.models import File


@admin.register(File)
class FileAdmin(ReadOnlyAdmin):
    """What is kept for whom; never its content."""

    list_display = ["name", "owner", "category", "content_type", "size", "state", "created_at"]
    list_filter = ["category", "state", "content_type"]
    search_fields = ["owner__email", "owner__handle", "name"]
    list_select_related = ["owner"]
    ordering = ["-created_at", "-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[File]:
        return super().get_queryset(request).select_related("owner")
