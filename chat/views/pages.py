"""Looking at chats."""

from typing import Any
from uuid import UUID

from csp.decorators import csp_update
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from billing.selectors import get_receipt
from chat import selectors
from chat.services import export, sessions
from chat.views.context import detail_context, is_fragment, list_context, thread_context
from chat.words import page_words
from common.http import user_id
from common.ids import parse_uuid
from personas.selectors import get_visible_persona_by_slug

# Scripts of these pages turn text into HTML in one named place only; the browser holds them to it.
only_trusted_html: Any = csp_update(
    {"require-trusted-types-for": ["'script'"], "trusted-types": ["parlor-fragment"]}
)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Go on with the latest chat with a persona, or begin one; with `new` always begin one.

    Looking at the address (after signing in one is led back here) begins nothing.
    """
    persona = get_visible_persona_by_slug(user_id(request), slug)
    session = None
    if "new" not in request.POST:
        session = selectors.find_latest_session(user_id(request), persona.id)
    if session is None and request.method == "POST":
        session = sessions.create_session(user_id=user_id(request), persona_id=persona.id)
    if session is None:
        return redirect("personas:persona-detail", persona.slug)
    return redirect("chat:session-detail", session.id)


@require_safe
@only_trusted_html
@login_required
def session_list(request: HttpRequest) -> HttpResponse:
    """All chats, or those in which the words of `q` occur."""
    context = {**list_context(request), "words": page_words("")}
    if is_fragment(request):
        return render(request, "chat/_sessions.html", context)
    deleted_id = parse_uuid(request.GET.get("deleted"))
    if deleted_id is not None:
        context["deleted"] = selectors.find_deleted_session(user_id(request), deleted_id)
    return render(request, "chat/session_list.html", context)


@require_safe
@only_trusted_html
@login_required
def session_detail(request: HttpRequest, session_id: UUID) -> HttpResponse:
    session = selectors.get_session(user_id(request), session_id)
    return render(request, "chat/session_detail.html", detail_context(request, session))


@require_safe
@login_required
def thread(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """The newest part of the conversation, for a script whose page has fallen behind."""
    session = selectors.get_session(user_id(request), session_id)
    return render(request, "chat/_messages.html", thread_context(session))


@require_safe
@only_trusted_html
@login_required
def older_messages(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """The part of the branch that ends in `?start=`, for reading further up."""
    session = selectors.get_session(user_id(request), session_id)
    start_id = parse_uuid(request.GET.get("start"))
    if start_id is None:
        raise Http404
    context = thread_context(session, start_id)
    return render(request, "chat/_messages.html" if is_fragment(request) else "chat/older.html", context)


@require_safe
@login_required
def message_partial(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """A message as it stands now, with the one it answers and its chat's line in the list."""
    message = selectors.get_message(user_id(request), message_id)
    session = selectors.get_session(user_id(request), message.session_id)
    page = selectors.list_branch(session, start=message.id, limit=2)
    rows = [row for row in page.messages[::-1] if row.message.id == message.id or row.message.role == "user"]
    return render(request, "chat/_exchange.html", {"rows": rows, "session": session, "open_id": session.id})


@require_safe
@login_required
def message_receipt(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """What a reply cost, and what filled the model's window."""
    generation = selectors.get_last_generation(user_id(request), message_id)
    parts = [(name, tokens) for name, tokens in generation.receipt.get("parts", {}).items() if tokens]
    context = {
        "generation": generation,
        "parts": parts,
        "total": sum(tokens for _name, tokens in parts),
        "money": get_receipt(generation.hold_id) if generation.hold_id else None,
    }
    return render(request, "chat/_receipt.html" if is_fragment(request) else "chat/receipt.html", context)


@require_safe
@login_required
def session_export(request: HttpRequest, session_id: UUID, file_format: str) -> HttpResponse:
    file = export.export_session(user_id=user_id(request), session_id=session_id, file_format=file_format)
    headers = {"Content-Disposition": file.disposition}
    return HttpResponse(file.data, content_type=file.content_type, headers=headers)
