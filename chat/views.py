"""The pages of chats. Every action is a plain form; the scripts of the chat page do the same over the API."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages as notes
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.authentication import signed_in_user
from accounts.selectors import has_verified_email
from ai.selectors import get_model, is_demo_model
from billing.selectors import get_receipt, get_wallet
from chat import selectors
from chat.models import ChatSession, Generation, Message
from chat.services import export, messages, sessions, stopping
from common.errors import DomainError, NotFound
from common.ids import parse_uuid
from personas.selectors import get_visible_persona_by_slug

MESSAGES_SHOWN = 30
SESSIONS_SHOWN = 40
_CHANGES = {
    "pin": {"is_pinned": True},
    "unpin": {"is_pinned": False},
    "archive": {"is_archived": True},
    "unarchive": {"is_archived": False},
}


@require_POST
@login_required
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin a chat with a persona."""
    persona = get_visible_persona_by_slug(_user_id(request), slug)
    session = sessions.create_session(user_id=_user_id(request), persona_id=persona.id)
    return redirect("chat:session-detail", session.id)


@require_safe
@login_required
def session_list(request: HttpRequest) -> HttpResponse:
    """All chats, or those in which the words of `q` occur; htmx gets the list alone."""
    context = {**_list_context(request), "deleted": _just_deleted(request)}
    is_partial = bool(getattr(request, "htmx", False))
    response = render(request, "chat/_sessions.html" if is_partial else "chat/session_list.html", context)
    response.headers["Vary"] = "HX-Request"
    return response


@require_safe
@login_required
def session_detail(request: HttpRequest, session_id: UUID) -> HttpResponse:
    session = selectors.get_session(_user_id(request), session_id)
    model = get_model(session.persona.model or None)
    context = {
        **_list_context(request),
        **_thread_context(session, None),
        "session": session,
        "is_demo": is_demo_model(model.slug),
        "model": model,
        "wallet": get_wallet(_user_id(request)),
        "has_verified_email": has_verified_email(_user_id(request)),
        "running": selectors.live_generations(session.id).values_list("id", flat=True).first(),
        "send_key": uuid4().hex,
        "draft": request.session.pop(_draft_key(session.id), ""),
    }
    return render(request, "chat/session_detail.html", context)


@require_safe
@login_required
def older_messages(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """The part of the branch that ends in `?start=`, for reading further up."""
    session = selectors.get_session(_user_id(request), session_id)
    start = parse_uuid(request.GET.get("start"))
    if start is None:
        raise Http404
    context = {"session": session, **_thread_context(session, start)}
    return render(request, "chat/_messages.html", context)


@require_safe
@login_required
def message_partial(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """One message as it stands now."""
    message = selectors.get_message(_user_id(request), message_id)
    row = selectors.BranchMessage(message, selectors.get_variant(message))
    context = {"row": row, "session": selectors.get_session(_user_id(request), message.session_id)}
    return render(request, "chat/_message.html", context)


@require_safe
@login_required
def message_receipt(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """What a reply cost, and what filled the model's window."""
    message = selectors.get_message(_user_id(request), message_id)
    generation = Generation.objects.filter(reply=message).order_by("-created_at").first()
    if generation is None:
        raise Http404
    context = {
        "message": message,
        "generation": generation,
        "parts": sorted(generation.receipt.get("parts", {}).items()),
        "money": get_receipt(generation.hold_id) if generation.hold_id else None,
    }
    return render(request, "chat/_receipt.html", context)


@require_POST
@login_required
def message_send(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Without a script: the message is stored, and the reply is there when the page is loaded again."""
    session = selectors.get_session(_user_id(request), session_id)
    content = request.POST.get("content", "")
    try:
        messages.send_message(
            user_id=_user_id(request),
            session_id=session.id,
            content=content,
            client_id=_client_id(request),
        )
    except NotFound:
        raise
    except DomainError as error:
        notes.error(request, str(error.detail))
        request.session[_draft_key(session.id)] = content[:20_000]
    return redirect("chat:session-detail", session.id)


@require_POST
@login_required
def message_act(request: HttpRequest, message_id: UUID, action: str) -> HttpResponse:
    """`regenerate`, `continue`, `edit`, `select`, `delete`, `up`, `down` or `none`."""
    message = selectors.get_message(_user_id(request), message_id)
    act = _ACTS.get(action)
    if act is None:
        raise Http404
    try:
        act(request, {"user_id": _user_id(request), "message_id": message.id})
    except NotFound:
        raise
    except DomainError as error:
        notes.error(request, str(error.detail))
    return redirect("chat:session-detail", message.session_id)


@require_POST
@login_required
def generation_stop(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Stop whatever is being written in the chat."""
    session = selectors.get_session(_user_id(request), session_id)
    for generation_id in selectors.live_generations(session.id).values_list("id", flat=True):
        stopping.stop_generation(user_id=_user_id(request), generation_id=generation_id)
    return redirect("chat:session-detail", session.id)


@require_POST
@login_required
def session_change(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Rename, pin, unpin, archive or bring back."""
    action = request.POST.get("action", "")
    changes: dict[str, Any] = dict(_CHANGES.get(action, {}))
    if action == "rename":
        changes = {"title": request.POST.get("title", "")}
    elif not changes:
        raise Http404
    try:
        sessions.update_session(user_id=_user_id(request), session_id=session_id, **changes)
    except NotFound:
        raise
    except DomainError as error:
        notes.error(request, str(error.detail))
    if action == "archive":
        return redirect("chat:session-list")
    return redirect("chat:session-detail", session_id)


@require_POST
@login_required
def session_delete(request: HttpRequest, session_id: UUID) -> HttpResponse:
    sessions.delete_session(user_id=_user_id(request), session_id=session_id)
    target = redirect("chat:session-list")
    target["Location"] += "?" + urlencode({"deleted": str(session_id)})
    return target


@require_POST
@login_required
def session_restore(request: HttpRequest, session_id: UUID) -> HttpResponse:
    session = sessions.restore_session(user_id=_user_id(request), session_id=session_id)
    notes.success(request, _("The chat is back."))
    return redirect("chat:session-detail", session.id)


@require_safe
@login_required
def session_export(request: HttpRequest, session_id: UUID, file_format: str) -> HttpResponse:
    file = export.export_session(user_id=_user_id(request), session_id=session_id, file_format=file_format)
    headers = {"Content-Disposition": file.disposition}
    return HttpResponse(file.data, content_type=file.content_type, headers=headers)


def _client_id(request: HttpRequest) -> str:
    return request.POST.get("client_id") or uuid4().hex


_ACTS: dict[str, Callable[[HttpRequest, dict[str, Any]], Any]] = {
    "regenerate": lambda request, who: messages.regenerate_reply(**who, client_id=_client_id(request)),
    "continue": lambda request, who: messages.continue_reply(**who, client_id=_client_id(request)),
    "edit": lambda request, who: messages.edit_message(
        **who, client_id=_client_id(request), content=request.POST.get("content")
    ),
    "select": lambda request, who: messages.select_branch(**who),
    "delete": lambda request, who: messages.delete_message(**who),
    "up": lambda request, who: messages.rate_message(**who, rating="up"),
    "down": lambda request, who: messages.rate_message(**who, rating="down"),
    "none": lambda request, who: messages.rate_message(**who, rating="none"),
}


def _user_id(request: HttpRequest) -> UUID:
    return signed_in_user(request).pk


def _list_context(request: HttpRequest) -> dict[str, Any]:
    query = request.GET.get("q", "").strip()
    is_archived = request.GET.get("archived") == "1"
    found = selectors.list_sessions(_user_id(request), is_archived=is_archived, query=query)
    page = selectors.page_sessions(found, cursor=request.GET.get("cursor", ""), limit=SESSIONS_SHOWN)
    return {"sessions": page.sessions, "next_cursor": page.next, "query": query, "is_archived": is_archived}


def _thread_context(session: ChatSession, start: UUID | None) -> dict[str, Any]:
    page = selectors.list_branch(session, start=start, limit=MESSAGES_SHOWN)
    rows = page.messages[::-1]
    return {"rows": rows, "older_than": page.next, "is_last_open": bool(rows) and _is_open(rows[-1].message)}


def _is_open(message: Message) -> bool:
    """Whether the branch ends in words of the user's that got no reply."""
    return message.role == Message.Role.USER


def _just_deleted(request: HttpRequest) -> UUID | None:
    session_id = parse_uuid(request.GET.get("deleted"))
    if session_id is None:
        return None
    deleted = ChatSession.objects.filter(id=session_id, user_id=_user_id(request), deleted_at__isnull=False)
    return session_id if deleted.exists() else None


def _draft_key(session_id: UUID) -> str:
    return f"draft-{session_id}"
