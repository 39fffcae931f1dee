"""The picture of a persona that has none: its initial before layered shapes, always the same for a persona.

All there is to know is in the code (`5c-A`), so the pictures need no rows and no files, and may be
cached for ever.
"""

import hashlib
import re
from functools import lru_cache
from io import BytesIO
from uuid import UUID

from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZES = {"card": (480, 640), "avatar": (192, 192)}
_CODE = re.compile(r"(?P<look>[0-9a-f]{2})-(?P<initial>[A-Z0-9_])", re.ASCII)
_NO_INITIAL = "_"
# Backdrop, hill, light; dusk colours that the page's paper and ink go with.
_PALETTES = (
    ("#2e3a4a", "#8a5a44", "#e8c39e"),
    ("#3b2f3f", "#9c4f4a", "#f0c9a4"),
    ("#263f3a", "#6d7f52", "#ead9a8"),
    ("#41352c", "#b0703c", "#f3dcb3"),
    ("#2b3350", "#5f6f9c", "#dcd3e6"),
    ("#4a2c34", "#a8576a", "#f2cfc4"),
    ("#23404d", "#4f8a8b", "#dfe6c8"),
    ("#3d3a2a", "#8c8248", "#efe3b4"),
)
_SCALE = 2


def monogram_code(name: str, persona_id: UUID) -> str:
    look = hashlib.sha256(persona_id.bytes).hexdigest()[:2]
    initial = next((char for char in name.upper() if char.isalnum()), _NO_INITIAL)
    # The bundled face draws Latin letters; other scripts get the shapes alone.
    return f"{look}-{initial if initial.isascii() else _NO_INITIAL}"


@lru_cache(maxsize=256)
def draw_monogram(code: str, size: str) -> bytes | None:
    """A WebP picture; None for a code or size that does not exist."""
    match = _CODE.fullmatch(code)
    if match is None or size not in SIZES:
        return None
    width, height = SIZES[size]
    picture = _draw(int(match["look"], 16), match["initial"], width * _SCALE, height * _SCALE)
    out = BytesIO()
    picture.resize((width, height), Image.Resampling.LANCZOS).save(out, "WEBP", quality=86, method=4)
    return out.getvalue()


def _draw(look: int, initial: str, width: int, height: int) -> Image.Image:
    back, hill, light = _PALETTES[look % len(_PALETTES)]
    picture = Image.new("RGB", (width, height), back)
    glow = Image.new("L", (width, height), 0)
    sun_x = width * (30 + look // 8 % 5 * 10) // 100
    sun_y, radius = height * 34 // 100, min(width, height) * 36 // 100
    ImageDraw.Draw(glow).ellipse(_circle(sun_x, sun_y, radius), fill=150)
    picture.paste(light, mask=glow.filter(ImageFilter.GaussianBlur(radius // 3)))
    draw = ImageDraw.Draw(picture)
    disc = radius * 72 // 100
    draw.ellipse(_circle(sun_x, sun_y, disc), fill=light)
    lean = 1 if look & 64 else -1
    draw.ellipse(_circle(width // 2 - lean * width // 2, height * 118 // 100, width * 80 // 100), fill=hill)
    draw.ellipse(
        _circle(width // 2 + lean * width * 45 // 100, height * 128 // 100, width * 84 // 100),
        fill=_darker(hill),
    )
    if initial != _NO_INITIAL:
        font = ImageFont.load_default(size=disc * 13 // 10)
        draw.text((sun_x, sun_y), initial, font=font, fill=back, anchor="mm")
    return picture


def _circle(x: int, y: int, radius: int) -> tuple[int, int, int, int]:
    return x - radius, y - radius, x + radius, y + radius


def _darker(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) * 7 // 10 for place in (1, 3, 5))
