"""A conversation as a file."""

import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from chat import payloads, selectors
from chat.models import ChatSession, Message
from common.errors import Invalid

FORMATS = ("json", "md")
_UNSAFE = re.compile(r"[^\w-]+")


@dataclass(frozen=True, slots=True)
class ExportFile:
    name: str
    content_type: str
    data: bytes

    @property
    def disposition(self) -> str:
        return content_disposition_header(as_attachment=True, filename=self.name)


def export_session(*, user_id: UUID, session_id: object, file_format: str) -> ExportFile:
    """The chat as `json` (every branch) or `md` (the active one). Raises NotFound, Invalid."""
    if file_format not in FORMATS:
        raise Invalid.field("format", "invalid_choice", _("Choose json or md."))
    session = selectors.get_session(user_id, session_id)
    name = _UNSAFE.sub("-", session.title).strip("-")[:60] or "chat"
    if file_format == "json":
        return ExportFile(f"{name}.json", "application/json", _as_json(session))
    return ExportFile(f"{name}.md", "text/markdown; charset=utf-8", _as_markdown(session).encode())


def _as_json(session: ChatSession) -> bytes:
    messages = list(Message.objects.filter(session_id=session.id).defer("search").order_by("depth", "id"))
    variants = selectors.list_all_variants(session.id)
    body: dict[str, Any] = {
        "format": "parlor.chat",
        "version": 1,
        "session": payloads.session_payload(session),
        "active_leaf": str(session.active_leaf_id) if session.active_leaf_id else None,
        "messages": [payloads.message_payload(message, variants[message.id]) for message in messages],
    }
    return json.dumps(body, ensure_ascii=False, indent=2).encode()


def _as_markdown(session: ChatSession) -> str:
    names: dict[str, str] = {Message.Role.USER: _("You"), Message.Role.ASSISTANT: session.persona.name}
    parts = [f"# {_plain(session.title)}", _("A chat with %(name)s") % {"name": _plain(session.persona.name)}]
    for message in selectors.list_whole_branch(session):
        if message.content:
            when = message.created_at.strftime("%Y-%m-%d %H:%M")
            parts.append(
                f"**{_plain(names.get(message.role, message.role))}** · {when} UTC\n\n{message.content}"
            )
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """A name that stays one line and means no markup."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", " ".join(text.split()))
