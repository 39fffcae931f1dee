from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from billing import selectors
from billing.admin.fields import CreditsFormField, PriceFormField
from billing.models import ActionPrice, Gift, Pack, Plan, Tier
from common.credits import format_credits


class CatalogueAdmin(ModelAdmin):
    """What is on offer; every change is noted in the log of staff actions."""

    list_per_page = 25
    credit_fields: tuple[str, ...] = ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.credit_fields:
            return CreditsFormField(label=db_field.verbose_name, min_value=0)
        if db_field.name == "price":
            return PriceFormField(label=db_field.verbose_name, min_value=0)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # The slug is what everything else refers to.
        return ["slug"] if obj is not None else []

    @display(description=_("credits"))
    def credits_shown(self, item: Any) -> str:
        return format_credits(item.credits)

    @display(description=_("price"))
    def price_shown(self, item: Any) -> str:
        return f"{selectors.format_price(item.price)} {item.currency}"


@admin.register(Tier)
class TierAdmin(CatalogueAdmin):
    list_display = ["name", "slug", "position", "daily_shown", "price_of_1000", "requests_per_minute"]
    ordering = ["position"]
    credit_fields = ("daily_credits",)

    @display(description=_("daily credits"))
    def daily_shown(self, tier: Tier) -> str:
        return format_credits(tier.daily_credits)

    @display(description=_("credits for 1,000 tokens"))
    def price_of_1000(self, tier: Tier) -> str:
        return format_credits(tier.token_price * 1000)


@admin.register(Plan)
class PlanAdmin(CatalogueAdmin):
    list_display = ["name", "slug", "tier", "period", "price_shown", "bonus_shown", "is_active"]
    list_filter = ["is_active", "tier"]
    list_select_related = ["tier"]
    ordering = ["position", "slug"]
    credit_fields = ("bonus_credits",)

    @display(description=_("bonus credits"))
    def bonus_shown(self, plan: Plan) -> str:
        return format_credits(plan.bonus_credits)


@admin.register(Pack)
class PackAdmin(CatalogueAdmin):
    list_display = ["name", "slug", "credits_shown", "price_shown", "is_active"]
    list_filter = ["is_active"]
    ordering = ["position", "slug"]
    credit_fields = ("credits",)


@admin.register(ActionPrice)
class ActionPriceAdmin(CatalogueAdmin):
    list_display = ["name", "slug", "credits_shown"]
    ordering = ["position", "slug"]
    credit_fields = ("credits",)


@admin.register(Gift)
class GiftAdmin(CatalogueAdmin):
    list_display = ["name", "slug", "credits_shown"]
    ordering = ["slug"]
    credit_fields = ("credits",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
