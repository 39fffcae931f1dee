from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.dialogs import ReasonForm, ask_reason, finish
from accounts.services import audit
from billing.admin.fields import CreditsFormField
from billing.admin.tables import SearchedByKey, done_at
from billing.models import MAX_AMOUNT, Bucket, Tier, Wallet
from billing.services import adjustments, allowance, backoffice, staff_subscriptions
from billing.services.four_eyes import Outcome
from common.credits import MICRO, format_credits
from common.http import user_id
from common.ids import parse_uuid


class AdjustmentForm(ReasonForm):
    amount = CreditsFormField(
        label=_("Credits"),
        min_value=-MAX_AMOUNT // MICRO,
        help_text=_("With a minus sign they are taken away, at most what is there."),
    )
    bucket = forms.ChoiceField(
        label=_("Bucket"),
        choices=[(Bucket.BONUS, Bucket.BONUS.label), (Bucket.PURCHASED, Bucket.PURCHASED.label)],
        widget=UnfoldAdminSelectWidget,
    )
    # Made up when the form is shown, so that sending it twice adjusts once.
    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)
    field_order = ["amount", "bucket", "reason", "token"]


class TierForm(ReasonForm):
    tier = forms.ModelChoiceField(
        label=_("Tier"), queryset=Tier.objects.order_by("position"), widget=UnfoldAdminSelectWidget
    )
    until = forms.DateTimeField(
        label=_("Until"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text=_("Empty: for life. More than a year needs a second person."),
    )
    # Made up when the form is shown, so that sending it twice asks for approval once.
    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)
    field_order = ["tier", "until", "reason", "token"]


class WaiveForm(ReasonForm):
    # Made up when the form is shown, so that sending it twice waives once.
    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)


@admin.register(Wallet)
class WalletAdmin(SearchedByKey):
    list_display = [
        "user",
        "tier",
        "tier_until",
        "balance_shown",
        "held_shown",
        "debt_shown",
        "frozen_shown",
        "used_on",
        "suspended_at",
    ]
    list_filter = ["tier", ("suspended_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user", "tier"]
    ordering = ["-user_id"]
    fields = [
        "user",
        ("tier", "tier_until"),
        ("daily_shown", "bonus_shown", "purchased_shown"),
        ("balance_shown", "held_shown"),
        ("debt_shown", "frozen_shown"),
        ("paused_at", "message_cap_shown", "day_cap_shown"),
        ("low_balance_shown", "day_spent_shown"),
        ("day", "messages_used", "used_on"),
        ("last_number", "created_at", "suspended_at"),
    ]
    actions_detail = ["adjust", "change_tier", "end_comp", "waive_debt", "suspend", "resume"]
    actions_list = ["refresh_allowances"]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        identity = parse_uuid(term)
        if identity is not None:
            return queryset.filter(pk=identity), False
        return queryset.filter(user__email=term.lower()), False

    @display(description=_("balance"))
    def balance_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.balance)

    @display(description=_("held"))
    def held_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.held)

    @display(description=_("daily"))
    def daily_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.daily_balance)

    @display(description=_("bonus"))
    def bonus_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.bonus_balance)

    @display(description=_("purchased"))
    def purchased_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.purchased_balance)

    @display(description=_("owed"))
    def debt_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.debt) if wallet.debt else "-"

    @display(description=_("frozen"))
    def frozen_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.frozen) if wallet.frozen else "-"

    @display(description=_("own limit for a message"))
    def message_cap_shown(self, wallet: Wallet) -> str:
        return _limit(wallet.message_cap)

    @display(description=_("own limit for a day"))
    def day_cap_shown(self, wallet: Wallet) -> str:
        return _limit(wallet.day_cap)

    @display(description=_("wants to hear below"))
    def low_balance_shown(self, wallet: Wallet) -> str:
        return _limit(wallet.low_balance)

    @display(description=_("spent today"))
    def day_spent_shown(self, wallet: Wallet) -> str:
        return format_credits(wallet.day_spent)

    def has_comp_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.comp_subscription")

    def has_adjust_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.adjust_wallet")

    def has_suspend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.suspend_wallet")

    def has_refresh_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.refresh_allowance")

    @action(
        description=_("Adjust credits"),
        icon="add_card",
        permissions=["adjust"],
        dialog=ActionDialog(
            title=_("Adjust the credits of this wallet"),
            description=_("It becomes a transaction of its own, with your name and reason."),
            form_class=AdjustmentForm,
            form_submit_text=_("Adjust"),
        ),
    )
    def adjust(self, request: HttpRequest, form: AdjustmentForm, object_id: str) -> HttpResponse:
        data = form.cleaned_data

        def work() -> Any:
            outcome = backoffice.adjust_credits(
                user_id=_owner_id(object_id),
                amount=data["amount"],
                bucket=Bucket(data["bucket"]),
                reason=data["reason"],
                actor_id=user_id(request),
                token=str(data["token"]),
            )
            return _said(outcome)

        return done_at("billing_wallet", request, object_id, work)

    @action(
        description=_("Give a tier"),
        icon="stairs",
        permissions=["comp"],
        dialog=ActionDialog(
            title=_("Give this user a tier"),
            description=_(
                "The better of what is given and what was bought counts, its daily credits from today."
            ),
            form_class=TierForm,
            form_submit_text=_("Give"),
        ),
    )
    def change_tier(self, request: HttpRequest, form: TierForm, object_id: str) -> HttpResponse:
        data = form.cleaned_data

        def work() -> Any:
            outcome = staff_subscriptions.comp_tier(
                user_id=_owner_id(object_id),
                tier=data["tier"].slug,
                until=data["until"],
                reason=data["reason"],
                actor_id=user_id(request),
                token=str(data["token"]),
            )
            return _waits() if outcome.approval is not None else _("The tier is changed.")

        return done_at("billing_wallet", request, object_id, work)

    @action(
        description=_("Take the given tier back"),
        icon="undo",
        permissions=["comp"],
        dialog=ask_reason(_("Take the given tier back?"), _("What was bought stays."), _("Take back")),
    )
    def end_comp(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        def work() -> Any:
            staff_subscriptions.end_comp(
                user_id=_owner_id(object_id), reason=form.cleaned_data["reason"], actor_id=user_id(request)
            )
            return _("No tier is given any more.")

        return done_at("billing_wallet", request, object_id, work)

    @action(
        description=_("Waive what is owed"),
        icon="money_off",
        permissions=["adjust"],
        dialog=ActionDialog(
            title=_("Waive what this user owes?"),
            description=_("They can spend again at once."),
            form_class=WaiveForm,
            form_submit_text=_("Waive"),
        ),
    )
    def waive_debt(self, request: HttpRequest, form: WaiveForm, object_id: str) -> HttpResponse:
        data = form.cleaned_data

        def work() -> Any:
            outcome = backoffice.waive_debt(
                user_id=_owner_id(object_id),
                reason=data["reason"],
                actor_id=user_id(request),
                token=str(data["token"]),
            )
            return _said(outcome)

        return done_at("billing_wallet", request, object_id, work)

    @action(
        description=_("Suspend"),
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["suspend"],
        dialog=ask_reason(
            _("Suspend this wallet?"), _("Nothing can be spent until it is resumed."), _("Suspend")
        ),
    )
    def suspend(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        adjustments.suspend_wallet(
            user_id=_owner_id(object_id), reason=form.cleaned_data["reason"], actor_id=user_id(request)
        )
        return finish(request, _wallet_url(object_id), done=_("The wallet is suspended."))

    @action(
        description=_("Resume"),
        icon="play_arrow",
        permissions=["suspend"],
        dialog=ask_reason(_("Resume this wallet?"), "", _("Resume")),
    )
    def resume(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        adjustments.resume_wallet(
            user_id=_owner_id(object_id), reason=form.cleaned_data["reason"], actor_id=user_id(request)
        )
        return finish(request, _wallet_url(object_id), done=_("The wallet can spend again."))

    @action(
        description=_("Refresh daily credits"),
        icon="update",
        permissions=["refresh"],
        dialog=ActionDialog(
            title=_("Refresh the daily credits of everybody now?"),
            description=_("Who has today's allowance already gets nothing twice."),
            form_class=None,
            form_submit_text=_("Refresh"),
        ),
    )
    def refresh_allowances(self, request: HttpRequest, form: Any) -> HttpResponse:
        refresh = allowance.refresh_allowances()
        audit.record_staff_action(
            actor_id=user_id(request), action="refresh_allowances", details={"opened": refresh.opened}
        )
        done = ngettext(
            "%(count)s wallet was opened for today.",
            "%(count)s wallets were opened for today.",
            refresh.opened,
        )
        return finish(
            request, reverse("admin:billing_wallet_changelist"), done=done % {"count": refresh.opened}
        )


def _waits() -> Any:
    return _("This is a lot: somebody else has to approve it first.")


def _said(outcome: Outcome) -> Any:
    if outcome.approval is not None:
        return _waits()
    if not outcome.applied or outcome.available is None:
        return _("Done before.")
    return _("The wallet can now spend %(credits)s credits.") % {"credits": format_credits(outcome.available)}


def _limit(amount: int | None) -> str:
    return "-" if amount is None else format_credits(amount)


def _owner_id(object_id: str) -> UUID:
    owner_id = parse_uuid(object_id)
    if owner_id is None:
        raise Http404
    return owner_id


def _wallet_url(object_id: str) -> str:
    return reverse("admin:billing_wallet_change", args=[object_id])
