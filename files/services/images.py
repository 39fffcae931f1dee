"""Pictures people upload, made small and harmless: what leaves here was drawn anew by a child of ours."""

from dataclasses import dataclass
from io import BytesIO

from django.utils.translation import gettext_lazy as _
from PIL import Image

from common.errors import PayloadTooLarge
from files.services.decoding import decode

MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Portrait:
    """WebP pictures: a 3:4 card of 480 by 640, a square of 192, and the whole within 1024."""

    card: bytes
    avatar: bytes
    full: bytes


def make_portrait(data: bytes) -> Portrait:
    """The sizes a portrait is shown in.

    Raises PayloadTooLarge over 10 MB or 16 megapixels (JPEG: 50), UnsupportedMedia for anything but PNG,
    JPEG, WebP and GIF (of which the first frame counts), Invalid for a picture that can't be decoded.
    """
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge(_("A picture may have at most 10 MB."))
    card, avatar, full = decode("portrait", data).parts
    return Portrait(card=card, avatar=avatar, full=full)


def as_png(data: bytes) -> bytes:
    """A picture of our own making as a PNG without metadata."""
    out = BytesIO()
    with Image.open(BytesIO(data), formats=("WEBP", "PNG")) as picture:
        picture.convert("RGB").save(out, "PNG", optimize=False)
    return out.getvalue()
