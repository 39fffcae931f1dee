"""How a runner takes generations, keeps them, saves what they have so far, and finds abandoned ones.

Every write is conditional on the lease: a runner that lost it writes nothing any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from chat.models import Generation
from chat.prompt import Character, Turn


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed generation with all that its prompt is made of."""

    generation_id: UUID
    session_id: UUID
    user_id: UUID
    reply_id: UUID
    created_at: datetime
    kind: str
    model: str
    prompt_budget: int
    max_output_tokens: int
    temperature: float | None
    character: Character
    user_name: str
    turns: tuple[Turn, ...]
    # What a continuation goes on from; its first delta repeats it.
    prefix: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The text of a reply so far, and how it was cut into deltas."""

    generation_id: UUID
    content: str
    delta_lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What the model's stream came to, to be kept before it is settled."""

    outcome: str
    code: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Abandoned:
    generation_id: UUID
    was_started: bool
    outcome: str
    code: str
    last_seq: int


def claim(*, owner: str, limit: int) -> list[Job]:
    """Take up to `limit` queued generations, oldest first; two runners never get the same one."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [limit, owner, settings.CHAT_LEASE_SECONDS])
        columns = [column.name for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        return [_job(cursor, row) for row in rows]


def renew(*, owner: str) -> dict[UUID, bool]:
    """Extend every lease of this runner; maps the generations it still holds to "stop was asked for"."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, [settings.CHAT_LEASE_SECONDS, owner])
        return dict(cursor.fetchall())


def save_progress(*, owner: str, rows: Sequence[Progress]) -> dict[UUID, bool]:
    """Save the texts of many running replies in one statement; answers as `renew` does for these rows.

    Rows that have more text already are left alone and not in the answer.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _SAVE_PROGRESS,
            {
                "ids": [row.generation_id for row in rows],
                "contents": [row.content for row in rows],
                "lengths": [_array_text(row.delta_lengths) for row in rows],
                "owner": owner,
                "lease": settings.CHAT_LEASE_SECONDS,
            },
        )
        return dict(cursor.fetchall())


def save_result(*, owner: str, progress: Progress, result: Result, receipt: str) -> bool:
    """Save the whole text and the usage before settling, so that a crash in between costs neither.

    `receipt` is JSON. False where the lease is lost.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _SAVE_RESULT,
            {
                "id": progress.generation_id,
                "owner": owner,
                "content": progress.content,
                "lengths": _array_text(progress.delta_lengths),
                "outcome": result.outcome,
                "code": result.code,
                "model": result.model,
                "input_tokens": result.input_tokens,
                "output_tokens": result.output_tokens,
                "cached_tokens": result.cached_tokens,
                "receipt": receipt,
            },
        )
        return cursor.fetchone() is not None


def take_abandoned(*, owner: str, limit: int = 50) -> list[Abandoned]:
    """Take over generations whose lease ran out, and ones that waited too long for a runner."""
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE_ABANDONED, [settings.CHAT_QUEUE_SECONDS, limit, owner, settings.CHAT_LEASE_SECONDS]
        )
        return [Abandoned(*row) for row in cursor.fetchall()]


def _job(cursor: Any, row: dict[str, Any]) -> Job:
    is_continuation = row["kind"] == Generation.Kind.CONTINUE
    end = row["reply_id"] if is_continuation else row["parent_id"]
    cursor.execute(_TURNS, {"end": end, "session": row["session_id"], "budget": 2 * row["prompt_budget"]})
    turns = [Turn(role, text, depth) for role, text, depth in cursor.fetchall()]
    return Job(
        generation_id=row["id"],
        session_id=row["session_id"],
        user_id=row["user_id"],
        reply_id=row["reply_id"],
        created_at=row["created_at"],
        kind=row["kind"],
        model=row["model"],
        prompt_budget=row["prompt_budget"],
        max_output_tokens=row["max_output_tokens"],
        temperature=None if row["temperature"] is None else float(row["temperature"]),
        character=Character(
            name=row["name"],
            description=row["description"],
            personality=row["personality"],
            scenario=row["scenario"],
            system_prompt=row["system_prompt"],
            example_dialogue=row["example_dialogue"],
            post_history_instructions=row["post_history_instructions"],
            lorebook=row["lorebook"],
        ),
        user_name=row["display_name"],
        turns=tuple(reversed(turns)),
        prefix=row["prefix"] if is_continuation else "",
    )


def _array_text(lengths: Sequence[int]) -> str:
    return "{" + ",".join(map(str, lengths)) + "}"


_CLAIM = """
WITH picked AS (
    SELECT id FROM chat_generation WHERE status = 'queued'
     ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
), g AS (
    UPDATE chat_generation
       SET status = 'streaming', lease_owner = %s, lease_until = now() + make_interval(secs => %s),
           heartbeat_at = now(), started_at = now()
      FROM picked WHERE chat_generation.id = picked.id AND chat_generation.status = 'queued'
    RETURNING chat_generation.*
)
SELECT g.id, g.session_id, g.user_id, g.reply_id, g.created_at, g.kind, g.model, g.prompt_budget,
       g.max_output_tokens, r.parent_id, r.content AS prefix, p.temperature, p.name, p.description,
       p.personality, p.scenario, p.system_prompt, p.example_dialogue, p.post_history_instructions,
       p.lorebook, u.display_name
  FROM g
  JOIN chat_message r ON r.id = g.reply_id
  JOIN chat_chatsession s ON s.id = g.session_id
  JOIN personas_persona p ON p.id = s.persona_id
  JOIN accounts_user u ON u.id = g.user_id
 ORDER BY g.created_at
"""

# Newest first, until twice the budget is passed: estimates of a branch are rough.
_TURNS = """
WITH RECURSIVE branch AS (
    SELECT m.id, m.parent_id, m.role, m.content, m.depth, m.path_tokens, m.path_tokens AS top
      FROM chat_message m WHERE m.id = %(end)s AND m.session_id = %(session)s
    UNION ALL
    SELECT m.id, m.parent_id, m.role, m.content, m.depth, m.path_tokens, b.top
      FROM chat_message m JOIN branch b ON m.id = b.parent_id
     WHERE b.top - b.path_tokens < %(budget)s
)
SELECT role, content, depth FROM branch ORDER BY depth DESC
"""

_RENEW = """
UPDATE chat_generation SET heartbeat_at = now(), lease_until = now() + make_interval(secs => %s)
 WHERE lease_owner = %s AND status = 'streaming'
RETURNING id, stop_requested_at IS NOT NULL
"""

_SAVE_PROGRESS = """
WITH d AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(contents)s::text[], %(lengths)s::text[])
               AS d(id, content, lengths)
), g AS (
    UPDATE chat_generation
       SET delta_lengths = d.lengths::int[], last_seq = cardinality(d.lengths::int[]), heartbeat_at = now(),
           lease_until = now() + make_interval(secs => %(lease)s),
           first_text_at = coalesce(first_text_at, now())
      FROM d
     WHERE chat_generation.id = d.id AND lease_owner = %(owner)s AND status = 'streaming'
       AND outcome = '' AND last_seq <= cardinality(d.lengths::int[])
    RETURNING chat_generation.id, reply_id, stop_requested_at IS NOT NULL AS stop, d.content
), m AS (
    UPDATE chat_message SET content = g.content, status = 'streaming'
      FROM g WHERE chat_message.id = g.reply_id
)
SELECT id, stop FROM g
"""

_SAVE_RESULT = """
WITH g AS (
    UPDATE chat_generation
       SET delta_lengths = %(lengths)s::int[], last_seq = cardinality(%(lengths)s::int[]),
           outcome = %(outcome)s, code = %(code)s, model = %(model)s,
           input_tokens = %(input_tokens)s, output_tokens = %(output_tokens)s,
           cached_tokens = %(cached_tokens)s, receipt = %(receipt)s::jsonb,
           first_text_at = CASE WHEN %(content)s = '' THEN NULL ELSE coalesce(first_text_at, now()) END
     WHERE id = %(id)s AND lease_owner = %(owner)s AND status = 'streaming'
    RETURNING id, reply_id
), m AS (
    UPDATE chat_message SET content = %(content)s FROM g WHERE chat_message.id = g.reply_id
)
SELECT id FROM g
"""

_TAKE_ABANDONED = """
WITH picked AS (
    SELECT id, status AS old_status FROM chat_generation
     WHERE (status = 'streaming' AND lease_until < now())
        OR (status = 'queued' AND created_at < now() - make_interval(secs => %s))
     ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE chat_generation
   SET status = 'streaming', lease_owner = %s, lease_until = now() + make_interval(secs => %s)
  FROM picked WHERE chat_generation.id = picked.id
RETURNING chat_generation.id, old_status = 'streaming', outcome, code, last_seq
"""
