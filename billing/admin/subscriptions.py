from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from accounts.dialogs import ReasonForm
from billing.admin.tables import ReadOnlyInline, SearchedAtStore, done_at, link, money, row_id
from billing.models import Payment, StoreCustomer, StorePrice, Subscription, SubscriptionEvent
from billing.services import staff_subscriptions
from common.admin_tables import ReadOnlyAdmin
from common.credits import format_credits
from common.http import user_id

STATES = {
    "active": "success",
    "trialing": "info",
    "grace": "warning",
    "on_hold": "danger",
    "cancelled": "warning",
}


class ExtendForm(ReasonForm):
    days = forms.IntegerField(
        label=_("Days"),
        min_value=1,
        max_value=staff_subscriptions.MAX_DAYS,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    # Made up when the form is shown, so that sending it twice extends once.
    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)
    field_order = ["days", "reason", "token"]


class CancelForm(ReasonForm):
    when = forms.ChoiceField(
        label=_("When"),
        choices=[("period_end", _("With the paid period")), ("now", _("At once"))],
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ["when", "reason"]


class EventInline(ReadOnlyInline):
    model = SubscriptionEvent
    fields = ["created_at", "cause", "from_state", "to_state", "plan", "period_end", "actor", "reason"]
    readonly_fields = fields
    ordering = ["number"]
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("actor")


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ["paid_at", "name", "amount_shown", "returned_shown", "external_id"]
    readonly_fields = fields
    ordering = ["paid_at", "id"]

    @display(description=_("amount"))
    def amount_shown(self, payment: Payment) -> str:
        return money(payment.amount, payment.currency)

    @display(description=_("returned"))
    def returned_shown(self, payment: Payment) -> str:
        return money(payment.returned, payment.currency)


@admin.register(Subscription)
class SubscriptionAdmin(SearchedAtStore):
    list_display = [
        "started_at",
        "user",
        "name",
        "state_shown",
        "price_shown",
        "period_end",
        "ends_at_period_end",
        "store",
    ]
    list_filter = ["state", "store", "plan"]
    list_select_related = ["user", "plan", "tier"]
    ordering = ["-id"]
    inlines = [EventInline, PaymentInline]
    fields = [
        ("owner_shown", "name"),
        ("state_shown", "standing"),
        ("plan", "tier", "next_plan"),
        ("price_shown", "bonus_shown"),
        ("period_start", "period_end", "ends_at_period_end"),
        ("entitled_until", "past_due_since", "due_at"),
        ("started_at", "ended_at", "replaced_by"),
        ("store", "external_id", "synced_at"),
    ]
    actions_detail = ["extend", "cancel"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("user", "plan", "tier", "next_plan")

    @display(description=_("user"))
    def owner_shown(self, row: Subscription) -> str:
        return link("accounts_user", row.user_id, row.user)

    @display(description=_("name"))
    def name(self, row: Subscription) -> str:
        return row.name

    @display(description=_("state"), label=STATES)
    def state_shown(self, row: Subscription) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=_("price"))
    def price_shown(self, row: Subscription) -> str:
        return money(row.price, row.currency)

    @display(description=_("bonus a period"))
    def bonus_shown(self, row: Subscription) -> str:
        return format_credits(row.bonus_credits)

    def has_extend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.extend_subscription")

    @action(
        description=_("Extend"),
        icon="more_time",
        permissions=["extend"],
        dialog=ActionDialog(
            title=_("Extend this subscription"),
            description=_("Its period ends later, and nothing is charged for the time between."),
            form_class=ExtendForm,
            form_submit_text=_("Extend"),
        ),
    )
    def extend(self, request: HttpRequest, form: ExtendForm, object_id: str) -> HttpResponse:
        data = form.cleaned_data

        def work() -> Any:
            row = staff_subscriptions.extend_subscription(
                subscription_id=row_id(object_id),
                days=data["days"],
                reason=data["reason"],
                actor_id=user_id(request),
                token=str(data["token"]),
            )
            return _("It runs until %(end)s now.") % {"end": f"{row.period_end:%Y-%m-%d %H:%M}"}

        return done_at("billing_subscription", request, object_id, work)

    @action(
        description=_("End"),
        icon="cancel",
        variant=ActionVariant.DANGER,
        permissions=["extend"],
        dialog=ActionDialog(
            title=_("End this subscription"),
            description=_("No money goes back by it: refund the payment for that."),
            form_class=CancelForm,
            form_submit_text=_("End"),
        ),
    )
    def cancel(self, request: HttpRequest, form: CancelForm, object_id: str) -> HttpResponse:
        data = form.cleaned_data

        def work() -> Any:
            row = staff_subscriptions.cancel_subscription(
                subscription_id=row_id(object_id),
                now=data["when"] == "now",
                reason=data["reason"],
                actor_id=user_id(request),
            )
            return _("It is %(state)s.") % {"state": row.get_state_display()}

        return done_at("billing_subscription", request, object_id, work)


@admin.register(SubscriptionEvent)
class SubscriptionEventAdmin(SearchedAtStore):
    list_display = [
        "created_at",
        "owner_shown",
        "subscription_shown",
        "cause",
        "from_state",
        "to_state",
        "plan",
    ]
    list_filter = ["cause", "to_state"]
    list_select_related = ["subscription__user", "subscription__plan"]
    ordering = ["-id"]
    owner = "subscription__user"
    external = ("subscription__external_id",)
    fields = [
        ("created_at", "number"),
        ("owner_shown", "subscription_shown"),
        ("from_state", "to_state"),
        ("plan", "period_end"),
        ("cause", "actor", "reason"),
        "changes",
    ]

    @display(description=_("user"))
    def owner_shown(self, event: SubscriptionEvent) -> str:
        return str(event.subscription.user)

    @display(description=_("subscription"))
    def subscription_shown(self, event: SubscriptionEvent) -> str:
        return link("billing_subscription", event.subscription_id, event.subscription)


@admin.register(StoreCustomer)
class StoreCustomerAdmin(SearchedAtStore):
    list_display = ["created_at", "user", "store", "external_id"]
    list_filter = ["store"]
    list_select_related = ["user"]
    ordering = ["-id"]


@admin.register(StorePrice)
class StorePriceAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "store", "slug", "period", "price_shown", "external_id"]
    list_filter = ["store"]
    ordering = ["-id"]
    search_fields = ["=slug", "=external_id"]

    @display(description=_("price"))
    def price_shown(self, price: StorePrice) -> str:
        return money(price.amount, price.currency)
