"""How tables of money are shown: read-only, found by what an index can answer, never counted whole."""

from typing import Any

from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from common.admin_tables import ReadOnlyAdmin
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
