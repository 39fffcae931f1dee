from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display

from accounts.dialogs import ReasonForm, ask_reason, finish
from accounts.services import audit
from billing import invariants
from billing.admin.tables import SearchedByKey
from billing.models import Hold, LedgerAccount, LedgerCheck, LedgerEntry, LedgerTransaction
from billing.services import checks, holds
from common.admin_tables import ReadOnlyAdmin
from common.credits import format_credits
from common.http import user_id
from common.ids import parse_uuid


class EntryInline(TabularInline):
    model = LedgerEntry
    fields = ["account", "direction", "amount_shown"]
    readonly_fields = fields
    extra = 0
    can_delete = False

    @display(description=_("amount"))
    def amount_shown(self, entry: LedgerEntry) -> str:
        return format_credits(entry.amount)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("account")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("billing.view_ledgertransaction")


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(SearchedByKey):
    list_display = [
        "created_at",
        "owner_shown",
        "kind",
        "amount_shown",
        "balance_shown",
        "reference",
        "actor",
    ]
    list_filter = ["kind"]
    list_select_related = ["wallet__user", "actor"]
    ordering = ["-id"]
    inlines = [EntryInline]
    fields = [
        "id",
        "created_at",
        ("owner_shown", "number"),
        "kind",
        ("amount_shown", "balance_shown"),
        "key",
        "reference",
        "description",
        "details",
        ("actor", "reason"),
    ]

    @display(description=_("user"))
    def owner_shown(self, row: LedgerTransaction) -> str:
        return str(row.wallet.user)

    @display(description=_("amount"))
    def amount_shown(self, row: LedgerTransaction) -> str:
        return format_credits(row.amount)

    @display(description=_("balance after"))
    def balance_shown(self, row: LedgerTransaction) -> str:
        return format_credits(row.balance_after)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    list_display = ["name", "wallet", "currency"]
    list_filter = ["name"]
    ordering = ["id"]


@admin.register(Hold)
class HoldAdmin(SearchedByKey):
    list_display = [
        "created_at",
        "owner_shown",
        "state",
        "amount_shown",
        "captured_shown",
        "reference",
        "expires_at",
    ]
    list_filter = ["state"]
    list_select_related = ["wallet__user"]
    ordering = ["-id"]
    actions_detail = ["release"]

    @display(description=_("user"))
    def owner_shown(self, hold: Hold) -> str:
        return str(hold.wallet.user)

    @display(description=_("amount"))
    def amount_shown(self, hold: Hold) -> str:
        return format_credits(hold.amount)

    @display(description=_("captured"))
    def captured_shown(self, hold: Hold) -> str:
        return format_credits(hold.captured)

    def has_release_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.release_hold")

    @action(
        description=_("Give back"),
        icon="undo",
        permissions=["release"],
        dialog=ask_reason(
            _("Give this hold back?"), _("What it was for will not be charged."), _("Give back")
        ),
    )
    def release(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        hold = get_object_or_404(Hold, pk=parse_uuid(object_id))
        with transaction.atomic():
            settlement = holds.release_hold(hold_id=hold.pk, reason="staff")
            if settlement.applied:
                audit.record_staff_action(
                    actor_id=user_id(request),
                    action="release_hold",
                    target=hold,
                    reason=form.cleaned_data["reason"],
                )
        done = _("The credits are back.") if settlement.applied else _("The hold had ended already.")
        return finish(request, reverse("admin:billing_hold_change", args=[object_id]), done=done)


@admin.register(LedgerCheck)
class LedgerCheckAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "finished_at", "is_clean", "violations"]
    list_filter = ["is_clean"]
    ordering = ["-created_at"]
    fields = ["created_at", "finished_at", "is_clean", "violations", "findings"]
    actions_list = ["run"]

    @display(description=_("findings"))
    def findings(self, check: LedgerCheck) -> str:
        promises = invariants.promises()
        lines = []
        for name, found in check.results.items():
            lines.append(f"{promises.get(name, name)} ({found['count']})")
            lines.extend(f"    {row}" for row in found["rows"])
        return "\n".join(lines) or str(_("Nothing is wrong."))

    def has_run_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.run_ledgercheck")

    @action(
        description=_("Check now"),
        icon="fact_check",
        permissions=["run"],
        dialog=ActionDialog(
            title=_("Check the whole ledger now?"),
            description=_("It reads every transaction; nothing waits for it."),
            form_class=None,
            form_submit_text=_("Check"),
        ),
    )
    def run(self, request: HttpRequest, form: Any) -> HttpResponse:
        result = checks.check_ledger()
        audit.record_staff_action(actor_id=user_id(request), action="check_ledger", target=result)
        return finish(
            request, reverse("admin:billing_ledgercheck_change", args=[result.pk]), done=_("Checked.")
        )
