"""Keeping chats in order."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages as notes
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from chat.services import sessions
from chat.views.context import is_fragment, list_context
from common.api.exceptions import problem_json
from common.errors import DomainError, NotFound
from common.http import user_id

_CHANGES: dict[str, dict[str, Any]] = {
    "pin": {"is_pinned": True},
    "unpin": {"is_pinned": False},
    "archive": {"is_archived": True},
    "unarchive": {"is_archived": False},
}


@require_POST
@login_required
def session_change(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """`action` is rename (with `title`), pin, unpin, archive or unarchive."""
    action = request.POST.get("action", "")
    changes = {"title": request.POST.get("title", "")} if action == "rename" else _CHANGES.get(action)
    if changes is None:
        raise Http404
    try:
        sessions.update_session(user_id=user_id(request), session_id=session_id, **changes)
    except NotFound:
        raise
    except DomainError as error:
        if is_fragment(request):
            return problem_json(error)
        notes.error(request, str(error.detail))
    if is_fragment(request):
        return _list(request)
    if action == "archive":
        return redirect("chat:session-list")
    return redirect("chat:session-detail", session_id)


@require_POST
@login_required
def session_delete(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """The list of chats then offers to bring it back."""
    sessions.delete_session(user_id=user_id(request), session_id=session_id)
    if is_fragment(request):
        return _list(request)
    address = reverse("chat:session-list") + "?" + urlencode({"deleted": str(session_id)})
    return HttpResponseRedirect(address)


@require_POST
@login_required
def session_restore(request: HttpRequest, session_id: UUID) -> HttpResponse:
    session = sessions.restore_session(user_id=user_id(request), session_id=session_id)
    if is_fragment(request):
        return _list(request)
    notes.success(request, _("The chat is back."))
    return redirect("chat:session-detail", session.id)


def _list(request: HttpRequest) -> HttpResponse:
    return render(request, "chat/_sessions.html", list_context(request))
