"""Saying something, and what can be done with what was said. Without a script the reply is there when the
page is loaded again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages as notes
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from chat import selectors
from chat.models import Message
from chat.services import messages, stopping
from chat.views.context import detail_context, is_fragment, thread_context
from chat.views.pages import only_trusted_html
from common.api.exceptions import problem_json
from common.errors import DomainError, NotFound
from common.http import user_id

# Pages that ask before something is done; the rest needs no question.
_ASKED_FIRST = ("edit", "delete")


@require_POST
@only_trusted_html
@login_required
def message_send(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Refused words stay in the box, beside the reason."""
    session = selectors.get_session(user_id(request), session_id)
    content = request.POST.get("content", "")
    try:
        messages.send_message(
            user_id=user_id(request),
            session_id=session.id,
            content=content.replace("\r\n", "\n"),
            client_id=_client_id(request),
        )
    except NotFound:
        raise
    except DomainError as error:
        context = detail_context(request, session, draft=content, refusal=error)
        return render(request, "chat/session_detail.html", context, status=error.status)
    return _to_end_of(session.id)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def message_act(request: HttpRequest, message_id: UUID, action: str) -> HttpResponse:
    """`regenerate`, `continue`, `edit`, `select`, `delete`, `up`, `down` or `none`."""
    message = selectors.get_message(user_id(request), message_id)
    act = _ACTS.get(action)
    if act is None or (request.method != "POST" and action not in _ASKED_FIRST):
        raise Http404
    if request.method != "POST":
        return _ask(request, message, action)
    try:
        act(request, {"user_id": user_id(request), "message_id": message.id})
    except NotFound:
        raise
    except DomainError as error:
        if is_fragment(request):
            return problem_json(error)
        notes.error(request, str(error.detail))
    if is_fragment(request):
        session = selectors.get_session(user_id(request), message.session_id)
        return render(request, "chat/_messages.html", thread_context(session))
    return _to_end_of(message.session_id)


@require_POST
@login_required
def generation_stop(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Stop whatever is being written in the chat."""
    session = selectors.get_session(user_id(request), session_id)
    for generation_id in selectors.live_generations(session.id).values_list("id", flat=True):
        stopping.stop_generation(user_id=user_id(request), generation_id=generation_id)
    return _to_end_of(session.id)


def _ask(request: HttpRequest, message: Message, action: str) -> HttpResponse:
    session = selectors.get_session(user_id(request), message.session_id)
    context = {"message": message, "session": session, "send_key": uuid4().hex}
    return render(request, f"chat/message_{action}.html", context)


def _edit(request: HttpRequest, who: dict[str, Any]) -> Any:
    content = request.POST.get("content", "").replace("\r\n", "\n")
    return messages.edit_message(**who, client_id=_client_id(request), content=content)


_ACTS: dict[str, Callable[[HttpRequest, dict[str, Any]], Any]] = {
    "regenerate": lambda request, who: messages.regenerate_reply(**who, client_id=_client_id(request)),
    "continue": lambda request, who: messages.continue_reply(**who, client_id=_client_id(request)),
    "edit": _edit,
    "select": lambda request, who: messages.select_branch(**who),
    "delete": lambda request, who: messages.delete_message(**who),
    "up": lambda request, who: messages.rate_message(**who, rating="up"),
    "down": lambda request, who: messages.rate_message(**who, rating="down"),
    "none": lambda request, who: messages.rate_message(**who, rating="none"),
}


def _client_id(request: HttpRequest) -> str:
    return request.POST.get("client_id") or uuid4().hex


def _to_end_of(session_id: UUID) -> HttpResponse:
    return HttpResponseRedirect(reverse("chat:session-detail", args=[session_id]) + "#end")
