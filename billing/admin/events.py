from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.dialogs import ReasonForm, ask_reason, finish
from accounts.errors import ReasonRequired
from accounts.services import audit
from billing.admin.tables import SearchedAtStore, done_at, row_id
from billing.models import StoreEvent
from billing.services import replays
from common import jobs
from common.http import user_id

STATES = {"applied": "success", "failed": "danger", "quarantined": "warning", "pending": "info"}


class SinceForm(ReasonForm):
    since = forms.DateTimeField(
        label=_("Since"),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text=_("When the backup was made. Stores remember thirty days."),
    )
    field_order = ["since", "reason"]


class ActionWithReasonForm(ActionForm):
    reason = forms.CharField(
        label="",
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(
            attrs={"placeholder": _("Reason"), "aria-label": _("Reason"), "x-show": "action"}
        ),
    )


@admin.register(StoreEvent)
class StoreEventAdmin(SearchedAtStore):
    """Everything stores told us, with its fate."""

    list_display = [
        "created_at",
        "store",
        "kind",
        "object_id",
        "state_shown",
        "attempts",
        "lag",
        "detail_shown",
    ]
    list_filter = ["state", "store"]
    ordering = ["-created_at", "-id"]
    owner = ""
    external = ("object_id", "external_id")
    search_help_text = _("An id of ours or of the store")
    fields = [
        ("store", "kind"),
        ("external_id", "object_id"),
        ("state_shown", "attempts", "lag"),
        "detail",
        ("happened_at", "created_at", "applied_at"),
        "payload",
    ]
    action_form = ActionWithReasonForm
    actions = ["replay_selected"]
    actions_detail = ["replay"]
    actions_list = ["replay_since"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StoreEvent]:
        rows: QuerySet[StoreEvent] = super().get_queryset(request)
        is_list = request.resolver_match is not None and (request.resolver_match.url_name or "").endswith(
            "list"
        )
        return rows.defer("payload") if is_list else rows

    @display(description=_("state"), label=STATES)
    def state_shown(self, event: StoreEvent) -> tuple[str, str]:
        return event.state, event.get_state_display()

    @display(description=_("applied after"))
    def lag(self, event: StoreEvent) -> str:
        if event.applied_at is None:
            return "-"
        return f"{(event.applied_at - event.created_at).total_seconds():.1f} s"

    @display(description=_("detail"))
    def detail_shown(self, event: StoreEvent) -> str:
        return event.detail[:120]

    def has_replay_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.replay_storeevent")

    @action(
        description=_("Replay"),
        icon="replay",
        permissions=["replay"],
        dialog=ask_reason(
            _("Apply this event again?"),
            _("The store is asked what is true now; what was given before is not given twice."),
            _("Replay"),
        ),
    )
    def replay(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        def work() -> Any:
            state = replays.replay_event(
                event_id=row_id(object_id), actor_id=user_id(request), reason=form.cleaned_data["reason"]
            )
            return _("The event is %(state)s now.") % {"state": StoreEvent.State(state).label}

        return done_at("billing_storeevent", request, object_id, work)

    @admin.action(description=_("Replay"), permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[StoreEvent]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        try:
            replays.promise_replays(
                ids, actor_id=user_id(request), reason=request.POST.get("reason", "")[:1000]
            )
        except ReasonRequired as error:
            # Nothing was done, so nothing is noted.
            transaction.set_rollback(True)
            self.message_user(request, str(error.detail), messages.ERROR)
            return
        said = ngettext("%d event is applied again.", "%d events are applied again.", len(ids)) % len(ids)
        self.message_user(request, said)

    @action(
        description=_("After a backup"),
        icon="settings_backup_restore",
        permissions=["replay"],
        dialog=ActionDialog(
            title=_("Fetch what the store told since a moment"),
            description=_("What is missing here is booked; nothing is given twice."),
            form_class=SinceForm,
            form_submit_text=_("Fetch"),
        ),
    )
    def replay_since(self, request: HttpRequest, form: SinceForm) -> HttpResponse:
        since: datetime = form.cleaned_data["since"]
        with transaction.atomic():
            audit.record_staff_action(
                actor_id=user_id(request),
                action="replay_events_since",
                reason=form.cleaned_data["reason"],
                details={"since": since.isoformat()},
            )
            jobs.enqueue("billing.replay_events_since", since=since.isoformat())
        url = reverse("admin:billing_storeevent_changelist")
        return finish(request, url, done=_("The events are being fetched."))
