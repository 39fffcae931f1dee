from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.dialogs import ReasonForm
from billing.admin.fields import PriceFormField
from billing.admin.tables import ReadOnlyInline, SearchedAtStore, done_at, link, money, row_id
from billing.models import Dispute, Order, Payment, Refund
from billing.services import backoffice
from billing.stores.currencies import decimals
from common.credits import format_credits
from common.http import user_id


class RefundForm(ReasonForm):
    amount = PriceFormField(
        label=_("Amount"),
        required=False,
        min_value=0,
        help_text=_("In the payment's currency. Empty: all that is left."),
    )
    # Made up when the form is shown, so that sending it twice refunds once.
    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)
    field_order = ["amount", "reason", "token"]


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ["refunded_at", "kind", "amount_shown", "credits_shown", "owed_shown", "external_id"]
    readonly_fields = fields
    ordering = ["refunded_at", "id"]

    @display(description=_("amount"))
    def amount_shown(self, refund: Refund) -> str:
        return money(refund.amount, refund.payment.currency)

    @display(description=_("credits taken back"))
    def credits_shown(self, refund: Refund) -> str:
        return format_credits(refund.credits)

    @display(description=_("owed"))
    def owed_shown(self, refund: Refund) -> str:
        return format_credits(refund.debt)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("payment")


class DisputeInline(ReadOnlyInline):
    model = Dispute
    fields = ["opened_at", "state", "amount_shown", "frozen_shown", "closed_at", "external_id"]
    readonly_fields = fields
    ordering = ["opened_at", "id"]

    @display(description=_("amount"))
    def amount_shown(self, dispute: Dispute) -> str:
        return money(dispute.amount, dispute.payment.currency)

    @display(description=_("credits frozen"))
    def frozen_shown(self, dispute: Dispute) -> str:
        return format_credits(dispute.frozen_bonus + dispute.frozen_purchased)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("payment")


@admin.register(Order)
class OrderAdmin(SearchedAtStore):
    list_display = [
        "created_at",
        "user",
        "name",
        "price_shown",
        "credits_shown",
        "store",
        "state",
        "ended_at",
    ]
    list_filter = ["state", "store"]
    list_select_related = ["user"]
    ordering = ["-id"]
    external = ("session_id", "intent_id")
    fields = [
        ("user", "store"),
        ("name", "state"),
        ("pack", "plan"),
        ("price_shown", "credits_shown", "trial_days"),
        ("session_id", "intent_id"),
        ("created_at", "ended_at"),
    ]

    @display(description=_("price"))
    def price_shown(self, order: Order) -> str:
        return money(order.price, order.currency)

    @display(description=_("credits"))
    def credits_shown(self, order: Order) -> str:
        return format_credits(order.credits)


@admin.register(Payment)
class PaymentAdmin(SearchedAtStore):
    list_display = [
        "paid_at",
        "number",
        "user",
        "name",
        "amount_shown",
        "credits_shown",
        "returned_shown",
        "store",
    ]
    list_filter = ["store", "currency"]
    list_select_related = ["user"]
    ordering = ["-paid_at", "-id"]
    inlines = [RefundInline, DisputeInline]
    fields = [
        ("number", "paid_at"),
        ("owner_shown", "name"),
        ("amount_shown", "tax_shown", "returned_shown"),
        ("credits_shown", "bucket", "taken_back_shown"),
        ("order_shown", "subscription_shown"),
        ("store", "external_id"),
        ("period_start", "period_end"),
        ("document_shown", "ledger_shown"),
    ]
    actions_detail = ["refund"]

    @display(description=_("number"))
    def number(self, payment: Payment) -> str:
        return payment.number

    @display(description=_("user"))
    def owner_shown(self, payment: Payment) -> str:
        return link("accounts_user", payment.user_id, payment.user)

    @display(description=_("amount"), ordering="amount")
    def amount_shown(self, payment: Payment) -> str:
        return money(payment.amount, payment.currency)

    @display(description=_("tax in it"))
    def tax_shown(self, payment: Payment) -> str:
        return money(payment.tax, payment.currency)

    @display(description=_("returned"))
    def returned_shown(self, payment: Payment) -> str:
        return money(payment.returned, payment.currency) if payment.returned else "-"

    @display(description=_("credits"))
    def credits_shown(self, payment: Payment) -> str:
        return format_credits(payment.credits)

    @display(description=_("credits taken back"))
    def taken_back_shown(self, payment: Payment) -> str:
        return format_credits(payment.credits_returned)

    @display(description=_("order"))
    def order_shown(self, payment: Payment) -> str:
        return link("billing_order", payment.order_id, payment.order)

    @display(description=_("subscription"))
    def subscription_shown(self, payment: Payment) -> str:
        return link("billing_subscription", payment.subscription_id, payment.subscription)

    @display(description=_("document of the store"))
    def document_shown(self, payment: Payment) -> str:
        url = payment.document_url
        if not url.startswith("https://"):
            return url or "-"
        return format_html('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, _("Open"))

    @display(description=_("in the ledger"))
    def ledger_shown(self, payment: Payment) -> str:
        url = reverse("admin:billing_ledgertransaction_changelist")
        return format_html('<a href="{}?q={}">{}</a>', url, payment.reference, payment.reference)

    def has_refund_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.refund_payment")

    @action(
        description=_("Refund"),
        icon="undo",
        variant=ActionVariant.DANGER,
        permissions=["refund"],
        dialog=ActionDialog(
            title=_("Send money of this payment back"),
            description=_(
                "The credits it gave are taken back; what was spent of them is owed. "
                "A large refund waits for a second person."
            ),
            form_class=RefundForm,
            form_submit_text=_("Refund"),
        ),
    )
    def refund(self, request: HttpRequest, form: RefundForm, object_id: str) -> HttpResponse:
        data = form.cleaned_data

        def work() -> Any:
            outcome = backoffice.refund_payment(
                payment_id=row_id(object_id),
                amount=_in_smallest_units(object_id, data["amount"]),
                reason=data["reason"],
                actor_id=user_id(request),
                token=str(data["token"]),
            )
            if outcome.approval is not None:
                return _("This is a large refund: somebody else has to approve it first.")
            return _("The money is on its way back.") if outcome.applied else _("Done before.")

        return done_at("billing_payment", request, object_id, work)


def _in_smallest_units(object_id: str, hundredths: int | None) -> int | None:
    """What was typed, in the payment's own currency: not every one has cents."""
    if hundredths is None:
        return None
    currency = Payment.objects.values_list("currency", flat=True).get(id=row_id(object_id))
    return hundredths * 10 ** decimals(currency) // 100


class _OfPayment(SearchedAtStore):
    """What happened to a payment; its owner is the payment's."""

    list_select_related = ["payment__user"]
    owner = "payment__user"

    @display(description=_("payment"))
    def payment_shown(self, row: Any) -> str:
        return link("billing_payment", row.payment_id, row.payment)

    @display(description=_("user"))
    def owner_shown(self, row: Any) -> str:
        return str(row.payment.user)

    @display(description=_("amount"))
    def amount_shown(self, row: Any) -> str:
        return money(row.amount, row.payment.currency)


@admin.register(Refund)
class RefundAdmin(_OfPayment):
    list_display = [
        "refunded_at",
        "owner_shown",
        "payment_shown",
        "kind",
        "amount_shown",
        "credits_shown",
        "owed_shown",
    ]
    list_filter = ["kind"]
    ordering = ["-id"]
    fields = [
        ("owner_shown", "payment_shown"),
        ("kind", "external_id"),
        ("amount_shown", "counted_shown"),
        ("credits_shown", "owed_shown"),
        ("refunded_at", "created_at"),
    ]

    @display(description=_("counted"))
    def counted_shown(self, refund: Refund) -> str:
        return money(refund.counted, refund.payment.currency)

    @display(description=_("credits taken back"))
    def credits_shown(self, refund: Refund) -> str:
        return format_credits(refund.credits)

    @display(description=_("of it owed"))
    def owed_shown(self, refund: Refund) -> str:
        return format_credits(refund.debt)


@admin.register(Dispute)
class DisputeAdmin(_OfPayment):
    list_display = ["opened_at", "owner_shown", "payment_shown", "state", "amount_shown", "closed_at"]
    list_filter = ["state"]
    ordering = ["-id"]
    fields = [
        ("owner_shown", "payment_shown"),
        ("state", "external_id"),
        ("amount_shown", "frozen_shown"),
        ("opened_at", "closed_at"),
    ]

    @display(description=_("credits frozen"))
    def frozen_shown(self, dispute: Dispute) -> str:
        return format_credits(dispute.frozen_bonus + dispute.frozen_purchased)
