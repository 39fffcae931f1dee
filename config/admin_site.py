"""The admin's door: staff come in like everybody else, and with a second factor."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

from accounts.models import User
from accounts.selectors import has_second_factor
from accounts.staff_writes import recording
from config import dashboard


class AdminSite(UnfoldAdminSite):
    def register(
        self, model_or_iterable: Any, admin_class: type[ModelAdmin] | None = None, **options: Any
    ) -> None:
        """Nothing is written here without a record, by whichever app's pages."""
        super().register(model_or_iterable, recording(admin_class or ModelAdmin), **options)

    def get_urls(self) -> list[Any]:
        return [path("money/", self.admin_view(self.money), name="money"), *super().get_urls()]

    def money(self, request: HttpRequest) -> HttpResponse:
        """Whether it earns."""
        if not request.user.has_perm("billing.view_payment"):
            raise PermissionDenied
        context = {**self.each_context(request), **dashboard.money()}
        return TemplateResponse(request, "admin/money.html", context)

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not _lacks_factor(request.user)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One way to sign in for all: the same limits, second factors and list of devices."""
        here = request.GET.get("next") or resolve_url("admin:index")
        if self.has_permission(request):
            return redirect("admin:index")
        if _lacks_factor(request.user):
            messages.error(
                request, _("Staff need a passkey or an authenticator app. Add one, then come back.")
            )
            return redirect("mfa_index")
        if request.user.is_authenticated:
            return redirect("personas:home")
        return redirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': here})}")


def _lacks_factor(user: Any) -> bool:
    is_staff = isinstance(user, User) and user.is_active and user.is_staff
    return settings.ACCOUNTS_STAFF_MFA_REQUIRED and is_staff and not has_second_factor(user.id)
