"""Reading conversations. Every function starts from the user who asks; a stranger's object is NotFound."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from chat import cursors
from chat.models import ChatSession, Generation, Message
from common.errors import NotFound
from common.ids import parse_uuid
from personas.models import Persona

PAGE = 20
MAX_QUERY = 200
# What lists show; a persona's long texts stay in the database.
_SHOWN = (
    "user_id",
    "title",
    "has_automatic_title",
    "pinned_at",
    "is_pinned",
    "archived_at",
    "deleted_at",
    "active_leaf_id",
    "message_count",
    "last_message_at",
    "last_message_preview",
    "created_at",
    "persona__name",
    "persona__slug",
    "persona__avatar_key",
    "persona__card_image_key",
    "persona__tagline",
    "persona__model",
)
_SHOWN_MESSAGE = tuple(field.attname for field in Message._meta.concrete_fields if field.name != "search")


@dataclass(frozen=True, slots=True)
class Variant:
    """Where a message stands among its siblings; `index` counts from 0."""

    index: int = 0
    count: int = 1
    previous: UUID | None = None
    next: UUID | None = None


ONLY_VARIANT = Variant()


@dataclass(frozen=True, slots=True)
class BranchMessage:
    message: Message
    variant: Variant


@dataclass(frozen=True, slots=True)
class BranchPage:
    """Messages newest first; `next` is the message an older page starts with."""

    messages: list[BranchMessage]
    next: UUID | None


@dataclass(frozen=True, slots=True)
class SessionPage:
    sessions: list[ChatSession]
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A search result: a session by its title, or one of its messages."""

    session: ChatSession
    message: Message | None


def get_session(user_id: UUID, session_id: object) -> ChatSession:
    """The user's session with its persona. Raises NotFound."""
    key = parse_uuid(session_id)
    sessions = ChatSession.objects.owned_by(user_id).select_related("persona").only(*_SHOWN)
    found = key and sessions.filter(id=key).first()
    if not found:
        raise NotFound
    return found


def get_message(user_id: UUID, message_id: object) -> Message:
    """The user's message with its session. Raises NotFound."""
    key = parse_uuid(message_id)
    messages = Message.objects.select_related("session").defer("search", "session__search")
    found = (
        key
        and messages.filter(
            id=key, user_id=user_id, session__user_id=user_id, session__deleted_at__isnull=True
        ).first()
    )
    if not found:
        raise NotFound
    return found


def get_generation(user_id: UUID, generation_id: object) -> Generation:
    """The user's generation with its reply. Raises NotFound."""
    key = parse_uuid(generation_id)
    generations = Generation.objects.select_related("reply").defer("receipt", "reply__search")
    found = (
        key
        and generations.filter(
            id=key, user_id=user_id, session__user_id=user_id, session__deleted_at__isnull=True
        ).first()
    )
    if not found:
        raise NotFound
    return found


def get_last_generation(user_id: UUID, reply_id: object) -> Generation:
    """How a reply of the user's was made the last time, with its receipt. Raises NotFound."""
    message = get_message(user_id, reply_id)
    found = Generation.objects.filter(user_id=user_id, reply=message).order_by("-id").first()
    if found is None:
        raise NotFound
    return found


def find_generation(session_id: UUID, client_id: str) -> Generation | None:
    return (
        Generation.objects.select_related("reply").filter(session_id=session_id, client_id=client_id).first()
    )


def live_generations(session_id: UUID) -> QuerySet[Generation]:
    return Generation.objects.filter(session_id=session_id, status__in=Generation.LIVE)


def list_sessions(user_id: UUID, *, is_archived: bool = False, query: str = "") -> QuerySet[ChatSession]:
    """Pinned ones first, then by last message; `query` looks in titles and messages."""
    sessions = (
        ChatSession.objects.owned_by(user_id)
        .filter(archived_at__isnull=not is_archived)
        .select_related("persona")
        .only(*_SHOWN)
        .in_list_order()
    )
    query = _clean(query)
    if query:
        wanted = _search_query(query)
        said = Message.objects.filter(session_id=OuterRef("id"), user_id=user_id, search=wanted)
        sessions = sessions.filter(Q(search=wanted) | Q(title__icontains=query) | Exists(said))
    return sessions


def find_latest_session(user_id: UUID, persona_id: UUID) -> ChatSession | None:
    """The chat with a persona that the user was in last; archived ones are left in peace."""
    sessions = ChatSession.objects.owned_by(user_id).filter(persona_id=persona_id, archived_at__isnull=True)
    return sessions.only("id").order_by("-last_message_at", "-id").first()


def find_deleted_session(user_id: UUID, session_id: UUID) -> ChatSession | None:
    """A chat of the user's that was deleted and may still be restored."""
    deleted = ChatSession.objects.filter(id=session_id, user_id=user_id, deleted_at__isnull=False)
    return deleted.only("id", "title").first()


def list_latest_by_persona(user_id: UUID, *, limit: int) -> list[ChatSession]:
    """The newest chat with each of the last personas the user talked to and still may."""
    sessions = (
        ChatSession.objects.owned_by(user_id)
        .filter(archived_at__isnull=True, persona__in=Persona.objects.visible_to(user_id))
        .only(*_SHOWN)
        .select_related("persona")
        .order_by("-last_message_at", "-id")
    )
    latest: dict[UUID, ChatSession] = {}
    for session in sessions[: 5 * limit]:
        latest.setdefault(session.persona_id, session)
    return list(latest.values())[:limit]


def page_sessions(sessions: QuerySet[ChatSession], *, cursor: str = "", limit: int = PAGE) -> SessionPage:
    """One page of `list_sessions`. Raises Invalid for a cursor that is not ours."""
    is_back = False
    if cursor:
        is_back, pinned, last_at, key = cursors.decode(cursor, bool, bool, datetime.fromisoformat, UUID)
        sessions = sessions.filter(_beyond(pinned, last_at, key, is_back=is_back))
    if is_back:
        sessions = sessions.reverse()
    rows = list(sessions[: limit + 1])
    has_more, rows = len(rows) > limit, rows[:limit]
    if is_back:
        rows.reverse()
    has_next = bool(rows) and (is_back or has_more)
    has_previous = bool(rows) and (has_more if is_back else bool(cursor))
    return SessionPage(
        rows,
        next=_session_cursor(rows[-1], is_back=False) if has_next else None,
        previous=_session_cursor(rows[0], is_back=True) if has_previous else None,
    )


def list_branch(session: ChatSession, *, start: UUID | None = None, limit: int = PAGE) -> BranchPage:
    """A page of the branch that ends in `start` (by default the active leaf), newest first.

    Walks from child to parent, so it costs the same in a long conversation as in a short one.
    Raises NotFound where `start` is not a message of this session.
    """
    leaf = start or session.active_leaf_id
    if leaf is None:
        return BranchPage([], None)
    rows = list(Message.objects.raw(_BRANCH, [leaf, session.id, limit + 1, limit + 1]))
    if not rows:
        raise NotFound
    page = rows[:limit]
    variants = list_variants(session.id, page)
    return BranchPage(
        [BranchMessage(row, variants.get(row.id, ONLY_VARIANT)) for row in page],
        rows[limit].id if len(rows) > limit else None,
    )


def list_whole_branch(session: ChatSession) -> list[Message]:
    """The active branch, oldest first."""
    rows = list(Message.objects.raw(_BRANCH, [session.active_leaf_id, session.id, 1_000_000, 1_000_000]))
    return rows[::-1]


def list_variants(session_id: UUID, messages: Iterable[Message]) -> dict[UUID, Variant]:
    """Where each of `messages` stands among its siblings."""
    wanted = {message.id for message in messages}
    parents = [message.parent_id for message in messages if message.parent_id is not None]
    has_root = any(message.parent_id is None for message in messages)
    with connection.cursor() as cursor:
        cursor.execute(_VARIANTS, [session_id, parents, has_root])
        return {row[0]: Variant(*row[1:]) for row in cursor.fetchall() if row[0] in wanted}


def list_all_variants(session_id: UUID) -> dict[UUID, Variant]:
    """Where every message of the session stands among its siblings."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL_VARIANTS, [session_id])
        return {row[0]: Variant(*row[1:]) for row in cursor.fetchall()}


def get_variant(message: Message) -> Variant:
    return list_variants(message.session_id, [message]).get(message.id, ONLY_VARIANT)


def search(user_id: UUID, query: str, *, limit: int = PAGE) -> list[Found]:
    """Sessions and messages in which the words occur, newest first; titles before messages."""
    query = _clean(query)
    if not query:
        return []
    wanted = _search_query(query)
    sessions = (
        ChatSession.objects.owned_by(user_id)
        .filter(Q(search=wanted) | Q(title__icontains=query))
        .select_related("persona")
        .only(*_SHOWN)
        .order_by("-last_message_at", "-id")[:limit]
    )
    messages = (
        Message.objects.filter(
            user_id=user_id, search=wanted, session__user_id=user_id, session__deleted_at__isnull=True
        )
        .select_related("session__persona")
        .only(*_SHOWN_MESSAGE, *(f"session__{name}" for name in _SHOWN))
        .order_by("-id")[:limit]
    )
    found = [Found(session, None) for session in sessions]
    return (found + [Found(message.session, message) for message in messages])[:limit]


def _clean(query: str) -> str:
    return query.replace("\x00", "").strip()[:MAX_QUERY]


def _search_query(query: str) -> SearchQuery:
    return SearchQuery(query, config="simple", search_type="websearch")


def _session_cursor(session: ChatSession, *, is_back: bool) -> str:
    return cursors.encode(is_back, session.is_pinned, session.last_message_at, session.id)


def _beyond(pinned: bool, last_at: datetime, key: UUID, *, is_back: bool) -> Q:
    way = "gt" if is_back else "lt"
    same_block = Q(is_pinned=pinned) & (
        Q(**{f"last_message_at__{way}": last_at}) | Q(last_message_at=last_at, **{f"id__{way}": key})
    )
    if pinned == is_back:
        return same_block
    return same_block | Q(is_pinned=not pinned)


# The counter bounds the walk itself, not only what is read of it.
_BRANCH = """
WITH RECURSIVE branch AS (
    SELECT m.*, 1 AS step FROM chat_message m WHERE m.id = %s AND m.session_id = %s
    UNION ALL
    SELECT m.*, b.step + 1 FROM chat_message m JOIN branch b ON m.id = b.parent_id WHERE b.step < %s
)
SELECT id, created_at, session_id, user_id, parent_id, role, content, status, code, depth, path_tokens,
       client_id, feedback, model, input_tokens, output_tokens, cached_tokens, charge
  FROM branch ORDER BY step LIMIT %s
"""

_PLACES = """
SELECT id, row_number() OVER siblings - 1, count(*) OVER (PARTITION BY parent_id, role),
       lag(id) OVER siblings, lead(id) OVER siblings
  FROM chat_message
 WHERE session_id = %s {where}
WINDOW siblings AS (PARTITION BY parent_id, role ORDER BY id)
"""
_VARIANTS = _PLACES.format(where="AND (parent_id = ANY(%s) OR (%s AND parent_id IS NULL))")
_ALL_VARIANTS = _PLACES.format(where="")
