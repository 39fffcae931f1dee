"""The lorebook of a persona."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from common.errors import PayloadTooLarge
from personas import lore, selectors
from personas.cards.document import check_tree, dump_document
from personas.cards.limits import MAX_JSON_BYTES


def get_lorebook(*, user_id: UUID, persona_id: UUID) -> lore.Lorebook:
    """The owner's view of it, an empty one where there is none; raises NotFound."""
    return selectors.get_own_persona(user_id, persona_id).lorebook or lore.empty_lorebook()


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
