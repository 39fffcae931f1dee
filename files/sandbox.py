"""The child process in which files of strangers are decoded: little memory, little time, no Django.

It is run by its path (`python -I files/sandbox.py`), reads one job from its input and writes one answer:
a line of JSON, then bytes. Nothing here may import from the project.
"""

import json
import resource
import struct
import sys
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any

MEMORY_BYTES = 640 * 1024 * 1024
CPU_SECONDS = 20

# Pictures are decoded whole, at up to 18 bytes a pixel; only JPEG can be read at a fraction of its size.
MAX_PIXELS = 4096 * 4096
MAX_JPEG_PIXELS = 50_000_000
MAX_FRAMES = 200
# All frames of a moving picture together: as they come, and at the size they are kept in.
MAX_DECODED_PIXELS = 200_000_000
MAX_MOVING_PIXELS = 60_000_000
CARD_SIZE = (480, 640)
AVATAR_SIZE = (192, 192)
# No crop needs more than this, and a large picture is halved before it is worked on.
WORK_SIZE = (2048, 2048)
# What shows through transparent pictures: the paper of the pages.
PAPER = (240, 233, 222)
# Faces sit above the middle of a portrait.
FOCUS = (0.5, 0.3)
MAX_PDF_PAGES = 2_000
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
# Pillow's name for what phones write: a JPEG with another, for screens or depth, behind it.
JPEG_FORMATS = ("JPEG", "MPO")

Answer = tuple[dict[str, Any], list[bytes]]


class Refused(Exception):
    """The file is not taken; the message is the code the caller knows."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    header, parts = answer(job, data)
    out = sys.stdout.buffer
    out.write(json.dumps({**header, "sizes": [len(part) for part in parts]}).encode() + b"\n")
    out.writelines(parts)
    out.flush()


def answer(job: dict[str, Any], data: bytes) -> Answer:
    try:
        return _JOBS[job["kind"]](job, data)
    except Refused as error:
        return {"error": str(error)}, []
    except MemoryError:
        return {"error": "too_large"}, []


def _portrait(job: dict[str, Any], data: bytes) -> Answer:
    """Card, square and whole, each a still WebP."""
    picture = _read_picture(data)
    whole = _within(picture, (1024, 1024))
    return {"width": whole.width, "height": whole.height}, [
        _as_webp(_crop(picture, CARD_SIZE)),
        _as_webp(_crop(picture, AVATAR_SIZE)),
        _as_webp(whole),
    ]


def _attachment(job: dict[str, Any], data: bytes) -> Answer:
    """The whole picture (moving, if it was) and a square for lists."""
    moving = _read_frames(data)
    picture = _read_picture(data)
    whole = _as_moving_webp(*moving) if moving else _as_webp(picture)
    size = {"width": picture.width, "height": picture.height}
    return size, [whole, _as_webp(_crop(picture, AVATAR_SIZE))]


def _read_picture(data: bytes) -> Any:
    """The first frame, upright, in plain RGB, without metadata, at most 2048 pixels a side."""
    from PIL import ImageOps

    def read() -> Any:
        picture = _open(data)
        picture.draft("RGB", WORK_SIZE)
        picture.load()
        return _flatten(ImageOps.exif_transpose(_within(picture, WORK_SIZE)))

    return _guarded(read)


def _read_frames(data: bytes) -> tuple[list[Any], list[int]] | None:
    """Frames and their milliseconds; None for a still picture."""
    from PIL import ImageOps, ImageSequence

    def read() -> tuple[list[Any], list[int]] | None:
        picture = _open(data)
        count = getattr(picture, "n_frames", 1)
        if count == 1 or picture.format in JPEG_FORMATS:
            return None
        shown = _within(picture.copy(), (1024, 1024))
        if count > MAX_FRAMES or count * picture.width * picture.height > MAX_DECODED_PIXELS:
            raise Refused("too_many_pixels")
        if count * shown.width * shown.height > MAX_MOVING_PIXELS:
            raise Refused("too_many_pixels")
        frames, durations = [], []
        for frame in ImageSequence.Iterator(picture):
            drawn = _within(frame.convert("RGBA"), (1024, 1024))
            ImageOps.exif_transpose(drawn, in_place=True)
            frames.append(drawn)
            durations.append(max(int(frame.info.get("duration") or 100), 20))
        return frames, durations

    found: tuple[list[Any], list[int]] | None = _guarded(read)
    return found


def _guarded(read: Callable[[], Any]) -> Any:
    from PIL import Image

    try:
        return read()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refused("too_many_pixels") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
        struct.error,
    ) as error:
        raise Refused("damaged") from error


def _open(data: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    # Pillow's own guard beside ours: it warns from this size on and refuses from twice this size on.
    Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS
    try:
        picture = Image.open(BytesIO(data), formats=PICTURE_FORMATS)
    except UnidentifiedImageError as error:
        raise Refused("unsupported") from error
    if picture.width * picture.height > (MAX_JPEG_PIXELS if picture.format in JPEG_FORMATS else MAX_PIXELS):
        raise Refused("too_many_pixels")
    return picture


def _within(picture: Any, size: tuple[int, int]) -> Any:
    from PIL import Image

    if picture.width <= size[0] and picture.height <= size[1]:
        return picture
    # Palettes and single bits can't be averaged.
    smooth = picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGBA")
    smaller = smooth.copy() if smooth is picture else smooth
    smaller.info = picture.info
    smaller.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=2)
    return smaller


def _flatten(picture: Any) -> Any:
    from PIL import Image

    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    if not has_alpha:
        flat = picture.convert("RGB")
    else:
        layer = picture.convert("RGBA")
        flat = Image.new("RGB", layer.size, PAPER)
        flat.paste(layer, mask=layer.getchannel("A"))
    flat.info = {}
    return flat


def _crop(picture: Any, size: tuple[int, int]) -> Any:
    from PIL import Image, ImageOps

    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS, centering=FOCUS)


def _as_webp(picture: Any) -> bytes:
    return _encode(picture, quality=84, method=4)


def _as_moving_webp(frames: list[Any], durations: list[int]) -> bytes:
    first, *others = frames
    return _encode(first, save_all=True, append_images=others, duration=durations, loop=0, quality=75)


def _encode(picture: Any, **options: Any) -> bytes:
    out = BytesIO()
    try:
        picture.save(out, "WEBP", **options)
    except (RuntimeError, ValueError, OSError) as error:
        raise Refused("damaged") from error
    return out.getvalue()


def _pdf(job: dict[str, Any], data: bytes) -> Answer:
    """Read every page's frame, without its content; encrypted files can't be searched and are refused."""
    from pypdf import PdfReader

    try:
        reader = PdfReader(BytesIO(data))
        if reader.is_encrypted:
            raise Refused("encrypted")
        pages = len(reader.pages)
        if not 0 < pages <= MAX_PDF_PAGES:
            raise Refused("damaged" if not pages else "too_many_pages")
        for page in reader.pages:
            page.mediabox.width  # noqa: B018 - reading it is the check
    except Refused:
        raise
    except RecursionError as error:
        raise Refused("damaged") from error
    except Exception as error:
        raise Refused("damaged") from error
    return {"pages": pages}, []


def _audio(job: dict[str, Any], data: bytes) -> Answer:
    """Length and kind, as the headers of the stream itself say."""
    from tinytag import TinyTag

    try:
        tag = TinyTag.get(f"file.{job['suffix']}", file_obj=BytesIO(data))
    except Exception as error:
        raise Refused("damaged") from error
    if not tag.duration or not 0 < tag.duration < 24 * 3600:
        raise Refused("damaged")
    return {"seconds": round(tag.duration, 2)}, []


_JOBS: dict[str, Callable[[dict[str, Any], bytes], Answer]] = {
    "portrait": _portrait,
    "attachment": _attachment,
    "pdf": _pdf,
    "audio": _audio,
}


def read_answer(stream: IO[bytes]) -> Answer:
    """The caller's side of the wire: what `main` wrote. Raises ValueError for anything else."""
    header = json.loads(stream.readline())
    return header, [stream.read(size) for size in header.pop("sizes")]


if __name__ == "__main__":
    main()
