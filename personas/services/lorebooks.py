"""The lorebook of a persona."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from common.errors import NotFound, PayloadTooLarge
from personas import lore, selectors
from personas.cards.document import check_tree, dump_document
from personas.cards.limits import MAX_JSON_BYTES


def get_lorebook(*, user_id: UUID, persona_id: UUID) -> lore.Lorebook:
    """The owner's view of it, an empty one where there is none; raises NotFound."""
    return selectors.get_own_persona(user_id, persona_id).lorebook or lore.empty_lorebook()


def save_entry(*, user_id: UUID, persona_id: UUID, index: int | None, entry: dict[str, Any]) -> lore.Lorebook:
    """Set the given fields of the entry at `index`, or add one at the end for None; its other fields stay.

    Raises NotFound also where there is no such entry, and Invalid and PayloadTooLarge as put_lorebook.
    """
    with transaction.atomic():
        book, entries = _entries_for_update(user_id, persona_id)
        if index is None:
            entries.append(entry)
        elif index < len(entries):
            entries[index] = {**entries[index], **entry}
        else:
            raise NotFound
        return put_lorebook(user_id=user_id, persona_id=persona_id, lorebook={**book, "entries": entries})


def delete_entry(*, user_id: UUID, persona_id: UUID, index: int) -> lore.Lorebook:
    """Raises NotFound where there is no such entry."""
    with transaction.atomic():
        book, entries = _entries_for_update(user_id, persona_id)
        if index >= len(entries):
            raise NotFound
        del entries[index]
        return put_lorebook(user_id=user_id, persona_id=persona_id, lorebook={**book, "entries": entries})


def put_lorebook(*, user_id: UUID, persona_id: UUID, lorebook: Any) -> lore.Lorebook:
    """Replace it; raises NotFound, Invalid naming the field that is wrong, PayloadTooLarge over 256 KB."""
    book = lore.clean_lorebook(lorebook)
    check_tree(book)
    if len(dump_document(book)) > MAX_JSON_BYTES:
        raise PayloadTooLarge(_("A lorebook may hold at most 256 KB of text."))
    with transaction.atomic():
        persona = selectors.own_persona_for_update(user_id, persona_id)
        persona.lorebook = book if book != lore.empty_lorebook() else None
        persona.save(update_fields=["lorebook"])
    return book


def _entries_for_update(user_id: UUID, persona_id: UUID) -> tuple[lore.Lorebook, list[dict[str, Any]]]:
    book = selectors.own_persona_for_update(user_id, persona_id).lorebook or lore.empty_lorebook()
    return book, list(book["entries"])
