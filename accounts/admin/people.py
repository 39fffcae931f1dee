from collections.abc import Callable
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.dialogs import ReasonForm, ask_reason, finish
from accounts.models import ApiKey, User
from accounts.services import audit, emails, erasures, sessions
from common.errors import DomainError
from common.ids import parse_uuid

_FACTS = ["id", "email", "phone", "is_active", "created_at", "last_login", "leaving_at"]
_ROLES: list[str | list[str] | tuple[str, ...] | tuple[()]] = [
    "is_staff",
    "is_superuser",
    "groups",
    "user_permissions",
]

for _model in (EmailAddress, UserSession, Authenticator, SocialAccount, SocialApp, SocialToken):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False
    tab = True

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return list(self.fields or [])

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("accounts.view_user")


class EmailAddressInline(ReadOnlyInline):
    model = EmailAddress
    fields = ["email", "verified", "primary"]


class DeviceInline(ReadOnlyInline):
    model = UserSession
    verbose_name_plural = _("signed-in devices")
    fields = ["ip", "user_agent", "created_at", "last_seen_at"]


class ProviderInline(ReadOnlyInline):
    model = SocialAccount
    verbose_name_plural = _("linked accounts")
    fields = ["provider", "uid", "date_joined", "last_login"]


class FactorInline(ReadOnlyInline):
    model = Authenticator
    verbose_name_plural = _("second factors")
    fields = ["type", "created_at", "last_used_at"]


class ApiKeyInline(ReadOnlyInline):
    model = ApiKey
    verbose_name_plural = _("API keys")
    fields = ["name", "prefix", "created_at", "last_used_at", "revoked_at"]
    show_change_link = True


class NewUserForm(UserCreationForm):
    class Meta:
        model = User
        fields = ["email"]


class EditUserForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = EditUserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["identity", "handle", "is_active", "is_staff", "created_at", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "handle", "display_name", "phone"]
    search_help_text = _("Address, handle, name, phone number or id.")
    ordering = ["-created_at", "-id"]
    list_per_page = 25
    show_full_result_count = False
    readonly_fields = [
        "id",
        "email",
        "phone",
        "is_active",
        "created_at",
        "last_login",
        "leaving_at",
        "staff_log",
    ]
    filter_horizontal = ["groups", "user_permissions"]
    inlines = [EmailAddressInline, ProviderInline, FactorInline, DeviceInline, ApiKeyInline]
    actions = None
    records_values = False
    actions_detail = ["suspend", "reactivate", "end_sessions", "verify_email", "cancel_erasure"]
    fieldsets = [
        (
            None,
            {"fields": [*_FACTS, "password", "staff_log"]},
        ),
        (
            _("Profile"),
            {"fields": ["display_name", "handle", "pronouns", "locale", "time_zone", "birth_date"]},
        ),
        (_("Permissions"), {"fields": _ROLES}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "usable_password", "password1", "password2"]})]

    @display(description=_("user"), header=True)
    def identity(self, user: User) -> list[str]:
        return [user.display_name, str(user)]

    @display(description=_("staff log"))
    def staff_log(self, user: User) -> str:
        url = reverse("admin:accounts_staffaction_changelist")
        done_to = urlencode({"target_id__exact": str(user.pk)})
        done_by = urlencode({"actor__id__exact": str(user.pk)})
        return format_html(
            '<a href="{0}?{1}">{2}</a> · <a href="{0}?{3}">{4}</a>',
            url,
            done_to,
            _("what staff did here"),
            done_by,
            _("what this user did as staff"),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        if obj is None:
            return []
        roles = (
            [] if request.user.is_superuser else ["is_staff", "is_superuser", "groups", "user_permissions"]
        )
        return [*self.readonly_fields, *roles]

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[type[TabularInline]]:
        return self.inlines if obj is not None else []

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        user_id = parse_uuid(search_term.strip())
        if user_id is not None:
            return queryset.filter(id=user_id), False
        return super().get_search_results(request, queryset, search_term)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and may_act_on(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Accounts are erased by their owners, with a time to think; never by a click here."""
        return False

    def has_suspend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("accounts.suspend_user") and may_act_on(request, _find(object_id))

    def has_end_sessions_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("accounts.end_sessions") and may_act_on(request, _find(object_id))

    def has_verify_email_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("accounts.verify_email") and may_act_on(request, _find(object_id))

    @action(
        description=_("Suspend"),
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["suspend"],
        dialog=ask_reason(
            _("Suspend this user?"),
            _("They are signed out everywhere at once and cannot come back until somebody lets them."),
            _("Suspend"),
        ),
    )
    def suspend(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, sessions.deactivate_user, _("The user is suspended."))

    @action(
        description=_("Let in again"),
        icon="lock_open",
        permissions=["suspend"],
        dialog=ask_reason(_("Let this user in again?"), "", _("Let in")),
    )
    def reactivate(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, sessions.reactivate_user, _("The user may sign in again."))

    @action(
        description=_("End all sessions"),
        icon="logout",
        permissions=["end_sessions"],
        dialog=ask_reason(_("Sign this user out everywhere?"), "", _("Sign out")),
    )
    def end_sessions(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, _end_sessions, _("The user is signed out everywhere."))

    @action(
        description=_("Take address as proved"),
        icon="mark_email_read",
        permissions=["verify_email"],
        dialog=ask_reason(_("Take this user's address as proved?"), "", _("Take as proved")),
    )
    def verify_email(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, _verify_email, _("The address counts as proved."))

    @action(
        description=_("Cancel deletion"),
        icon="undo",
        permissions=["suspend"],
        dialog=ask_reason(_("Keep this account?"), _("Its owner asked for it to be deleted."), _("Keep it")),
    )
    def cancel_erasure(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return _run(request, object_id, form, erasures.cancel_by_staff, _("The account stays."))

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        lost_role = {"is_staff", "is_superuser"} & set(form.changed_data)
        if change and lost_role:
            sessions.end_all_sessions(user_id=obj.pk)

    @transaction.atomic
    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Roles are saved after the user; whoever's rights change signs in anew, sockets included."""
        before = _rights_of(form.instance)
        super().save_related(request, form, formsets, change)
        after = _rights_of(form.instance)
        if before == after:
            return
        audit.record_staff_action(
            actor_id=request.user.pk,
            action="change_roles",
            target=form.instance,
            details={"before": sorted(before), "after": sorted(after)},
        )
        sessions.end_all_sessions(user_id=form.instance.pk)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        user = _find(id)
        is_changed = request.method == "POST" and response.status_code == 302
        if is_changed and user is not None:
            own = (request.session.session_key or "") if user.pk == request.user.pk else ""
            sessions.end_other_sessions(user_id=user.pk, session_key=own)
        return response


def _rights_of(user: User) -> set[str]:
    groups = {f"role {name}" for name in user.groups.values_list("name", flat=True)}
    own = user.user_permissions.values_list("content_type__app_label", "codename")
    return groups | {f"{app}.{codename}" for app, codename in own}


def may_act_on(request: HttpRequest, user: User | None) -> bool:
    """Staff accounts are the superusers' business, or anybody with one right could take over them all."""
    return user is None or request.user.is_superuser or not (user.is_staff or user.is_superuser)


def _find(object_id: Any) -> User | None:
    user_id = parse_uuid(object_id)
    return User.objects.filter(id=user_id).first() if user_id else None


def _run(
    request: HttpRequest, object_id: str, form: ReasonForm, service: Callable[..., None], done: Any
) -> HttpResponse:
    url = reverse("admin:accounts_user_change", args=[object_id])
    try:
        service(user_id=parse_uuid(object_id), actor_id=request.user.pk, reason=form.cleaned_data["reason"])
    except DomainError as error:
        return finish(request, url, error=error)
    return finish(request, url, done=done)


@transaction.atomic
def _end_sessions(*, user_id: UUID, actor_id: UUID, reason: str) -> None:
    sessions.end_all_sessions(user_id=user_id)
    _record(user_id, actor_id, "end_sessions", reason)


@transaction.atomic
def _verify_email(*, user_id: UUID, actor_id: UUID, reason: str) -> None:
    emails.mark_email_verified(user_id=user_id)
    _record(user_id, actor_id, "verify_email", reason)


def _record(user_id: UUID, actor_id: UUID, name: str, reason: str) -> None:
    audit.record_staff_action(
        actor_id=actor_id, action=name, target=User.objects.get(id=user_id), reason=reason
    )
