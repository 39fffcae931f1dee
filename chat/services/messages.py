"""Talking: say, ask again, reword, go on, choose between variants, rate, take back."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from chat import selectors, titles
from chat.errors import CannotContinue, ReplyInProgress
from chat.models import ChatSession, Generation, Message
from chat.services.generations import Request, Started, begin, clean_client_id, make_room
from chat.services.stopping import cancel_live_replies
from common import realtime
from common.errors import Invalid, NotFound
from common.ids import parse_uuid

_UNFINISHED = (Message.Status.PENDING, Message.Status.STREAMING)


def send_message(
    *,
    user_id: UUID,
    session_id: object,
    content: Any,
    client_id: Any,
    parent_id: object = None,
    attachments: Any = (),
) -> Started:
    """Say something at the end of the branch, or under `parent_id`, and queue the reply.

    Raises what `generations.begin` does, and Invalid for an unusable text.
    """
    _refuse_attachments(attachments)
    return begin(
        Request(
            kind=Generation.Kind.SEND,
            user_id=user_id,
            session_id=_key(session_id),
            client_id=clean_client_id(client_id),
            content=clean_content(content),
            parent_id=None if parent_id is None else _key(parent_id),
            at_active_leaf=parent_id is None,
        )
    )


def edit_message(*, user_id: UUID, message_id: object, content: Any, client_id: Any) -> Started:
    """Reword a message of the user: a new branch beside the old one, with a reply of its own.

    A running reply of the chat is cancelled first. Raises as `send_message`, and Invalid for a reply.
    """
    client_id, content = clean_client_id(client_id), clean_content(content)
    message = selectors.get_message(user_id, message_id)
    if message.role != Message.Role.USER:
        raise Invalid.field("message", "not_yours", _("Only your own messages can be edited."))
    return _begin_in_place(
        Request(
            kind=Generation.Kind.EDIT,
            user_id=user_id,
            session_id=message.session_id,
            client_id=client_id,
            content=content,
            parent_id=message.parent_id,
        )
    )


def regenerate_reply(*, user_id: UUID, message_id: object, client_id: Any) -> Started:
    """Another variant of a reply, or a first one to a message that has none; it becomes the active branch.

    A running reply of the chat is cancelled first. Raises as `send_message`, and Invalid for a greeting.
    """
    return _begin_in_place(regeneration_of(user_id=user_id, message_id=message_id, client_id=client_id))


def regeneration_of(*, user_id: UUID, message_id: object, client_id: Any) -> Request:
    """The request behind `regenerate_reply`, for callers that wait for the running reply by themselves."""
    client_id = clean_client_id(client_id)
    message = selectors.get_message(user_id, message_id)
    parent_id = message.id if message.role == Message.Role.USER else message.parent_id
    if parent_id is None:
        raise Invalid.field("message", "greeting", _("A greeting can't be generated anew."))
    return Request(
        kind=Generation.Kind.REGENERATE,
        user_id=user_id,
        session_id=message.session_id,
        client_id=client_id,
        parent_id=parent_id,
    )


def continue_reply(*, user_id: UUID, message_id: object, client_id: Any) -> Started:
    """Let the persona go on with its last reply; the text grows in place.

    A reply that brought no text has nothing to go on from: it is generated anew. Raises as `send_message`;
    CannotContinue where something was said after it, or for a greeting.
    """
    client_id = clean_client_id(client_id)
    message = selectors.get_message(user_id, message_id)
    if message.status not in _UNFINISHED and not message.content and message.role == Message.Role.ASSISTANT:
        return regenerate_reply(user_id=user_id, message_id=message_id, client_id=client_id)
    known = selectors.find_generation(message.session_id, client_id)
    if known is None:
        _check_can_continue(message)
    return begin(
        Request(
            kind=Generation.Kind.CONTINUE,
            user_id=user_id,
            session_id=message.session_id,
            client_id=client_id,
            parent_id=message.id,
            continues=message,
            counts_message=False,
        )
    )


def select_branch(*, user_id: UUID, message_id: object) -> ChatSession:
    """Look at the branch that goes through this message, down to its newest end. Raises NotFound."""
    message = selectors.get_message(user_id, message_id)
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_LEAF, [message.id])
        leaf_id, depth, content = cursor.fetchone()
    _move(message.session_id, leaf_id, depth, content)
    return selectors.get_session(user_id, message.session_id)


def rate_message(*, user_id: UUID, message_id: object, rating: str) -> Message:
    """Rate a reply `up`, `down` or `none`. Raises NotFound, and Invalid for what is not a reply."""
    if rating not in Message.Feedback.values:
        raise Invalid.field("rating", "invalid_choice", _("Rate with up, down or none."))
    message = selectors.get_message(user_id, message_id)
    if message.role != Message.Role.ASSISTANT:
        raise Invalid.field("message", "not_a_reply", _("Only replies can be rated."))
    message.feedback = rating
    message.save(update_fields=["feedback"])
    return message


def delete_message(*, user_id: UUID, message_id: object) -> ChatSession:
    """Erase a message and everything said after it; a running reply of the chat is cancelled first.

    The active branch falls back to a variant of the message if there is one, else to what it answered.
    Raises NotFound.
    """
    message = selectors.get_message(user_id, message_id)
    cancel_live_replies(message.session_id)
    with transaction.atomic(), connection.cursor() as cursor:
        # Nobody may begin a reply in here meanwhile.
        session = ChatSession.objects.select_for_update(no_key=True).get(id=message.session_id)
        cursor.execute(_SUBTREE, [message.id])
        doomed = [row[0] for row in cursor.fetchall()]
        if Generation.objects.filter(session_id=session.id, status__in=Generation.LIVE).exists():
            raise ReplyInProgress
        if session.active_leaf_id in doomed:
            cursor.execute(_FALL_BACK, {"id": message.id, "parent": message.parent_id, "session": session.id})
            leaf_id, depth, content = cursor.fetchone() or (None, -1, "")
            _move(session.id, leaf_id, depth, content)
        Generation.objects.filter(reply_id__in=doomed).update(reply=None)
        cursor.execute("DELETE FROM chat_message WHERE id = ANY(%s)", [doomed])
    realtime.publish(
        f"session.{message.session_id}", {"type": "session.changed", "session": str(message.session_id)}
    )
    return selectors.get_session(user_id, message.session_id)


def clean_content(value: Any) -> str:
    """Raises Invalid unless `value` is a text that can be sent and stored."""
    if not isinstance(value, str):
        raise Invalid.field("content", "invalid", _("The message must be text."))
    if not value.strip():
        raise Invalid.field("content", "blank", _("Write something first."))
    limit = settings.CHAT_MAX_MESSAGE_CHARACTERS
    if len(value) > limit:
        raise Invalid.field(
            "content", "too_long", _("A message has at most %(limit)d characters.") % {"limit": limit}
        )
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise Invalid.field("content", "invalid", _("The message holds characters that can't be stored."))
    return value


def _key(value: object) -> UUID:
    key = parse_uuid(value)
    if key is None:
        raise NotFound
    return key


def _refuse_attachments(attachments: Any) -> None:
    if attachments:
        raise Invalid.field("attachments", "not_supported", _("Attachments can't be sent yet."))


def _begin_in_place(request: Request) -> Started:
    """Begin after ending what runs in the chat, unless it is what this very request began.

    Whatever would refuse the request does so before the running reply is touched.
    """
    room = make_room(request)
    if room.is_taken:
        cancel_live_replies(request.session_id, but=request.client_id)
    return begin(request, rate=room.rate)


def _check_can_continue(message: Message) -> None:
    if message.role != Message.Role.ASSISTANT or message.parent_id is None:
        raise CannotContinue
    if message.status in _UNFINISHED:
        raise ReplyInProgress
    if message.children.exists():
        raise CannotContinue


def _move(session_id: UUID, leaf_id: UUID | None, depth: int, content: str) -> None:
    ChatSession.objects.filter(id=session_id).update(
        active_leaf_id=leaf_id,
        message_count=depth + 1,
        last_message_preview=titles.preview_of(content),
        updated_at=timezone.now(),
    )


_NEWEST_LEAF = """
WITH RECURSIVE walk AS (
    SELECT id, depth, content FROM chat_message WHERE id = %s
    UNION ALL
    SELECT child.id, child.depth, child.content
      FROM walk, LATERAL (SELECT c.id, c.depth, c.content FROM chat_message c
                           WHERE c.parent_id = walk.id ORDER BY c.id DESC LIMIT 1) child
)
SELECT id, depth, content FROM walk ORDER BY depth DESC LIMIT 1
"""

_SUBTREE = """
WITH RECURSIVE subtree AS (
    SELECT id FROM chat_message WHERE id = %s
    UNION ALL
    SELECT m.id FROM chat_message m JOIN subtree s ON m.parent_id = s.id
)
SELECT id FROM subtree
"""

# The newest end below the newest variant; without a variant, the message that was answered.
_FALL_BACK = """
WITH RECURSIVE start AS (
    SELECT m.id, m.depth, m.content FROM chat_message m, chat_message gone
     WHERE gone.id = %(id)s AND m.session_id = %(session)s AND m.id <> gone.id AND m.role = gone.role
       AND m.parent_id IS NOT DISTINCT FROM gone.parent_id
     ORDER BY m.id DESC LIMIT 1
), walk AS (
    SELECT * FROM start
    UNION ALL
    SELECT child.id, child.depth, child.content
      FROM walk, LATERAL (SELECT c.id, c.depth, c.content FROM chat_message c
                           WHERE c.parent_id = walk.id ORDER BY c.id DESC LIMIT 1) child
), ends AS (
    SELECT id, depth, content FROM walk
    UNION ALL
    SELECT id, depth, content FROM chat_message
     WHERE id = %(parent)s AND NOT EXISTS (SELECT FROM start)
)
SELECT id, depth, content FROM ends ORDER BY depth DESC LIMIT 1
"""
