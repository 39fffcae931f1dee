"""The text chunks of a PNG in which character cards travel.

Chunks are walked by hand: an image library would inflate every text chunk it meets, and a few kilobytes of
zTXt inflate to gigabytes. Nothing here decodes pixels.
"""

import struct
import zlib
from collections.abc import Iterator

from django.utils.translation import gettext_lazy as _

from personas.cards.errors import CardTooLarge, InvalidCard
from personas.cards.limits import MAX_CHUNKS, MAX_JSON_BYTES, MAX_PIXELS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEYWORDS = ("ccv3", "chara")
# base64 makes four characters of three bytes.
_MAX_TEXT_BYTES = MAX_JSON_BYTES * 4 // 3 + 4
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


def is_png(data: bytes) -> bool:
    return data.startswith(SIGNATURE)


def read_card_texts(data: bytes) -> dict[str, bytes]:
    """The still encoded texts found under `ccv3` and `chara`, by keyword.

    Raises InvalidCard for a damaged file, a keyword that comes twice or too many pixels, CardTooLarge for
    a text that is longer than a card may be (a compressed one is not inflated further than that).
    """
    texts: dict[str, bytes] = {}
    for kind, body in _chunks(data):
        if kind not in _TEXT_CHUNKS:
            continue
        name, _separator, rest = body.partition(b"\x00")
        keyword = name.decode("latin-1")
        if keyword not in KEYWORDS:
            continue
        if keyword in texts:
            raise InvalidCard("card_duplicate_chunk", _("The picture carries more than one card."))
        texts[keyword] = _text_of(kind, rest)
    return texts


def write_card_texts(image: bytes, texts: dict[str, bytes]) -> bytes:
    """`image` (a PNG) with `texts` as tEXt chunks before its end, and without cards it carried before."""
    parts = [SIGNATURE]
    for kind, body in _chunks(image):
        if kind in _TEXT_CHUNKS and body.partition(b"\x00")[0].decode("latin-1") in KEYWORDS:
            continue
        if kind == b"IEND":
            parts.extend(
                _chunk(b"tEXt", name.encode("latin-1") + b"\x00" + text) for name, text in texts.items()
            )
        parts.append(_chunk(kind, body))
    return b"".join(parts)


def without_texts(image: bytes) -> bytes:
    """`image` without any text chunk: what a decoder should be given of a stranger's picture."""
    return SIGNATURE + b"".join(
        _chunk(kind, body) for kind, body in _chunks(image) if kind not in _TEXT_CHUNKS
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not is_png(data):
        raise InvalidCard("card_damaged", _("This is not a PNG picture."))
    position = len(SIGNATURE)
    for index in range(MAX_CHUNKS):
        if position + 12 > len(data):
            raise _damaged()
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise _damaged()
        body = data[position + 8 : end]
        if struct.unpack_from(">I", data, end)[0] != zlib.crc32(body, zlib.crc32(kind)):
            raise _damaged()
        if index == 0:
            _check_header(kind, body)
        yield kind, body
        if kind == b"IEND":
            return
        position = end + 4
    raise InvalidCard("card_too_many_chunks", _("The picture is made of too many pieces."))


def _check_header(kind: bytes, body: bytes) -> None:
    if kind != b"IHDR" or len(body) != 13:
        raise _damaged()
    width, height = struct.unpack_from(">II", body)
    if not width or not height:
        raise _damaged()
    if width * height > MAX_PIXELS:
        raise InvalidCard("image_too_many_pixels", _("The picture has too many pixels."))


def _text_of(kind: bytes, rest: bytes) -> bytes:
    if kind == b"tEXt":
        text, compressed = rest, False
    elif kind == b"zTXt":
        text, compressed = _after_method(rest), True
    else:
        flag, rest = rest[:1], rest[1:]
        if flag not in (b"\x00", b"\x01"):
            raise _damaged()
        compressed = flag == b"\x01"
        pieces = _after_method(rest).split(b"\x00", 2)
        if len(pieces) != 3:
            raise _damaged()
        text = pieces[2]
    if compressed:
        text = _inflate(text)
    if len(text) > _MAX_TEXT_BYTES:
        raise _too_large()
    return text


def _after_method(rest: bytes) -> bytes:
    if rest[:1] != b"\x00":
        raise _damaged()
    return rest[1:]


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, _MAX_TEXT_BYTES + 1)
    except zlib.error as error:
        raise _damaged() from error
    if len(text) > _MAX_TEXT_BYTES:
        raise _too_large()
    if not inflater.eof:
        raise _damaged()
    return text


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _damaged() -> InvalidCard:
    return InvalidCard("card_damaged", _("The file is damaged or not complete."))


def _too_large() -> CardTooLarge:
    return CardTooLarge(_("A card may hold at most 256 KB of text."))
