"""Logs and lists about people that staff read; what changes them are services."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.admin.people import may_act_on
from accounts.dialogs import ReasonForm, ask_reason, finish
from accounts.models import ApiKey, DataExport, Erasure, StaffAction, TextMessage
from accounts.services import api_keys
from common.admin_tables import ReadOnlyAdmin
from common.errors import DomainError
from common.http import user_id
from common.ids import parse_uuid


@admin.register(StaffAction)
class StaffActionAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "actor", "action", "target_type", "target", "reason"]
    list_filter = ["action", "target_type", ("actor", AutocompleteSelectFilter)]
    list_filter_submit = True
    date_hierarchy = "created_at"
    search_fields = ["target_id", "target_label", "reason", "actor__email"]
    list_select_related = ["actor"]
    ordering = ["-created_at", "-id"]
    fields = ["created_at", "actor", "action", "target", "target_type", "target_id", "reason", "details"]
    readonly_fields = ["created_at", "target"]

    @display(description=_("target"), ordering="target_label")
    def target(self, record: StaffAction) -> str:
        name = record.target_label or record.target_id or "–"
        try:
            url = reverse(f"admin:{record.target_type.replace('.', '_')}_change", args=[record.target_id])
        except NoReverseMatch:
            return name
        return format_html('<a href="{}">{}</a>', url, name)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "user", "name", "prefix", "last_used_at", "revoked_at"]
    search_fields = ["user__email", "name", "prefix"]
    list_select_related = ["user"]
    ordering = ["-created_at", "-id"]
    actions_detail = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        key_id = parse_uuid(object_id)
        key = ApiKey.objects.filter(id=key_id).select_related("user").first() if key_id else None
        owner = key.user if key else None
        return request.user.has_perm("accounts.revoke_api_key") and may_act_on(request, owner)

    @action(
        description=_("Revoke"),
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["revoke"],
        dialog=ask_reason(
            _("Revoke this key?"), _("Programs that use it stop working at once."), _("Revoke")
        ),
    )
    def revoke(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        url = reverse("admin:accounts_apikey_change", args=[object_id])
        try:
            api_keys.revoke_by_staff(
                key_id=parse_uuid(object_id) or UUID(int=0),
                actor_id=user_id(request),
                reason=form.cleaned_data["reason"],
            )
        except DomainError as error:
            return finish(request, url, error=error)
        return finish(request, url, done=_("The key is revoked."))


@admin.register(DataExport)
class DataExportAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "user", "status", "progress", "size", "expires_at"]
    list_filter = ["status"]
    search_fields = ["user__email"]
    list_select_related = ["user"]
    ordering = ["-created_at", "-id"]


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = ["requested_at", "user", "erase_at", "started_at", "done_at"]
    search_fields = ["user__email", "user__id"]
    list_select_related = ["user"]
    ordering = ["-requested_at", "user_id"]


@admin.register(TextMessage)
class TextMessageAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "number", "country", "purpose", "state", "used_at", "address"]
    list_filter = ["purpose", "state", "country"]
    search_fields = ["number", "prefix", "address"]
    ordering = ["-created_at", "-id"]
