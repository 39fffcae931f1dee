"""What the fields of a persona may hold."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypedDict

from django.utils.translation import gettext_lazy as _

from ai import selectors as ai
from ai.errors import ModelUnavailable
from common.errors import Invalid
from personas.cards.fields import normalise_tags
from personas.limits import GREETINGS_MAX, NAME_MAX, TAGLINE_MAX, TAGS_MAX, TEXT_MAX
from personas.models import LONG_TEXTS, MAX_TEMPERATURE, Category, Persona

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_CHOICES = {"rating": Persona.Rating, "visibility": Persona.Visibility, "status": Persona.Status}
_LONGEST = {"tagline": TAGLINE_MAX, **dict.fromkeys(LONG_TEXTS, TEXT_MAX)}


class PersonaFields(TypedDict, total=False):
    name: str
    tagline: str
    description: str
    greeting: str
    alternate_greetings: list[str]
    personality: str
    scenario: str
    example_dialogue: str
    system_prompt: str
    post_history_instructions: str
    model: str
    temperature: Decimal | None
    tags: list[str]
    category: str | None
    language: str
    rating: str
    visibility: str
    status: str
    allow_clone: bool


def clean_fields(fields: PersonaFields) -> dict[str, Any]:
    """The model's values for the given fields; raises Invalid naming the first that is wrong."""
    values: dict[str, Any] = dict(fields)
    for name, longest in _LONGEST.items():
        check_length(name, values.get(name, ""), longest)
    for name, choices in _CHOICES.items():
        if name in values and values[name] not in choices.values:
            raise Invalid.field(name, "invalid_choice", _("This is not one of the choices."))
    for name, clean in _CLEANERS.items():
        if name in values:
            values[name] = clean(values[name])
    if "category" in values:
        values["category_id"] = values.pop("category")
    return values


def is_language(code: str) -> bool:
    return len(code) <= 10 and _LANGUAGE.fullmatch(code) is not None


def _clean_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned:
        raise Invalid.field("name", "required", _("A persona needs a name."))
    check_length("name", cleaned, NAME_MAX)
    return cleaned


def _clean_greetings(greetings: list[str]) -> list[str]:
    if len(greetings) > GREETINGS_MAX:
        raise Invalid.field("alternate_greetings", "too_many", _("These are too many greetings."))
    for greeting in greetings:
        check_length("alternate_greetings", greeting, TEXT_MAX)
    return [greeting for greeting in greetings if greeting.strip()]


def _clean_tags(tags: list[str]) -> list[str]:
    cleaned = normalise_tags(tags)
    if len(cleaned) > TAGS_MAX:
        raise Invalid.field(
            "tags", "too_many", _("A persona carries at most %(limit)d tags.") % {"limit": TAGS_MAX}
        )
    return cleaned


def _known_category(slug: str | None) -> str | None:
    if not slug:
        return None
    if not Category.objects.filter(pk=slug).exists():
        raise Invalid.field("category", "invalid_choice", _("There is no such category."))
    return slug


def _clean_model(slug: str) -> str:
    if slug and not is_model(slug):
        raise Invalid.field("model", "invalid_choice", _("There is no such model."))
    return slug


def is_model(slug: str) -> bool:
    """Whether the catalogue has a model of this name that can be used now."""
    try:
        ai.get_model(slug)
    except ModelUnavailable:
        return False
    return True


def _clean_temperature(value: Decimal | None) -> Decimal | None:
    if value is not None and not 0 <= value <= MAX_TEMPERATURE:
        raise Invalid.field("temperature", "out_of_range", _("The temperature is between 0 and 2."))
    return value


def _clean_language(code: str) -> str:
    if not is_language(code):
        raise Invalid.field("language", "invalid", _("Give the language as a code such as “en” or “pt-BR”."))
    return code


def check_length(field: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise Invalid.field(
            field, "too_long", _("This may have at most %(limit)d characters.") % {"limit": longest}
        )


_CLEANERS: Mapping[str, Any] = {
    "name": _clean_name,
    "alternate_greetings": _clean_greetings,
    "tags": _clean_tags,
    "category": _known_category,
    "model": _clean_model,
    "temperature": _clean_temperature,
    "language": _clean_language,
}
