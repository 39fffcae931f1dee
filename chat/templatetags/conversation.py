from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.translation import gettext_lazy as _

from chat import policy
from chat.selectors import BranchMessage

register = template.Library()

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
def ending(code: str) -> str:
    """Why a reply ended other than well."""
    return policy.detail_for(code)


@register.filter
def part_name(name: str) -> Any:
    return _PARTS.get(name, name.replace("_", " ").capitalize())


@register.filter
def last_id(rows: Sequence[BranchMessage]) -> Any:
    return rows[-1].message.id
