from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.dialogs import ReasonForm, ask_reason
from billing.admin.fields import CreditsFormField, PriceFormField
from billing.admin.tables import SearchedAtStore, done_at, link, money, row_id
from billing.models import Approval, MoneyLimit
from billing.services import backoffice
from common.credits import format_credits
from common.http import user_id
from common.models import OutboxMessage

STATES = {"waiting": "warning", "approved": "success", "declined": "danger"}


@admin.register(Approval)
class ApprovalAdmin(SearchedAtStore):
    """What one member of staff wants and another decides."""

    list_display = [
        "created_at",
        "wish",
        "user",
        "what",
        "asked_by",
        "state_shown",
        "decided_by",
        "outcome",
    ]
    list_filter = ["state", "action"]
    list_select_related = ["user", "asked_by", "decided_by"]
    ordering = ["-created_at", "-id"]
    external = ("key",)
    fields = [
        ("wish", "what"),
        ("user", "payment_shown"),
        ("asked_by", "created_at"),
        "reason",
        ("state_shown", "outcome"),
        ("decided_by", "decided_at"),
    ]
    actions_detail = ["approve", "decline"]

    @display(description=_("wish"))
    def wish(self, approval: Approval) -> str:
        if "tier" in approval.arguments:
            return str(_("give a tier"))
        return str(_("waive a debt")) if "waive" in approval.arguments else approval.get_action_display()

    @display(description=_("what"))
    def what(self, approval: Approval) -> str:
        given = approval.arguments
        if approval.action == Approval.Action.REFUND:
            return f"{given.get('payment', '')}: {money(given.get('total', 0), given.get('currency', ''))}"
        if "waive" in given:
            return _("waive %(credits)s credits of debt") % {"credits": format_credits(given["waive"])}
        if "tier" in given:
            until = datetime.fromisoformat(given["until"]) if given["until"] else None
            end = f"{timezone.localtime(until):%Y-%m-%d %H:%M}" if until else _("for life")
            return f"{given['tier']}, {end}"
        return _("%(credits)s credits, %(bucket)s") % {
            "credits": format_credits(given.get("amount", 0)),
            "bucket": given.get("bucket", ""),
        }

    @display(description=_("payment"))
    def payment_shown(self, approval: Approval) -> str:
        given = approval.arguments
        return link("billing_payment", given.get("payment_id"), given.get("payment"))

    @display(description=_("state"), label=STATES)
    def state_shown(self, approval: Approval) -> tuple[str, str]:
        return approval.state, approval.get_state_display()

    @display(description=_("what became of it"))
    def outcome(self, approval: Approval) -> str:
        if approval.state != Approval.State.APPROVED:
            return "-"
        if approval.action != Approval.Action.REFUND:
            return str(_("done"))
        said: str = approval.arguments.get("outcome", "")
        return said or _on_its_way(approval)

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.decide_approval")

    @action(
        description=_("Approve"),
        icon="check",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=ask_reason(_("Approve this?"), _("It is carried out at once."), _("Approve")),
    )
    def approve(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, approve=True)

    @action(
        description=_("Decline"),
        icon="close",
        variant=ActionVariant.DANGER,
        permissions=["decide"],
        dialog=ask_reason(_("Decline this?"), _("Nothing happens then."), _("Decline")),
    )
    def decline(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, approve=False)

    def _decide(
        self, request: HttpRequest, form: ReasonForm, object_id: str, *, approve: bool
    ) -> HttpResponse:
        def work() -> Any:
            backoffice.decide_approval(
                approval_id=row_id(object_id),
                approve=approve,
                reason=form.cleaned_data["reason"],
                actor_id=user_id(request),
            )
            return _("Approved.") if approve else _("Declined.")

        return done_at("billing_approval", request, object_id, work)


@admin.register(MoneyLimit)
class MoneyLimitAdmin(ModelAdmin):
    """One row: above what a second person is needed."""

    list_display = ["__str__", "adjustment_shown", "refund_shown"]
    actions = None

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "adjustment_credits":
            return CreditsFormField(
                label=db_field.verbose_name,
                min_value=0,
                help_text=_(
                    "In credits; what one person gives, takes or waives in a wallet within a day counts"
                    " together. A code gives no more in all either."
                ),
            )
        if db_field.name == "refund_amount":
            return PriceFormField(
                label=db_field.verbose_name,
                min_value=0,
                help_text=_("In whole units of the payment's currency: 200.00 are 200 yen too."),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @display(description=_("adjustments above"))
    def adjustment_shown(self, limit: MoneyLimit) -> str:
        return format_credits(limit.adjustment_credits)

    @display(description=_("refunds above"))
    def refund_shown(self, limit: MoneyLimit) -> str:
        return f"{limit.refund_amount // 100}.{limit.refund_amount % 100:02d}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _on_its_way(approval: Approval) -> str:
    promised = OutboxMessage.objects.filter(task="billing.send_refund", key=approval.key).first()
    if promised is None or promised.state == OutboxMessage.State.DONE:
        return str(_("done"))
    if promised.state == OutboxMessage.State.FAILED:
        return str(_("given up: see the outbox"))
    return str(_("on its way, tried %s times") % promised.attempts)
