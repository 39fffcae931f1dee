"""The picture of a persona."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from files.models import File
from files.services import uploads
from personas import selectors
from personas.models import Persona

_KEYS = ("avatar_key", "card_image_key", "portrait_key")


def set_portrait(*, user_id: UUID, persona_id: UUID, data: bytes) -> Persona:
    """Show this picture from now on.

    Raises NotFound, and what upload_file raises for the picture.
    """
    # Decoding and writing files is slow, so it stays outside the transaction.
    persona = selectors.get_own_persona(user_id, persona_id)
    keys = store_portrait(user_id, persona.name, data)
    return _replace(user_id, persona_id, keys)


def remove_portrait(*, user_id: UUID, persona_id: UUID) -> Persona:
    """Go back to the drawn initial; raises NotFound."""
    return _replace(user_id, persona_id, dict.fromkeys(_KEYS, ""))


def store_portrait(owner_id: UUID, name: str, data: bytes) -> dict[str, str]:
    """Keep the sizes of a picture as a file of the owner's; answers the persona's fields for them.

    Raises as upload_file does.
    """
    file = uploads.upload_file(owner_id=owner_id, category=File.Category.PERSONA_IMAGE, name=name, data=data)
    return _keys_of(file)


def copy_portrait(owner_id: UUID, original: Persona) -> dict[str, str]:
    """Keep a persona's picture once more, as a file of this owner's, so that each may delete their own.

    Answers as store_portrait, nothing where there is no picture. Raises as copy_picture does.
    """
    if not original.portrait_key:
        return {}
    file = uploads.copy_picture(owner_id=owner_id, key=original.portrait_key, name=original.name)
    return _keys_of(file) if file else {}


def delete_files(keys: Iterable[str]) -> None:
    """Delete the files of a picture once the current transaction, if any, is saved."""
    uploads.delete_by_keys(keys)


def _keys_of(file: File) -> dict[str, str]:
    return {"avatar_key": file.thumbnail_key, "card_image_key": file.card_key, "portrait_key": file.key}


def _replace(user_id: UUID, persona_id: UUID, keys: dict[str, str]) -> Persona:
    with transaction.atomic():
        persona = selectors.own_persona_for_update(user_id, persona_id)
        before = {name: getattr(persona, name) for name in _KEYS}
        for name, key in keys.items():
            setattr(persona, name, key)
        persona.save(update_fields=_KEYS)
        delete_files(before.values())
    return persona
