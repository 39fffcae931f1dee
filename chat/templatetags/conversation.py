from typing import Any

from django import template
from django.utils.translation import gettext_lazy as _

from chat import policy
from chat.models import Message
from chat.selectors import BranchMessage

register = template.Library()

_UNFINISHED = (Message.Status.PENDING, Message.Status.STREAMING)
_BROKEN_OFF = (Message.Status.STOPPED, Message.Status.INTERRUPTED)
_NOT_ANSWERED = (Message.Status.FAILED, Message.Status.BLOCKED, *_BROKEN_OFF)
# The parts of a prompt, as its receipt names them.
_PARTS = {
    "instructions": _("Instructions"),
    "persona": _("Persona"),
    "constant_lore": _("Lore that is always there"),
    "examples": _("Example dialogue"),
    "history": _("Earlier messages"),
    "lore": _("Lore that came up"),
    "closing_instructions": _("Closing instructions"),
    "newest_message": _("Your message"),
}


@register.filter
def is_unfinished(message: Message) -> bool:
    return message.status in _UNFINISHED


@register.filter
def ending(message: Message) -> str:
    """Why a reply ended other than well, and what that means for the charge; empty where it ended well."""
    return policy.detail_for(message.code) if message.role == Message.Role.ASSISTANT else ""


@register.filter
def can_go_on(message: Message) -> bool:
    is_cut = message.status in _BROKEN_OFF or message.code == policy.LENGTH
    return is_cut and bool(message.content) and message.parent_id is not None


@register.filter
def can_try_again(message: Message) -> bool:
    return message.status in _NOT_ANSWERED and message.parent_id is not None


@register.filter
def version(row: BranchMessage) -> str:
    """Differs when the message has to be drawn again."""
    message, variant = row.message, row.variant
    return f"{message.status}-{len(message.content)}-{message.feedback}-{variant.index}-{variant.count}"


@register.filter
def part_name(name: str) -> Any:
    return _PARTS.get(name, name.replace("_", " ").capitalize())
