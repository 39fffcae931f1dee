"""The lorebook of a persona as its owner edits it: a list of entries, one form at a time."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.authentication import signed_in_user
from common.errors import DomainError, NotFound
from personas import lore, selectors
from personas.forms import LoreEntryForm
from personas.models import Persona
from personas.services import lorebooks


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def lorebook(request: HttpRequest, slug: str) -> HttpResponse:
    """All entries, and a form for one more."""
    persona = selectors.get_own_persona_by_slug(signed_in_user(request).pk, slug)
    return _edit(request, persona, None, LoreEntryForm(request.POST or None))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def lore_entry(request: HttpRequest, slug: str, index: int) -> HttpResponse:
    persona = selectors.get_own_persona_by_slug(signed_in_user(request).pk, slug)
    entries = _entries(persona)
    if index >= len(entries):
        raise Http404
    return _edit(
        request, persona, index, LoreEntryForm(request.POST or None, initial=_initial_of(entries[index]))
    )


@login_required
@require_POST
def lore_entry_delete(request: HttpRequest, slug: str, index: int) -> HttpResponse:
    persona = selectors.get_own_persona_by_slug(signed_in_user(request).pk, slug)
    lorebooks.delete_entry(user_id=persona.owner_id, persona_id=persona.pk, index=index)
    messages.success(request, _("The entry is deleted."))
    return redirect("personas:lorebook", slug)


def _edit(request: HttpRequest, persona: Persona, index: int | None, form: LoreEntryForm) -> HttpResponse:
    if request.method == "POST" and form.is_valid() and _save(persona, index, form):
        messages.success(request, _("Saved."))
        return redirect("personas:lorebook", persona.slug)
    context = {"persona": persona, "entries": _shown(_entries(persona)), "index": index, "form": form}
    return render(request, "personas/lorebook.html", context, status=422 if form.errors else 200)


def _save(persona: Persona, index: int | None, form: LoreEntryForm) -> bool:
    try:
        lorebooks.save_entry(
            user_id=persona.owner_id, persona_id=persona.pk, index=index, entry=form.cleaned_data
        )
    except NotFound:
        raise
    except DomainError as error:
        form.add_domain_error(error)
        return False
    return True


def _entries(persona: Persona) -> list[dict[str, Any]]:
    return persona.lorebook["entries"] if persona.lorebook else []


def _shown(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**entry, "has_patterns": any(lore.is_pattern(entry, key) for key in entry["keys"])}
        for entry in entries
    ]


def _initial_of(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": entry.get("name") or entry.get("comment") or "",
        "keys": ", ".join(entry["keys"]),
        "content": entry["content"],
        "constant": entry.get("constant") is True,
        "enabled": entry["enabled"],
    }
