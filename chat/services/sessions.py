"""Chats: begun with a persona's greeting, named, pinned, put away, deleted and brought back."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from chat import selectors, titles
from chat.models import ChatSession, Message
from chat.services.generations import message_tokens
from chat.services.stopping import cancel_live_replies
from common import realtime
from common.errors import Invalid, NotFound
from common.ids import uuid7
from common.text import is_storable
from personas.macros import fill_in
from personas.models import Persona
from personas.selectors import get_visible_persona

MAX_GREETINGS = 10
MAX_TITLE = 120


def create_session(*, user_id: UUID, persona_id: UUID) -> ChatSession:
    """Begin a chat; the persona's greeting is its first message, other greetings are variants of it.

    Raises NotFound for a persona the user may not see, MaturePersona for one they may not talk with.
    """
    persona = get_visible_persona(user_id, persona_id)
    user = User.objects.only("display_name").get(id=user_id)
    session = ChatSession(user_id=user_id, persona=persona, title=persona.name[:MAX_TITLE])
    greetings = _greetings(session, persona, user.display_name)
    with transaction.atomic():
        session.save(force_insert=True)
        Message.objects.bulk_create(greetings)
        if greetings:
            session.active_leaf = greetings[0]
            session.message_count = 1
            session.last_message_preview = titles.preview_of(greetings[0].content)
            session.save(update_fields=["active_leaf", "message_count", "last_message_preview"])
    return session


def update_session(
    *,
    user_id: UUID,
    session_id: object,
    title: str | None = None,
    is_pinned: bool | None = None,
    is_archived: bool | None = None,
) -> ChatSession:
    """Change what is given and leave the rest. Raises NotFound and Invalid, and then changes nothing."""
    values: dict[str, Any] = {}
    if title is not None:
        values |= {"title": clean_title(title), "has_automatic_title": False}
    if is_pinned is not None:
        values["pinned_at"] = timezone.now() if is_pinned else None
    if is_archived is not None:
        values["archived_at"] = timezone.now() if is_archived else None
    return _change(user_id, session_id, **values)


def clean_title(title: str) -> str:
    title = " ".join(title.split())
    if not title:
        raise Invalid.field("title", "blank", _("Give the chat a name."))
    if not is_storable(title):
        raise Invalid.field("title", "invalid", _("The name holds characters that can't be stored."))
    if len(title) > MAX_TITLE:
        raise Invalid.field(
            "title", "too_long", _("A name has at most %(limit)d characters.") % {"limit": MAX_TITLE}
        )
    return title


def delete_session(*, user_id: UUID, session_id: object) -> None:
    """Hide the chat and end its running reply; it can be restored for some days, then it is erased."""
    session = _change(user_id, session_id, deleted_at=timezone.now())
    cancel_live_replies(session.id)
    realtime.publish(f"session.{session.id}", {"type": "session.deleted", "session": str(session.id)})


def restore_session(*, user_id: UUID, session_id: UUID) -> ChatSession:
    """Undo a deletion. Raises NotFound where there is nothing to restore."""
    restored = ChatSession.objects.filter(
        id=session_id, user_id=user_id, deleted_at__gte=timezone.now() - _keep_deleted()
    ).update(deleted_at=None, updated_at=timezone.now())
    if not restored:
        raise NotFound
    return selectors.get_session(user_id, session_id)


def erase_deleted_sessions(*, limit: int = 200) -> int:
    """Erase chats whose time to be restored is over, in small steps; answers how many."""
    old = ChatSession.objects.filter(deleted_at__lt=timezone.now() - _keep_deleted()).order_by("deleted_at")
    ids = list(old.values_list("id", flat=True)[:limit])
    for session_id in ids:
        with transaction.atomic():
            ChatSession.objects.filter(id=session_id).update(active_leaf=None)
            ChatSession.objects.filter(id=session_id, deleted_at__isnull=False).delete()
    return len(ids)


def _keep_deleted() -> timedelta:
    return timedelta(days=settings.CHAT_DELETED_DAYS)


def _change(user_id: UUID, session_id: object, **values: Any) -> ChatSession:
    session = selectors.get_session(user_id, session_id)
    changed = ChatSession.objects.owned_by(user_id).filter(id=session.id)
    if not changed.update(**values, updated_at=timezone.now()):
        raise NotFound
    for name, value in values.items():
        setattr(session, name, value)
    return session


def _greetings(session: ChatSession, persona: Persona, user_name: str) -> list[Message]:
    texts = [text for text in [persona.greeting, *persona.alternate_greetings] if text.strip()]
    messages = []
    for text in texts[:MAX_GREETINGS]:
        content = fill_in(text, char=persona.name, user=user_name)
        messages.append(
            Message(
                id=uuid7(),
                session=session,
                user_id=session.user_id,
                role=Message.Role.ASSISTANT,
                content=content,
                path_tokens=message_tokens(content),
            )
        )
    return messages
