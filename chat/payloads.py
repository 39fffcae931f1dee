"""The outer shape of sessions, messages, generations and events: the same on REST, SSE and websocket."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings

from chat import policy
from chat.models import ChatSession, Generation, Message
from chat.selectors import ONLY_VARIANT, Variant
from common.credits import format_credits

if TYPE_CHECKING:
    from chat.services.generations import Started

Payload = dict[str, Any]
USAGE_FIELDS = ("model", "input_tokens", "output_tokens", "cached_tokens")


def moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def session_payload(session: ChatSession) -> Payload:
    persona = session.persona
    return {
        "id": str(session.id),
        "persona": {
            "id": str(persona.id),
            "name": persona.name,
            "avatar_url": urljoin(settings.PUBLIC_URL, persona.avatar_url),
        },
        "title": session.title,
        "pinned": session.pinned_at is not None,
        "archived": session.archived_at is not None,
        "message_count": session.message_count,
        "last_message_at": moment(session.last_message_at),
        "last_message_preview": session.last_message_preview,
        "created_at": moment(session.created_at),
    }


def message_payload(message: Message, variant: Variant = ONLY_VARIANT) -> Payload:
    return {
        "id": str(message.id),
        "session": str(message.session_id),
        "role": message.role,
        "content": message.content,
        "status": message.status,
        "code": message.code,
        "detail": policy.detail_for(message.code),
        "parent": _text(message.parent_id),
        "variant": {
            "index": variant.index,
            "count": variant.count,
            "previous": _text(variant.previous),
            "next": _text(variant.next),
        },
        "attachments": [],
        "citations": [],
        "sentiment": None,
        "feedback": message.feedback,
        "usage": _message_usage(message),
        "client_id": message.client_id,
        "created_at": moment(message.created_at),
    }


def generation_payload(generation: Generation, message: Payload | None) -> Payload:
    return {
        "id": str(generation.id),
        "status": generation.status,
        "message": message,
        "usage": generation_usage(generation),
        "charge": charge_payload(generation.charge),
    }


def generation_usage(generation: Generation) -> Payload:
    return {name: getattr(generation, name) for name in USAGE_FIELDS}


def charge_payload(charge: int) -> Payload:
    return {"credits": format_credits(charge)}


def created_events(started: "Started") -> list[Payload]:
    """What every device of the session is told about a new exchange, the user's message first."""
    messages = [message_payload(started.message, started.message_variant)] if started.message else []
    if started.reply is not None:
        messages.append(message_payload(started.reply, started.reply_variant))
    return [{"type": "message.created", "message": message} for message in messages]


def accepted_payload(started: "Started") -> Payload:
    reply = message_payload(started.reply, started.reply_variant) if started.reply else None
    return {
        "message": message_payload(started.message, started.message_variant) if started.message else None,
        "reply": reply,
        "generation": generation_payload(started.generation, reply),
    }


def started_event(generation_id: UUID, message_id: UUID | None, model: str) -> Payload:
    return {
        "type": "generation.started",
        "generation_id": str(generation_id),
        "message_id": _text(message_id),
        "model": model,
    }


def terminal_event(generation: Generation, message: Payload | None, available: int) -> Payload:
    """How the reply ended. `available` is the wallet's balance in microcredits."""
    event = {
        "type": terminal_type(generation.status),
        "generation_id": str(generation.id),
        "seq": generation.last_seq + 1,
        "message": message,
        "usage": generation_usage(generation),
        "charge": charge_payload(generation.charge),
        "wallet": {"available": format_credits(available)},
    }
    if generation.status != Generation.Status.COMPLETE:
        event |= {"code": generation.code, "detail": generation.detail or policy.detail_for(generation.code)}
    return event


def terminal_type(status: str) -> str:
    return "generation.completed" if status == "complete" else f"generation.{status}"


def _message_usage(message: Message) -> Payload | None:
    if message.role != Message.Role.ASSISTANT or not message.model:
        return None
    usage = {name: getattr(message, name) for name in USAGE_FIELDS}
    return {**usage, "credits": format_credits(message.charge)}


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
