from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display

from accounts.dialogs import ReasonForm, ask_reason, finish
from accounts.services import audit
from billing.admin.tables import money, row_id
from billing.models import Reconciliation
from billing.services import reconciliation
from common import jobs
from common.admin_tables import ReadOnlyAdmin
from common.http import user_id

STATES = {"clean": "success", "different": "danger", "incomplete": "warning", "running": "info"}
KINDS = {
    "ledger": _("The ledger breaks a promise"),
    "store_account": _("The ledger's money at stores is not the sum of payments"),
    "event": _("An event is not applied"),
    "payment_missing": _("Paid at the store, not booked here"),
    "payment_differs": _("Paid differently at the store"),
    "payment_not_at_store": _("Booked here, unknown to the store"),
    "refund_missing": _("Refunded at the store, not booked here"),
    "refund_differs": _("Refunded differently at the store"),
    "refund_not_at_store": _("Refund booked here, unknown to the store"),
    "dispute_missing": _("Disputed at the store, unknown here"),
    "dispute_differs": _("The dispute stands differently at the store"),
    "subscription_missing": _("Subscribed at the store, unknown here"),
    "subscription_differs": _("The subscription stands differently at the store"),
    "subscription_not_at_store": _("Subscribed here, unknown to the store"),
    "voided_not_returned": _("Taken back by Google, not taken back here"),
}


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "finished_at", "state_shown", "count", "difference_shown"]
    list_filter = ["state"]
    ordering = ["-created_at", "-id"]
    fields = [
        ("created_at", "finished_at"),
        ("state_shown", "difference_shown"),
        "compared_shown",
        "detail",
        "differences_shown",
    ]
    actions_list = ["run"]
    actions_detail = ["mend"]

    @display(description=_("state"), label=STATES)
    def state_shown(self, row: Reconciliation) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=_("differences"))
    def count(self, row: Reconciliation) -> int:
        return len(row.differences)

    @display(description=_("difference in money"))
    def difference_shown(self, row: Reconciliation) -> str:
        parts = [money(amount, currency) for currency, amount in sorted(row.difference.items()) if amount]
        return ", ".join(parts) or "-"

    @display(description=_("compared"))
    def compared_shown(self, row: Reconciliation) -> str:
        return ", ".join(f"{kind}: {count:,}" for kind, count in row.compared.items()) or "-"

    @display(description=_("what differs"))
    def differences_shown(self, row: Reconciliation) -> str:
        if not row.differences:
            return str(_("Nothing."))
        lines = ((_described(line),) for line in row.differences)
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", lines))

    def has_run_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.run_reconciliation")

    @action(
        description=_("Compare now"),
        icon="compare_arrows",
        permissions=["run"],
        dialog=ActionDialog(
            title=_("Compare everything with the stores now?"),
            description=_("Nothing is changed by it. It may take a while."),
            form_class=None,
            form_submit_text=_("Compare"),
        ),
    )
    def run(self, request: HttpRequest, form: Any) -> HttpResponse:
        with transaction.atomic():
            row = reconciliation.begin()
            audit.record_staff_action(actor_id=user_id(request), action="reconcile", target=row)
        url = reverse("admin:billing_reconciliation_change", args=[row.pk])
        return finish(request, url, done=_("It is being compared. Load this page again for what is found."))

    @action(
        description=_("Apply what the store says"),
        icon="build",
        permissions=["run"],
        dialog=ask_reason(
            _("Book what the store says about these?"),
            _("What is missing is given, once; what only we have stays for you to look at."),
            _("Apply"),
        ),
    )
    def mend(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        row = self.get_object(request, str(row_id(object_id)))
        with transaction.atomic():
            audit.record_staff_action(
                actor_id=user_id(request), action="mend", target=row, reason=form.cleaned_data["reason"]
            )
            jobs.enqueue("billing.mend_from_stores", reconciliation_id=object_id)
        url = reverse("admin:billing_reconciliation_change", args=[object_id])
        return finish(request, url, done=_("The stores are being asked. Compare again afterwards."))


def _described(line: dict[str, Any]) -> SafeString:
    amount = f" ({money(abs(line['amount']), line['currency'])})" if line["currency"] else ""
    return format_html(
        "{}: {}{}. {} {}; {} {}",
        KINDS.get(line["kind"], line["kind"]),
        _row_link(line["row"]),
        amount,
        _("Here:"),
        "-" if line["ours"] is None else line["ours"],
        _("there:"),
        "-" if line["theirs"] is None else line["theirs"],
    )


def _row_link(row: str) -> str:
    model, _colon, identity = row.partition(":")
    try:
        url = reverse(f"admin:billing_{model}_change", args=[identity])
    except NoReverseMatch:
        return row
    return format_html('<a href="{}">{}</a>', url, row) if identity else row
