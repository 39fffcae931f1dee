"""How tables of money are shown: read-only, found by what an index can answer, never counted whole."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from accounts.dialogs import finish
from billing.money import format_money
from common.admin_tables import ReadOnlyAdmin
from common.errors import DomainError
from common.ids import parse_uuid


class SearchedByKey(ReadOnlyAdmin):
    """Search that an index can answer: an id, an address, or a reference as it is written."""

    search_fields = ["pk"]
    search_help_text = _("An id, somebody's email address, or an exact reference")
    owner = "wallet"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            return queryset.filter(**{f"{self.owner}__user__email": term.lower()}), False
        identity = parse_uuid(term)
        if identity is not None:
            return queryset.filter(models.Q(pk=identity) | models.Q(**{f"{self.owner}_id": identity})), False
        return queryset.filter(reference=term), False


class SearchedAtStore(ReadOnlyAdmin):
    """Found by our id, somebody's id or address, or an id at the store as it is written."""

    search_fields = ["pk"]
    search_help_text = _("An id of ours or of the store, or somebody's email address")
    # Whose it is; empty: nobody's.
    owner = "user"
    # What a store's id is looked for in.
    external: tuple[str, ...] = ("external_id",)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "\x00" in term:
            return queryset.none(), False
        if "@" in term and self.owner:
            return queryset.filter(**{f"{self.owner}__email": term.lower()}), False
        identity = parse_uuid(term)
        if identity is not None:
            return queryset.filter(self._with_id(identity)), False
        condition = models.Q(pk__in=[])
        for name in self.external:
            condition |= models.Q(**{name: term})
        return queryset.filter(condition), False

    def _with_id(self, identity: UUID) -> models.Q:
        condition = models.Q(pk=identity)
        return condition | models.Q(**{f"{self.owner}_id": identity}) if self.owner else condition


class ReadOnlyInline(TabularInline):
    """Rows shown below the one they belong to."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def money(amount: int, currency: str) -> str:
    return format_money(amount, currency)


def link(model: str, pk: object, text: object) -> str:
    """A link to a row's own page in the admin."""
    if pk is None:
        return "-"
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{model}_change", args=[pk]), text)


def row_id(object_id: str) -> UUID:
    identity = parse_uuid(object_id)
    if identity is None:
        raise Http404
    return identity


def done_at(model: str, request: HttpRequest, object_id: str, work: Callable[[], Any]) -> HttpResponse:
    """Carry out what a dialog asked for; `work` answers what to say. Errors are shown on the row's page."""
    url = reverse(f"admin:{model}_change", args=[object_id])
    try:
        said = work()
    except DomainError as error:
        return finish(request, url, error=error)
    return finish(request, url, done=said)
