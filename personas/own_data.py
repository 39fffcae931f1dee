"""Personas of people, for their export and for when they leave."""

from collections.abc import Iterator
from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.privacy import Fate, Part, Section, register
from personas.models import Persona, PersonaActivity, PersonaFavorite, PersonaLike
from personas.services import cards, portraits

_PLAN = {
    "personas.Persona": (Fate.DELETED, "one that others talked with stays as an empty shell in their chats"),
    "personas.PersonaActivity": (Fate.DELETED, ""),
    "personas.PersonaFavorite": (Fate.DELETED, ""),
    "personas.PersonaLike": (Fate.DELETED, ""),
}
_KEYS = ("avatar_key", "card_image_key", "portrait_key")


def register_part() -> None:
    register(Part("personas", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    own = Persona.objects.filter(owner_id=user_id).order_by("id")
    yield Section("personas/personas.json", own.values().iterator(500))
    for persona in own.filter(deleted_at=None).iterator(100):
        card = cards.export_card(user_id=user_id, persona_id=persona.pk, file_format="json", spec="v3")
        yield Section(f"personas/cards/{persona.pk}.json", data=card.data)
    for name, model in (("likes", PersonaLike), ("favorites", PersonaFavorite)):
        marks = model.objects.filter(user_id=user_id)
        yield Section(f"personas/{name}.json", marks.values("persona__name", "persona_id", "created_at"))


def _erase(user_id: UUID) -> None:
    for model in (PersonaActivity, PersonaLike, PersonaFavorite):
        model.objects.filter(user_id=user_id).delete()
    for persona in Persona.objects.filter(owner_id=user_id):
        _erase_persona(persona)


def _erase_persona(persona: Persona) -> None:
    keys = [getattr(persona, name) for name in _KEYS]
    try:
        with transaction.atomic():
            persona.delete()
    except ProtectedError:
        _empty(persona)
    portraits.delete_files(keys)


def _empty(persona: Persona) -> None:
    shell = Persona(
        id=persona.id,
        owner_id=persona.owner_id,
        slug=f"deleted-{persona.id.hex}",
        name=_("Deleted persona"),
        language=persona.language,
        category_id=persona.category_id,
        visibility=Persona.Visibility.PRIVATE,
        status=Persona.Status.DRAFT,
        created_at=persona.created_at,
        deleted_at=persona.deleted_at or timezone.now(),
    )
    shell.save(force_update=True)
