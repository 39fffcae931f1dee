"""How a card's fields and a persona's correspond.

Reading is deterministic, and writing compares with what reading gave: whatever the owner did not change
leaves exactly as it came, also where Parlor trims, shortens or has no field for it.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from django.utils.translation import gettext_lazy as _

from common.errors import Invalid
from personas.cards.document import Document, content_of
from personas.cards.errors import InvalidCard
from personas.limits import GREETINGS_MAX, NAME_MAX, TAG_MAX, TAGLINE_MAX, TAGS_MAX, TEXT_MAX
from personas.lore import Lorebook, clean_lorebook

EXTENSION = "parlor"
# A persona's field -> the card's.
TEXT_FIELDS = {
    "description": "description",
    "greeting": "first_mes",
    "personality": "personality",
    "scenario": "scenario",
    "example_dialogue": "mes_example",
    "system_prompt": "system_prompt",
    "post_history_instructions": "post_history_instructions",
}
# Fields a card has no place for; they travel in its extensions.
OWN_FIELDS = ("tagline", "category", "language", "rating", "model", "temperature")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFields:
    name: str
    description: str = ""
    greeting: str = ""
    alternate_greetings: tuple[str, ...] = ()
    personality: str = ""
    scenario: str = ""
    example_dialogue: str = ""
    system_prompt: str = ""
    post_history_instructions: str = ""
    tags: tuple[str, ...] = ()
    lorebook: Lorebook | None = None
    tagline: str = ""
    category: str = ""
    language: str = "en"
    rating: str = "everyone"
    model: str = ""
    temperature: str = ""


def read_fields(document: Document) -> CardFields:
    """What Parlor uses of a card; raises InvalidCard naming the first field that can't be used."""
    content = content_of(document)
    name = _text(content, "name").strip()[:NAME_MAX].strip()
    if not name:
        raise InvalidCard("card_without_name", _("The card's character has no name."))
    texts = {ours: _text(content, theirs) for ours, theirs in TEXT_FIELDS.items()}
    own = _own_fields(content)
    return CardFields(
        name=name,
        **texts,
        alternate_greetings=_greetings(content),
        tags=tuple(normalise_tags(_strings(content, "tags"))[:TAGS_MAX]),
        lorebook=_lorebook(content),
        **{"tagline": _tagline(_text(content, "creator_notes")), **own},
    )


def changed_fields(ours: CardFields, card: CardFields | None) -> dict[str, Any]:
    """The fields of `ours` that differ from the card's, or without one from those of an empty card."""
    before = card or CardFields(name="")
    return {
        field.name: getattr(ours, field.name)
        for field in fields(CardFields)
        if getattr(ours, field.name) != getattr(before, field.name)
    }


def normalise_tags(tags: Iterable[str]) -> list[str]:
    """Lower case, single spaces, no `#`, each once, none too long or empty; the order is kept."""
    cleaned = (
        re.sub(r"\s+", " ", unicodedata.normalize("NFKC", tag)).strip(" #,").casefold() for tag in tags
    )
    return list(dict.fromkeys(tag for tag in cleaned if 0 < len(tag) <= TAG_MAX))


def _text(content: Document, name: str) -> str:
    value = content.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidCard("card_wrong_type", _("“%(field)s” must be text.") % {"field": name})
    if len(value) > TEXT_MAX:
        raise InvalidCard(
            "card_field_too_long",
            _("“%(field)s” may have at most %(limit)d characters.") % {"field": name, "limit": TEXT_MAX},
        )
    return value


def _strings(content: Document, name: str) -> list[str]:
    value = content.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidCard("card_wrong_type", _("“%(field)s” must be a list of texts.") % {"field": name})
    return value


def _greetings(content: Document) -> tuple[str, ...]:
    greetings = _strings(content, "alternate_greetings")
    if len(greetings) > GREETINGS_MAX or any(len(greeting) > TEXT_MAX for greeting in greetings):
        raise InvalidCard(
            "card_field_too_long", _("The card has too many other greetings, or too long ones.")
        )
    return tuple(greetings)


def _lorebook(content: Document) -> Lorebook | None:
    raw = content.get("character_book")
    if raw is None:
        return None
    try:
        return clean_lorebook(raw, "character_book")
    except Invalid as error:
        problem = error.fields[0]
        raise InvalidCard(problem.code, f"{problem.field}: {problem.detail}") from error


def _tagline(notes: str) -> str:
    first_line = notes.strip().partition("\n")[0].strip()
    return first_line if len(first_line) <= TAGLINE_MAX else ""


def _own_fields(content: Document) -> dict[str, str]:
    extensions = content.get("extensions")
    own = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    if not isinstance(own, dict):
        return {}
    return {
        name: own[name]
        for name in OWN_FIELDS
        if isinstance(own.get(name), str) and len(own[name]) <= TAGLINE_MAX
    }
