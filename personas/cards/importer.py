"""From the bytes of a card file to the card, its fields and its picture."""

import base64
import binascii
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from personas.cards import png
from personas.cards.document import Document, parse_document
from personas.cards.errors import CardTooLarge, InvalidCard, NotACard
from personas.cards.fields import CardFields, read_fields
from personas.cards.limits import MAX_FILE_BYTES


@dataclass(frozen=True, slots=True)
class ImportedCard:
    document: Document
    fields: CardFields
    picture: bytes | None


def read_card(data: bytes) -> ImportedCard:
    """A character card of version 1, 2 or 3, as JSON or in a PNG.

    Raises CardTooLarge, NotACard where it is neither JSON nor PNG, and InvalidCard with a reason for all
    that is damaged, hostile or unusable. The picture is only checked for being small enough to decode.
    """
    if len(data) > MAX_FILE_BYTES:
        raise CardTooLarge(_("A card file may have at most 10 MB."))
    if png.is_png(data):
        texts = png.read_card_texts(data)
        if not texts:
            raise InvalidCard("card_missing", _("There is no character card in this picture."))
        # A card of version 3 has a poorer copy of itself beside it for readers of version 2.
        document = parse_document(_decode(texts.get("ccv3") or texts.get("chara", b"")))
        return ImportedCard(document, read_fields(document), data)
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        raise NotACard(_("A character card is a PNG picture or a JSON file."))
    document = parse_document(data)
    return ImportedCard(document, read_fields(document), None)


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise InvalidCard("card_not_base64", _("The card in this picture is damaged.")) from error
