"""The end of a reply, whatever it was: one state wins, what was used is paid, the rest returns."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ai.services import usage as ai_usage
from ai.types import CallOutcome
from billing import selectors as billing_selectors
from billing.services import holds
from chat import metrics, payloads, policy, titles
from chat.models import Generation, Message
from chat.selectors import ONLY_VARIANT, Variant, get_variant
from chat.services.generations import message_tokens

logger = structlog.get_logger("parlor.chat")

PURPOSE = "chat"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a reply ends. The text and the usage are what the generation's rows hold by now."""

    status: str
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Persona:
    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Settled:
    generation: Generation
    event: payloads.Payload


def settle_generation(
    *,
    generation_id: UUID,
    ending: Ending,
    owner: str | None = None,
    only_queued: bool = False,
    outcome: CallOutcome | None = None,
) -> Settled | None:
    """Give a live generation its final state and settle its hold, in one transaction.

    With `owner` only the runner that holds the lease may; with `only_queued` only before a runner took it.
    None where somebody else has ended it already: nothing was done then.
    """
    with transaction.atomic():
        found = _lock_live(generation_id, owner=owner, only_queued=only_queued)
        if found is None:
            return None
        generation, persona = found
        charged, available = _settle_hold(generation, ending, persona)
        _write_end(generation, ending, charged)
        if outcome is not None:
            ai_usage.record_call(
                outcome, user_id=generation.user_id, purpose=PURPOSE, reference=f"generation:{generation.id}"
            )
    metrics.GENERATIONS.labels(ending.status).inc()
    return Settled(generation, _event(generation, _variant_now(generation), available))


def final_event(generation: Generation) -> payloads.Payload:
    """The event that ends the stream of a settled generation, whenever it is asked for."""
    variant = get_variant(generation.reply) if generation.reply is not None else ONLY_VARIANT
    return _event(generation, variant, billing_selectors.get_wallet(generation.user_id).available)


def _event(generation: Generation, variant: Variant, available: int) -> payloads.Payload:
    reply = generation.reply
    message = payloads.message_payload(reply, variant) if reply is not None else None
    return payloads.terminal_event(generation, message, available)


def _variant_now(generation: Generation) -> Variant:
    """A new message has one reply until its first one has ended, so there is nothing to look up."""
    if generation.reply is None or generation.kind in (Generation.Kind.SEND, Generation.Kind.EDIT):
        return ONLY_VARIANT
    return get_variant(generation.reply)


def _lock_live(
    generation_id: UUID, *, owner: str | None, only_queued: bool
) -> tuple[Generation, _Persona] | None:
    """The live generation with its reply, locked, and its persona.

    By hand, because the ORM takes longer than the database.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_LIVE, {"id": generation_id, "owner": owner, "only_queued": only_queued})
        row = cursor.fetchone()
    if row is None:
        return None
    generation = Generation.from_db("default", _GENERATION_FIELDS, row[: len(_GENERATION_FIELDS)])
    if generation.reply_id is not None:
        generation.reply = Message.from_db("default", _MESSAGE_FIELDS, row[len(_GENERATION_FIELDS) : -2])
    return generation, _Persona(*row[-2:])


def _settle_hold(generation: Generation, ending: Ending, persona: _Persona) -> tuple[int, int]:
    """What was charged and what the wallet has now, in microcredits."""
    tokens = policy.charged_tokens(
        status=ending.status,
        has_text=generation.last_seq > (1 if generation.prefix_status else 0),
        input_tokens=generation.input_tokens,
        output_tokens=generation.output_tokens,
    )
    if generation.hold_id is None:
        return 0, billing_selectors.get_wallet(generation.user_id).available
    if tokens == 0:
        released = holds.release_hold(hold_id=generation.hold_id, reason=ending.code or ending.status)
        return 0, released.available
    captured = holds.capture_hold(
        hold_id=generation.hold_id,
        amount=tokens * generation.token_price,
        reference=f"generation:{generation.id}",
        description=_("Talk with %(name)s") % {"name": persona.name},
        details={
            "session": str(generation.session_id),
            "persona": str(persona.id),
            "persona_name": persona.name,
            "model": generation.model,
            "input_tokens": generation.input_tokens,
            "output_tokens": generation.output_tokens,
            "cached_tokens": generation.cached_tokens,
        },
    )
    return captured.charged, captured.available


def _write_end(generation: Generation, ending: Ending, charged: int) -> None:
    reply = generation.reply
    generation.status = ending.status
    generation.code = ending.code
    generation.detail = ending.detail[:500]
    generation.charge = charged
    generation.finished_at = timezone.now()
    if reply is not None:
        _apply_end(reply, generation, charged)
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, _parameters(generation, reply))


def _apply_end(reply: Message, generation: Generation, charged: int) -> None:
    wrote_nothing = generation.prefix_status and generation.last_seq <= 1
    if wrote_nothing:
        # A continuation that brought nothing leaves the reply as it was.
        reply.status = generation.prefix_status
    else:
        reply.status, reply.code = generation.status, generation.code
        reply.model = generation.model
        reply.input_tokens = generation.input_tokens
        reply.output_tokens = generation.output_tokens
        reply.cached_tokens = generation.cached_tokens
    reply.charge += charged


def _parameters(generation: Generation, reply: Message | None) -> dict[str, Any]:
    text = reply.content if reply is not None else ""
    return {
        "id": generation.id,
        "status": generation.status,
        "code": generation.code,
        "detail": generation.detail,
        "charge": generation.charge,
        "session": generation.session_id,
        "reply": generation.reply_id,
        "reply_status": reply.status if reply else "",
        "reply_code": reply.code if reply else "",
        "reply_charge": reply.charge if reply else 0,
        "model": reply.model if reply else "",
        "input_tokens": reply.input_tokens if reply else 0,
        "output_tokens": reply.output_tokens if reply else 0,
        "cached_tokens": reply.cached_tokens if reply else 0,
        "preview": titles.preview_of(text),
        "tokens": message_tokens(text) if text else 0,
    }


_GENERATION_FIELDS = [field.attname for field in Generation._meta.concrete_fields if field.name != "receipt"]
_MESSAGE_FIELDS = [field.attname for field in Message._meta.concrete_fields if field.name != "search"]

_LOCK_LIVE = f"""
SELECT {", ".join(f"g.{name}" for name in _GENERATION_FIELDS)},
       {", ".join(f"r.{name}" for name in _MESSAGE_FIELDS)},
       p.id, p.name
  FROM chat_generation g LEFT JOIN chat_message r ON r.id = g.reply_id
  JOIN chat_chatsession s ON s.id = g.session_id JOIN personas_persona p ON p.id = s.persona_id
 WHERE g.id = %(id)s
   AND (g.status = 'queued' OR (g.status = 'streaming' AND NOT %(only_queued)s))
   AND (%(owner)s::text IS NULL OR g.lease_owner = %(owner)s)
   FOR NO KEY UPDATE OF g
"""  # noqa: S608 - the names are our own columns

_SETTLE = """
WITH g AS (
    UPDATE chat_generation
       SET status = %(status)s, code = %(code)s, detail = %(detail)s, charge = %(charge)s,
           finished_at = now(), lease_owner = '', lease_until = NULL
     WHERE id = %(id)s AND status IN ('queued', 'streaming')
    RETURNING id
), m AS (
    UPDATE chat_message r
       SET status = %(reply_status)s, code = %(reply_code)s, charge = %(reply_charge)s, model = %(model)s,
           input_tokens = %(input_tokens)s, output_tokens = %(output_tokens)s,
           cached_tokens = %(cached_tokens)s,
           search = to_tsvector('simple', left(r.content, 100000)),
           path_tokens = %(tokens)s
             + coalesce((SELECT p.path_tokens FROM chat_message p WHERE p.id = r.parent_id), 0)
      FROM g WHERE r.id = %(reply)s
)
UPDATE chat_chatsession
   SET last_message_at = now(), updated_at = now(),
       last_message_preview = CASE WHEN %(preview)s = '' THEN last_message_preview ELSE %(preview)s END
  FROM g WHERE chat_chatsession.id = %(session)s AND active_leaf_id = %(reply)s
"""
