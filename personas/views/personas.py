"""The pages of personas.

What templates get: `persona` is a Persona as `QuerySet.as_cards` gives it (with `is_liked`, `is_favorite`,
`avatar_url`, `card_image_url`, `portrait_url`, `owner`, `category`, `likes_count`, `chats_count`).
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from csp.constants import NONE
from csp.decorators import csp
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.authentication import signed_in_user
from ai.tokens import estimate_tokens
from billing import selectors as billing
from common.errors import DomainError, NotFound, PayloadTooLarge
from common.ids import parse_uuid
from personas import monograms, rails, selectors
from personas.cards.limits import MAX_FILE_BYTES
from personas.forms import CardImportForm, PersonaForm, SearchForm
from personas.macros import fill_in
from personas.models import LONG_TEXTS, Persona, PersonaQuerySet
from personas.services import cards, marks, personas, portraits

PAGE_SIZE = 24
LAST_PAGE = 50
_SORTS = {"trending": "trending_score", "top": "likes_count", "new": "published_at"}
# The preview of a persona that has no id yet always draws the same picture.
_PREVIEW_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Page:
    personas: list[Persona]
    number: int
    # Query string of the page after this one; empty on the last.
    next_query: str


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Discover: rails while nothing is searched for, and the grid of all that fits the filters.

    htmx gets the grid alone.
    """
    categories = list(selectors.list_categories())
    form = SearchForm(request.GET, categories)
    chosen = form.chosen()
    is_filtered = chosen != selectors.PersonaFilter()
    found = selectors.list_public_personas(_user(request), chosen)
    page = _page(request, _ordered(found, form.cleaned_data.get("sort", ""), has_words=bool(chosen.query)))
    is_partial = bool(getattr(request, "htmx", False)) and not request.htmx.boosted  # type: ignore[attr-defined]
    context = {
        "form": form,
        "chosen": chosen,
        "categories": categories,
        "is_filtered": is_filtered,
        "page": page,
        "rails": [] if is_partial or is_filtered or page.number > 1 else rails.rails_for(request.user),
    }
    response = render(request, "personas/_results.html" if is_partial else "personas/home.html", context)
    # The same address answers htmx with less, so a cache has to keep the two apart.
    response.headers["Vary"] = "HX-Request"
    return response


@require_safe
def persona_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """`greetings` and `about` have the names in the places of `{{char}}` and `{{user}}`."""
    persona = selectors.get_visible_persona_by_slug(request.user.pk, slug)
    source = persona.cloned_from
    context = {
        "persona": persona,
        "greetings": _spoken(request, persona, persona.greeting, *persona.alternate_greetings),
        "about": _spoken(request, persona, persona.description)[0],
        "is_owner": persona.owner_id == request.user.pk,
        "may_copy": request.user.pk is not None and personas.may_take_definition(request.user.pk, persona),
        "cloned_from": source if source and source.is_listed else None,
    }
    return render(request, "personas/persona_detail.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def persona_create(request: HttpRequest) -> HttpResponse:
    form = PersonaForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        persona = _create(request, form)
        if persona is not None:
            messages.success(request, _("%(name)s is ready to talk.") % {"name": persona.name})
            return redirect(persona)
    context = {"form": form, "persona": None, "tokens": _token_counts(form), **_room(request)}
    return render(request, "personas/persona_form.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def persona_edit(request: HttpRequest, slug: str) -> HttpResponse:
    persona = selectors.get_own_persona_by_slug(signed_in_user(request).pk, slug)
    form = PersonaForm(request.POST or None, request.FILES or None, persona=persona)
    if request.method == "POST" and form.is_valid() and _update(request, form, persona):
        messages.success(request, _("Saved."))
        return redirect(
            "personas:persona-edit" if "stay" in request.POST else "personas:persona-detail", slug
        )
    context = {"form": form, "persona": persona, "tokens": _token_counts(form)}
    return render(request, "personas/persona_form.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def persona_preview(request: HttpRequest) -> HttpResponse:
    """The card as it would look, and what each field weighs; for htmx while somebody types."""
    form = PersonaForm(request.POST)
    form.is_valid()
    cleaned = form.cleaned_data
    shown = selectors.find_own_persona_by_slug(signed_in_user(request).pk, request.POST.get("slug", ""))
    persona = Persona(
        id=shown.pk if shown else _PREVIEW_ID,
        name=cleaned.get("name") or _("Somebody new"),
        owner=signed_in_user(request),
        tagline=cleaned.get("tagline", ""),
        tags=cleaned.get("tags", []),
    )
    if shown and not cleaned.get("remove_portrait"):
        persona.avatar_key, persona.card_image_key = shown.avatar_key, shown.card_image_key
    persona.greeting = _spoken(request, persona, cleaned.get("greeting", ""))[0]
    return render(request, "personas/_preview.html", {"persona": persona, "tokens": _token_counts(form)})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def persona_import(request: HttpRequest) -> HttpResponse:
    form = CardImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            persona = cards.import_card(
                owner_id=signed_in_user(request).pk, data=_read(form.cleaned_data["file"])
            )
        except DomainError as error:
            form.add_error("file", str(error.detail))
        else:
            messages.success(request, _("%(name)s has moved in.") % {"name": persona.name})
            return redirect(persona)
    context = {"form": form, **_room(request)}
    return render(request, "personas/persona_import.html", context, status=422 if form.errors else 200)


@login_required
@require_safe
def persona_list(request: HttpRequest) -> HttpResponse:
    """The user's own personas and the ones they keep as favourites."""
    own = selectors.list_own_personas(signed_in_user(request).pk, selectors.PersonaFilter()).order_by(
        "-created_at", "-id"
    )
    context = {
        "page": _page(request, own),
        "favorites": selectors.list_favorite_personas(signed_in_user(request))[:PAGE_SIZE],
        "deleted": _just_deleted(request),
        **_room(request),
    }
    return render(request, "personas/persona_list.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def persona_delete(request: HttpRequest, slug: str) -> HttpResponse:
    persona = selectors.get_own_persona_by_slug(signed_in_user(request).pk, slug)
    if request.method == "POST":
        personas.delete_persona(user_id=signed_in_user(request).pk, persona_id=persona.pk)
        target = redirect("personas:persona-list")
        target["Location"] += "?" + urlencode({"deleted": str(persona.pk)})
        return target
    return render(request, "personas/persona_confirm_delete.html", {"persona": persona})


@login_required
@require_POST
def persona_restore(request: HttpRequest, slug: str) -> HttpResponse:
    deleted = selectors.get_deleted_persona_by_slug(signed_in_user(request).pk, slug)
    persona = personas.restore_persona(user_id=signed_in_user(request).pk, persona_id=deleted.pk)
    messages.success(request, _("%(name)s is back.") % {"name": persona.name})
    return redirect("personas:persona-list")


@login_required
@require_POST
def persona_clone(request: HttpRequest, slug: str) -> HttpResponse:
    original = selectors.get_visible_persona_by_slug(signed_in_user(request).pk, slug)
    copy = personas.clone_persona(user_id=signed_in_user(request).pk, persona_id=original.pk)
    messages.success(request, _("This copy of %(name)s is yours alone.") % {"name": copy.name})
    return redirect("personas:persona-edit", copy.slug)


@login_required
@require_safe
def persona_export(request: HttpRequest, slug: str, file_format: str) -> HttpResponse:
    persona = selectors.get_visible_persona_by_slug(signed_in_user(request).pk, slug)
    spec = request.GET.get("spec", "v3")
    if file_format not in ("json", "png") or spec not in ("v1", "v2", "v3"):
        raise Http404
    file = cards.export_card(
        user_id=signed_in_user(request).pk,
        persona_id=persona.pk,
        file_format=file_format,  # type: ignore[arg-type]
        spec=spec,  # type: ignore[arg-type]
    )
    disposition = f'attachment; filename="{file.name}"'
    return HttpResponse(
        file.data, content_type=file.content_type, headers={"Content-Disposition": disposition}
    )


@login_required
@require_POST
def persona_like(request: HttpRequest, slug: str) -> HttpResponse:
    """`wanted` is 1 or 0; htmx gets the button alone."""
    persona = selectors.get_visible_persona_by_slug(signed_in_user(request).pk, slug)
    change = marks.like_persona if request.POST.get("wanted") == "1" else marks.unlike_persona
    change(user_id=signed_in_user(request).pk, persona_id=persona.pk)
    return _marked(request, slug, "personas/_like.html")


@login_required
@require_POST
def persona_favorite(request: HttpRequest, slug: str) -> HttpResponse:
    """As persona_like."""
    persona = selectors.get_visible_persona_by_slug(signed_in_user(request).pk, slug)
    change = marks.add_favorite if request.POST.get("wanted") == "1" else marks.remove_favorite
    change(user_id=signed_in_user(request).pk, persona_id=persona.pk)
    return _marked(request, slug, "personas/_favorite.html")


@require_safe
@csp({"default-src": [NONE]})  # type: ignore[arg-type]
def monogram(request: HttpRequest, code: str, size: str) -> HttpResponse:
    """The drawn picture of a persona that has none; the address says all there is to it."""
    picture = monograms.draw_monogram(code, size)
    if picture is None:
        raise Http404
    response = HttpResponse(picture, content_type="image/webp")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _user(request: HttpRequest) -> Any:
    return request.user if request.user.is_authenticated else None


def _spoken(request: HttpRequest, persona: Persona, *texts: str) -> list[str]:
    user = request.user.display_name if request.user.is_authenticated else _("you")
    return [fill_in(text, char=persona.name, user=user) for text in texts]


def _ordered(found: PersonaQuerySet, sort: str, *, has_words: bool) -> PersonaQuerySet:
    field = _SORTS.get(sort) or ("relevance" if has_words else "trending_score")
    return found.order_by(f"-{field}", "-id")


def _page(request: HttpRequest, found: PersonaQuerySet) -> Page:
    asked = request.GET.get("page", "1")
    number = min(int(asked), LAST_PAGE) if asked.isascii() and asked.isdigit() and int(asked) else 1
    start = (number - 1) * PAGE_SIZE
    rows = list(found[start : start + PAGE_SIZE + 1])
    query = request.GET.copy()
    query["page"] = str(number + 1)
    has_next = len(rows) > PAGE_SIZE and number < LAST_PAGE
    return Page(rows[:PAGE_SIZE], number, f"?{query.urlencode()}" if has_next else "")


def _create(request: HttpRequest, form: PersonaForm) -> Persona | None:
    portrait = form.cleaned_data["portrait"]
    try:
        return personas.create_persona(
            owner_id=signed_in_user(request).pk,
            portrait=_read(portrait) if portrait else None,
            **form.persona_fields(only_changed=False),
        )
    except DomainError as error:
        form.add_domain_error(error)
        return None


def _update(request: HttpRequest, form: PersonaForm, persona: Persona) -> bool:
    who = {"user_id": signed_in_user(request).pk, "persona_id": persona.pk}
    portrait = form.cleaned_data["portrait"]
    try:
        personas.update_persona(**who, changes=form.persona_fields(only_changed=True))
        if portrait:
            portraits.set_portrait(**who, data=_read(portrait))
        elif form.cleaned_data["remove_portrait"]:
            portraits.remove_portrait(**who)
    except NotFound:
        raise
    except DomainError as error:
        form.add_domain_error(error)
        return False
    return True


def _read(file: Any) -> bytes:
    if file.size > MAX_FILE_BYTES:
        raise PayloadTooLarge(_("A file may have at most 10 MB."))
    return bytes(file.read())


def _token_counts(form: PersonaForm) -> dict[str, int]:
    """Tokens by field, and `total`, as the form stands now."""
    counts = {name: estimate_tokens(str(form[name].value() or "")) for name in LONG_TEXTS}
    return {**counts, "total": sum(counts.values())}


def _room(request: HttpRequest) -> dict[str, Any]:
    return {
        "limit": billing.get_tier(signed_in_user(request).pk).persona_limit,
        "used": selectors.count_own_personas(signed_in_user(request).pk),
    }


def _just_deleted(request: HttpRequest) -> Persona | None:
    persona_id = parse_uuid(request.GET.get("deleted"))
    return selectors.find_deleted_persona(signed_in_user(request).pk, persona_id) if persona_id else None


def _marked(request: HttpRequest, slug: str, template: str) -> HttpResponse:
    if getattr(request, "htmx", False):
        persona = selectors.get_visible_persona_by_slug(request.user.pk, slug)
        return render(request, template, {"persona": persona})
    return redirect("personas:persona-detail", slug)
