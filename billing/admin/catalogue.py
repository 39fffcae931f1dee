import json
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from billing.admin.fields import CreditsFormField, PriceFormField
from billing.models import ActionPrice, CatalogueChange, Gift, Pack, Plan, Tier
from billing.money import format_money
from common.admin_tables import ReadOnlyAdmin
from common.credits import format_credits

_KEPT = _("What was sold stays as it was sold: a change counts for what is sold from now on.")


class CatalogueAdmin(ModelAdmin):
    """What is on offer; every change is noted in the log of staff actions, and by the database itself."""

    list_per_page = 25
    credit_fields: tuple[str, ...] = ()
    # What is said below fields whose change people may take for one of what was sold.
    helps: ClassVar[dict[str, Any]] = {}
    actions_detail: ClassVar[list[str]] = ["history_of_prices"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.credit_fields:
            field: Any = CreditsFormField(label=db_field.verbose_name, min_value=0)
        elif db_field.name == "price":
            field = PriceFormField(label=db_field.verbose_name, min_value=0)
        else:
            field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in self.helps:
            field.help_text = f"{field.help_text} {self.helps[db_field.name]}".strip()
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # The slug is what everything else refers to.
        return ["slug"] if obj is not None else []

    def has_history_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.view_cataloguechange")

    @action(description=_("History of prices"), icon="history", permissions=["history"])
    def history_of_prices(self, request: HttpRequest, object_id: str) -> HttpResponse:
        query = urlencode({"q": f"{self.opts.model_name} {object_id}"})
        return redirect(f"{reverse('admin:billing_cataloguechange_changelist')}?{query}")

    @display(description=_("credits"))
    def credits_shown(self, item: Any) -> str:
        return format_credits(item.credits)

    @display(description=_("price"))
    def price_shown(self, item: Any) -> str:
        return format_money(item.price, item.currency)


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
    list_display = [
        "name",
        "slug",
        "tier",
        "period",
        "price_shown",
        "bonus_shown",
        "trial_days",
        "is_active",
    ]
    list_filter = ["is_active", "tier"]
    list_select_related = ["tier"]
    ordering = ["position", "slug"]
    credit_fields = ("bonus_credits",)
    helps: ClassVar = {
        "price": _KEPT,
        "bonus_credits": _KEPT,
        "tier": _KEPT,
        "trial_days": _("Trials that run already keep their end."),
        "is_active": _("Whoever has a plan that is off sale keeps it."),
    }

    @display(description=_("bonus credits"))
    def bonus_shown(self, plan: Plan) -> str:
        return format_credits(plan.bonus_credits)


@admin.register(Pack)
class PackAdmin(CatalogueAdmin):
    list_display = ["name", "slug", "credits_shown", "price_shown", "is_active"]
    list_filter = ["is_active"]
    ordering = ["position", "slug"]
    credit_fields = ("credits",)
    helps: ClassVar = {"price": _KEPT, "credits": _KEPT}


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


@admin.register(CatalogueChange)
class CatalogueChangeAdmin(ReadOnlyAdmin):
    """What was on offer when, whoever changed it."""

    list_display = ["changed_at", "table", "slug", "changes"]
    list_filter = ["table"]
    ordering = ["-id"]
    search_fields = ["slug"]
    search_help_text = _("A slug, or a kind and a slug, such as: plan premium_monthly")
    fields = [("table", "slug"), "changed_at", "changes", "before", "after"]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        table, _blank, slug = search_term.replace("\x00", "").strip().rpartition(" ")
        if not slug:
            return queryset, False
        if table:
            return queryset.filter(table=table, slug=slug), False
        # The index begins with the table.
        tables = [model._meta.model_name for model in (Tier, Plan, Pack, ActionPrice, Gift)]
        return queryset.filter(table__in=tables, slug=slug), False

    @display(description=_("changes"))
    def changes(self, change: CatalogueChange) -> str:
        before, after = change.before or {}, change.after or {}
        if not before or not after:
            return str(_("added") if after else _("deleted"))
        names = [name for name in after if before.get(name) != after[name]]
        return ", ".join(f"{name}: {_plain(before.get(name))} → {_plain(after[name])}" for name in names)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
