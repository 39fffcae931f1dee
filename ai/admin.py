from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from ai.models import AIModel, ModelCall, SpendLimit

_COUNTED_ROWS = 10_000
_MICRO = Decimal(1_000_000)


class BoundedPaginator(Paginator):
    """Counts up to ten thousand rows: an exact count of the log is a scan of it."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.order_by().values("pk")[:_COUNTED_ROWS])


@admin.register(AIModel)
class AIModelAdmin(ModelAdmin):
    list_display = (
        "display_name",
        "provider",
        "name",
        "is_enabled",
        "is_default",
        "context_window",
        "input_price",
        "output_price",
    )
    list_filter = ("provider", "is_enabled", "is_default")
    search_fields = ("slug", "name", "display_name")
    list_select_related = ("fallback",)
    list_per_page = 25
    fieldsets = (
        (
            None,
            {"fields": ("slug", "display_name", "provider", "name", "is_enabled", "is_default", "fallback")},
        ),
        (
            _("Abilities"),
            {"fields": ("context_window", "max_output_tokens", "supports_temperature", "lowest_tier")},
        ),
        (_("Prices"), {"fields": ("input_price", "output_price", "cached_price", "cache_write_price")}),
        (_("Request"), {"fields": ("options",)}),
    )


@admin.register(ModelCall)
class ModelCallAdmin(ModelAdmin):
    list_display = (
        "created_at",
        "user",
        "purpose",
        "model",
        "status",
        "input_tokens",
        "output_tokens",
        "cost",
        "first_token_ms",
    )
    list_filter = ("status", "provider", "purpose")
    list_select_related = ("user",)
    list_per_page = 25
    show_full_result_count = False
    paginator = BoundedPaginator
    ordering = ("-created_at", "-id")
    search_fields = ("=user__email", "=reference", "=model")
    actions = None

    @admin.display(description=_("cost (USD)"))
    def cost(self, call: ModelCall) -> str:
        return f"{call.cost_micro_usd / _MICRO:f}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SpendLimit)
class SpendLimitAdmin(ModelAdmin):
    list_display = ("__str__", "daily_alert_usd", "daily_cap_usd", "updated_at")
    readonly_fields = ("updated_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
