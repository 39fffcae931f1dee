"""What the templates of chats are given."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.selectors import has_verified_email
from ai.errors import ModelUnavailable
from ai.models import AIModel
from ai.selectors import choose_model, is_demo_model
from billing.selectors import get_wallet
from billing.templatetags.money import short_credits
from chat import selectors
from chat.models import ChatSession, Message
from chat.words import page_words
from common.errors import DomainError
from common.http import user_id
from common.ids import parse_uuid

MESSAGES_SHOWN = 30
SESSIONS_SHOWN = 40
_NO_ID = UUID(int=0)
# Asked for together with the page, so that they don't wait for one another.
_MODULES = [
    f"js/chat/{name}.js"
    for name in (
        *("actions", "announcer", "api", "composer", "connection", "fallback", "inline", "live_markdown"),
        *("main", "outbox", "page", "replies", "scroll", "sending", "sessions", "sheets", "stored", "thread"),
    )
]

Context = dict[str, Any]


def is_fragment(request: HttpRequest) -> bool:
    """Whether a script of ours asks, which wants the changed part of the page alone."""
    return request.headers.get("X-Fragment") == "1"


def list_context(request: HttpRequest) -> Context:
    """The list of chats as the address asks for it; `open` is the chat one looks at."""
    query = request.GET.get("q", "").strip()
    is_archived = request.GET.get("archived") == "1"
    found = selectors.list_sessions(user_id(request), is_archived=is_archived, query=query)
    page = selectors.page_sessions(found, cursor=request.GET.get("cursor", ""), limit=SESSIONS_SHOWN)
    return {
        "sessions": page.sessions,
        "next_cursor": page.next,
        "query": query,
        "is_archived": is_archived,
        "open_id": parse_uuid(request.GET.get("open")),
    }


def thread_context(session: ChatSession, start: UUID | None = None) -> Context:
    """A page of the branch, oldest first, that ends in `start` or where the conversation is now."""
    page = selectors.list_branch(session, start=start, limit=MESSAGES_SHOWN)
    rows = page.messages[::-1]
    return {"session": session, "rows": rows, "older_than": page.next}


def detail_context(
    request: HttpRequest, session: ChatSession, *, draft: str = "", refusal: DomainError | None = None
) -> Context:
    """The whole page of a chat; `refusal` says why the words in `draft` were not sent."""
    thread = thread_context(session)
    model = shown_model(session)
    wallet = get_wallet(user_id(request))
    running = selectors.live_generations(session.id).values_list("id", flat=True).first()
    return {
        **list_context(request),
        **thread,
        "open_id": session.id,
        "model": model,
        "is_demo": model is not None and is_demo_model(model.slug),
        "wallet": wallet,
        "header_credits": short_credits(wallet.available),
        "has_verified_email": has_verified_email(user_id(request)),
        "running": running,
        "last_id": thread["rows"][-1].message.id if thread["rows"] else None,
        "is_unanswered": running is None and _is_unanswered(thread["rows"]),
        "send_key": uuid4().hex,
        "draft": draft,
        "refusal": refusal,
        "blank_rows": [_blank(session, role) for role in (Message.Role.USER, Message.Role.ASSISTANT)],
        "modules": _MODULES,
        "page": _page_facts(request, session, running),
        "words": page_words(session.persona.name),
        "max_characters": settings.CHAT_MAX_MESSAGE_CHARACTERS,
    }


def shown_model(session: ChatSession) -> AIModel | None:
    try:
        return choose_model(session.persona.model)
    except ModelUnavailable:
        return None


def _page_facts(request: HttpRequest, session: ChatSession, running: UUID | None) -> Mapping[str, Any]:
    """What the scripts need to know; the blank id stands in the templates they fill in."""
    return {
        "user": str(user_id(request)),
        "session": str(session.id),
        "running": str(running) if running else None,
        "messageCount": session.message_count,
        "lastMessageAt": session.last_message_at,
        "blank": str(_NO_ID),
        "maxCharacters": settings.CHAT_MAX_MESSAGE_CHARACTERS,
        "chats": reverse("chat:session-list"),
        "thread": reverse("chat:session-thread", args=[session.id]),
    }


def _is_unanswered(rows: list[selectors.BranchMessage]) -> bool:
    return bool(rows) and rows[-1].message.role == Message.Role.USER


def _blank(session: ChatSession, role: Message.Role) -> selectors.BranchMessage:
    """A message of nobody, from which the scripts make those that arrive while the page is open."""
    message = Message(
        id=_NO_ID,
        parent_id=_NO_ID,
        session=session,
        role=role,
        status=Message.Status.PENDING if role == Message.Role.ASSISTANT else Message.Status.COMPLETE,
        created_at=timezone.now(),
    )
    return selectors.BranchMessage(message, selectors.ONLY_VARIANT)
