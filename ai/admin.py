from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from ai.models import AIModel, ModelCall, SpendLimit
from common.admin_tables import ReadOnlyAdmin

_MICRO = Decimal(1_000_000)


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
class ModelCallAdmin(ReadOnlyAdmin):
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
    ordering = ("-created_at", "-id")
    search_fields = ("=user__email", "=reference", "=model")

    @admin.display(description=_("cost (USD)"))
    def cost(self, call: ModelCall) -> str:
        return f"{call.cost_micro_usd / _MICRO:f}"


@admin.register(SpendLimit)
class SpendLimitAdmin(ModelAdmin):
    list_display = ("__str__", "daily_alert_usd", "daily_cap_usd", "updated_at")
    readonly_fields = ("updated_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
