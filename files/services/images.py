"""Pictures people upload, made small and harmless: what leaves here was drawn anew by us."""

import struct
import threading
from dataclasses import dataclass
from io import BytesIO

from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import Invalid, PayloadTooLarge, UnsupportedMedia

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
CARD_SIZE = (480, 640)
AVATAR_SIZE = (192, 192)
FULL_SIZE = (1024, 1024)
# No crop needs more than this, and a large picture is halved before it is worked on.
_WORK_SIZE = (2048, 2048)
# What shows through transparent pictures: the paper of the pages.
_PAPER = (240, 233, 222)
# Faces sit above the middle of a portrait.
_FOCUS = (0.5, 0.3)
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
)
# Decoding is where a picture costs memory: at most this many at once in a process.
_decoding = threading.BoundedSemaphore(2)

# Pillow's own guard beside ours: it warns from this size on and refuses from twice this size on.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


@dataclass(frozen=True, slots=True)
class Portrait:
    """WebP pictures: a 3:4 card of 480 by 640, a square of 192, and the whole within 1024."""

    card: bytes
    avatar: bytes
    full: bytes


def make_portrait(data: bytes) -> Portrait:
    """The sizes a portrait is shown in.

    Raises PayloadTooLarge over 10 MB or 40 megapixels, UnsupportedMedia for anything but PNG, JPEG, WebP
    and GIF (of which the first frame counts), Invalid for a picture that can't be decoded.
    """
    picture = open_picture(data)
    return Portrait(
        card=_as_webp(ImageOps.fit(picture, CARD_SIZE, Image.Resampling.LANCZOS, centering=_FOCUS)),
        avatar=_as_webp(ImageOps.fit(picture, AVATAR_SIZE, Image.Resampling.LANCZOS, centering=_FOCUS)),
        full=_as_webp(_within(picture, FULL_SIZE)),
    )


def make_avatar(data: bytes) -> bytes:
    """A square WebP of 192 pixels; raises as make_portrait does."""
    return _as_webp(ImageOps.fit(open_picture(data), AVATAR_SIZE, Image.Resampling.LANCZOS, centering=_FOCUS))


def open_picture(data: bytes) -> Image.Image:
    """The first frame, upright, in plain RGB, without metadata, at most 2048 pixels a side.

    Raises as make_portrait does.
    """
    if len(data) > MAX_BYTES:
        raise PayloadTooLarge(_("A picture may have at most 10 MB."))
    with _decoding:
        try:
            picture = _open(data)
            picture.draft("RGB", _WORK_SIZE)
            picture.load()
            return _flatten(ImageOps.exif_transpose(_within(picture, _WORK_SIZE)))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_many_pixels() from error
        except _DAMAGED as error:
            raise Invalid.field("file", "damaged", _("This picture is damaged.")) from error


def as_png(data: bytes) -> bytes:
    """A picture of ours (or any that open_picture takes) as a PNG without metadata."""
    out = BytesIO()
    open_picture(data).save(out, "PNG", optimize=False)
    return out.getvalue()


def _open(data: bytes) -> Image.Image:
    try:
        picture = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnsupportedMedia(_("Use a PNG, JPEG, WebP or GIF picture.")) from error
    if picture.width * picture.height > MAX_PIXELS:
        raise _too_many_pixels()
    return picture


def _within(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.width <= size[0] and picture.height <= size[1]:
        return picture
    # Palettes and single bits can't be averaged.
    smooth = picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGBA")
    smaller = smooth.copy() if smooth is picture else smooth
    smaller.info = picture.info
    smaller.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=2)
    return smaller


def _flatten(picture: Image.Image) -> Image.Image:
    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    if not has_alpha:
        flat = picture.convert("RGB")
    else:
        layer = picture.convert("RGBA")
        flat = Image.new("RGB", layer.size, _PAPER)
        flat.paste(layer, mask=layer.getchannel("A"))
    flat.info = {}
    return flat


def _as_webp(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "WEBP", quality=84, method=4)
    return out.getvalue()


def _too_many_pixels() -> PayloadTooLarge:
    return PayloadTooLarge(_("This picture has too many pixels."))
