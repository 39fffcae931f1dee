from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from files.models import File


@admin.register(File)
class FileAdmin(ModelAdmin):
    """What is kept for whom; never its content."""

    list_display = ["name", "owner", "category", "content_type", "size", "state", "created_at"]
    list_filter = ["category", "state", "content_type"]
    search_fields = ["owner__email", "owner__handle", "name"]
    list_select_related = ["owner"]
    ordering = ["-created_at", "-id"]
    list_per_page = 25
    show_full_result_count = False
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[File]:
        return super().get_queryset(request).select_related("owner")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: File | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: File | None = None) -> bool:
        return False
