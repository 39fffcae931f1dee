"""X31 and X42: pictures leave as small WebP files drawn by us, and hostile ones are refused."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from common.errors import Invalid, PayloadTooLarge, UnsupportedMedia
from files.services.images import MAX_BYTES, Portrait, make_portrait


def picture(
    kind: str = "PNG", size: tuple[int, int] = (60, 80), mode: str = "RGB", **options: object
) -> bytes:
    out = BytesIO()
    Image.new(mode, size, 0).save(out, kind, **options)
    return out.getvalue()


def avatar(data: bytes) -> bytes:
    return make_portrait(data).avatar


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def png_header(width: int, height: int) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, data in ((b"IHDR", body), (b"IDAT", zlib.compress(b"\x00" * 10)), (b"IEND", b"")):
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_every_accepted_format_becomes_three_webp_sizes(kind: str) -> None:
    portrait = make_portrait(picture(kind, (1500, 2000)))
    sizes = [(opened(part).format, opened(part).mode, opened(part).size) for part in _parts(portrait)]
    assert sizes == [("WEBP", "RGB", (480, 640)), ("WEBP", "RGB", (192, 192)), ("WEBP", "RGB", (768, 1024))]


def test_a_small_picture_is_not_blown_up_in_full_size() -> None:
    assert opened(make_portrait(picture(size=(60, 80))).full).size == (60, 80)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_colour_mode_of_png_is_read(mode: str) -> None:
    assert opened(avatar(picture(mode=mode))).size == (192, 192)


def test_a_transparent_picture_stands_on_paper() -> None:
    red, green, blue = opened(avatar(picture(mode="RGBA"))).getpixel((96, 96))
    assert (abs(red - 240) < 4, abs(green - 233) < 4, abs(blue - 222) < 4) == (True, True, True)


def test_metadata_is_stripped_and_the_camera_rotation_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    full = make_portrait(picture("JPEG", (80, 60), exif=exif)).full
    assert opened(full).size == (60, 80)
    assert dict(opened(full).getexif()) == {}
    assert b"taken at home" not in full


def test_an_animation_gives_its_first_frame() -> None:
    out = BytesIO()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "green")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    red, _green, blue = opened(avatar(out.getvalue())).getpixel((96, 96))
    assert (red > 230, blue < 25) == (True, True)


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'<?xml version="1.0"?><svg/>',
        b"%PDF-1.7",
        b"8BPS\x00\x01" + b"\x00" * 40,
        b"",
        b"hello",
    ],
)
def test_what_is_not_one_of_the_four_formats_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        make_portrait(data)


def test_rare_formats_pillow_could_read_are_refused() -> None:
    for kind in ("BMP", "TIFF", "ICO", "PPM"):
        with pytest.raises(UnsupportedMedia):
            make_portrait(picture(kind))


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (6_500, 6_500), (40_000_001, 1)])
def test_too_many_pixels_are_refused_before_decoding(width: int, height: int) -> None:
    with pytest.raises(PayloadTooLarge):
        make_portrait(png_header(width, height))


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        make_portrait(b"\x89PNG\r\n\x1a\n" + b"\x00" * MAX_BYTES)


def test_a_damaged_picture_is_refused() -> None:
    whole = picture("JPEG", (400, 400))
    for data in (whole[: len(whole) // 2], png_header(100, 100), picture()[:60]):
        with pytest.raises((Invalid, UnsupportedMedia)) as refusal:
            make_portrait(data)
        assert refusal.value.status in (415, 422)


def test_a_text_bomb_in_a_png_is_refused() -> None:
    bomb = b"Comment\x00\x00" + zlib.compress(b"A" * 64 * 1024 * 1024, 9)
    plain = picture()
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    with pytest.raises(Invalid):
        make_portrait(plain[:33] + chunk + plain[33:])


def _parts(portrait: Portrait) -> tuple[bytes, bytes, bytes]:
    return portrait.card, portrait.avatar, portrait.full
