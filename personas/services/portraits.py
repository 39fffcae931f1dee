"""The picture of a persona."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from files.services import images, store
from personas import selectors
from personas.models import Persona

_KEYS = ("avatar_key", "card_image_key", "portrait_key")


def set_portrait(*, user_id: UUID, persona_id: UUID, data: bytes) -> Persona:
    """Show this picture from now on.

    Raises NotFound, and PayloadTooLarge, UnsupportedMedia or Invalid for the picture as make_portrait does.
    """
    selectors.get_own_persona(user_id, persona_id)
    # Decoding and writing files is slow, so it stays outside the transaction.
    keys = store_portrait(data)
    return _replace(user_id, persona_id, keys)


def remove_portrait(*, user_id: UUID, persona_id: UUID) -> Persona:
    """Go back to the drawn initial; raises NotFound."""
    return _replace(user_id, persona_id, dict.fromkeys(_KEYS, ""))


def store_portrait(data: bytes) -> dict[str, str]:
    """Keep the sizes of a picture; answers the persona's fields for them. Raises as make_portrait does."""
    portrait = images.make_portrait(data)
    return {
        "avatar_key": store.save_public(portrait.avatar, "webp"),
        "card_image_key": store.save_public(portrait.card, "webp"),
        "portrait_key": store.save_public(portrait.full, "webp"),
    }


def delete_files(keys: Iterable[str]) -> None:
    """Delete the files of a picture once the current transaction, if any, is saved."""
    store.delete_public_after_commit(keys)


def _replace(user_id: UUID, persona_id: UUID, keys: dict[str, str]) -> Persona:
    with transaction.atomic():
        persona = selectors.own_persona_for_update(user_id, persona_id)
        before = {name: getattr(persona, name) for name in _KEYS}
        for name, key in keys.items():
            setattr(persona, name, key)
        persona.save(update_fields=_KEYS)
        if not Persona.objects.filter(portrait_key=before["portrait_key"]).exists():
            # No copy of the persona shows them either.
            delete_files(before.values())
    return persona
