"""Character cards in and out."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal
from uuid import UUID

from files.services import images, store
from personas import monograms, selectors
from personas.cards import png
from personas.cards.document import Document, Spec
from personas.cards.exporter import Provenance, as_json, as_png, build_card
from personas.cards.fields import TEXT_FIELDS, CardFields
from personas.cards.importer import read_card
from personas.errors import CopyingForbidden
from personas.models import MAX_TEMPERATURE, Category, Persona
from personas.services import personas
from personas.services.fields import is_language, is_model

FileFormat = Literal["json", "png"]


@dataclass(frozen=True, slots=True)
class CardFile:
    name: str
    content_type: str
    data: bytes


def import_card(*, owner_id: UUID, data: bytes) -> Persona:
    """A private persona from a character card (V1, V2 or V3, as JSON or PNG).

    Raises CardTooLarge, NotACard and InvalidCard as read_card, Invalid for a picture that can't be decoded,
    PersonaLimitReached and MaturePersona as create_persona. Nothing is kept where it raises.
    """
    card = read_card(data)
    persona = Persona(
        owner_id=owner_id, card=card.document, lorebook=card.fields.lorebook, **_values(card.fields)
    )
    return personas.add_persona(persona, picture=png.without_texts(card.picture) if card.picture else None)


def export_card(*, user_id: UUID, persona_id: UUID, file_format: FileFormat, spec: Spec) -> CardFile:
    """The persona as a card file. A PNG of version 3 carries a version 2 beside it for older readers.

    Raises NotFound and MaturePersona as get_visible_persona, CopyingForbidden for somebody else's persona
    that may not be copied.
    """
    persona = selectors.get_visible_persona(user_id, persona_id)
    if not personas.may_take_definition(user_id, persona):
        raise CopyingForbidden
    document = _document(persona, spec)
    name = f"{persona.slug}.{file_format}"
    if file_format == "json":
        return CardFile(name, "application/json", as_json(document))
    picture = images.as_png(_picture(persona))
    if spec == "v3":
        return CardFile(name, "image/png", as_png(picture, chara=_document(persona, "v2"), ccv3=document))
    return CardFile(name, "image/png", as_png(picture, chara=document, ccv3=None))


def card_fields_of(persona: Persona) -> CardFields:
    return CardFields(
        name=persona.name,
        **{field: getattr(persona, field) for field in TEXT_FIELDS},
        alternate_greetings=tuple(persona.alternate_greetings),
        tags=tuple(persona.tags),
        lorebook=persona.lorebook,
        tagline=persona.tagline,
        category=persona.category_id or "",
        language=persona.language,
        rating=persona.rating,
        model=persona.model,
        temperature="" if persona.temperature is None else f"{persona.temperature.normalize():f}",
    )


def _document(persona: Persona, spec: Spec) -> Document:
    provenance = Provenance(
        creator=persona.owner.display_name,
        created=int(persona.created_at.timestamp()),
        modified=int(persona.updated_at.timestamp()),
    )
    return build_card(card_fields_of(persona), persona.card, spec, provenance)


def _picture(persona: Persona) -> bytes:
    kept = store.read_public(persona.portrait_key) if persona.portrait_key else None
    drawn = monograms.draw_monogram(monograms.monogram_code(persona.name, persona.pk), "card")
    picture = kept or drawn
    assert picture is not None, "a persona's own monogram always exists"
    return picture


def _values(fields: CardFields) -> dict[str, object]:
    """A card may come from anywhere: wishes this platform does not know are left to its defaults."""
    return {
        "name": " ".join(fields.name.split()),
        "tagline": fields.tagline,
        **{name: getattr(fields, name) for name in TEXT_FIELDS},
        "alternate_greetings": list(fields.alternate_greetings),
        "tags": list(fields.tags),
        "category_id": fields.category if Category.objects.filter(pk=fields.category).exists() else None,
        "language": fields.language if is_language(fields.language) else "en",
        "rating": fields.rating if fields.rating in Persona.Rating.values else Persona.Rating.EVERYONE,
        "model": fields.model if fields.model and is_model(fields.model) else "",
        "temperature": _temperature(fields.temperature),
    }


def _temperature(text: str) -> Decimal | None:
    try:
        value = Decimal(text).quantize(Decimal("0.01"))
    except InvalidOperation:
        return None
    return value if 0 <= value <= MAX_TEMPERATURE else None
