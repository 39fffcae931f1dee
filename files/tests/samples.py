"""Small real files of every kind, and hostile ones."""

import math
import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image


def picture(kind: str = "PNG", size: tuple[int, int] = (60, 80), mode: str = "RGB", **options: Any) -> bytes:
    out = BytesIO()
    Image.new(mode, size, 0).save(out, kind, **options)
    return out.getvalue()


def moving(frames: int = 3, size: tuple[int, int] = (40, 30)) -> bytes:
    pictures = [Image.new("RGB", size, (number * 7 % 256, 40, 90)) for number in range(frames)]
    out = BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=80, loop=0)
    return out.getvalue()


def phone_picture(
    size: tuple[int, int] = (80, 60), second: tuple[int, int] = (40, 30), turn: int = 1
) -> bytes:
    """What phones write: a JPEG with a smaller one behind it, to be turned as `turn` says."""
    exif = Image.Exif()
    exif[0x0112] = turn
    out = BytesIO()
    Image.new("RGB", size, "red").save(
        out, "MPO", save_all=True, append_images=[Image.new("RGB", second, "blue")], exif=exif
    )
    return out.getvalue()


def png_of(width: int, height: int, *, real: bool = False) -> bytes:
    """A PNG that says it is so large; with `real` its pixels are really there, packed."""
    body = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = b"\x00" + bytes(math.ceil(width / 8))
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(row) for _row in range(height)) if real else packer.compress(b"\x00")
    chunks = b""
    for kind, data in ((b"IHDR", body), (b"IDAT", pixels + packer.flush()), (b"IEND", b"")):
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunks


def wav(seconds: float = 0.1, extra: bytes = b"") -> bytes:
    rate = 8000
    data = bytes(int(rate * seconds))
    form = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data + extra
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def mp3(frames: int = 40, tag: bytes = b"") -> bytes:
    # MPEG 1, layer 3, 128 kbit/s, 44.1 kHz: frames of 417 bytes.
    return tag + (b"\xff\xfb\x90\x00" + bytes(413)) * frames


def m4a() -> bytes:
    def box(kind: bytes, *content: bytes) -> bytes:
        body = b"".join(content)
        return struct.pack(">I", len(body) + 8) + kind + body

    movie = struct.pack(">IIIIII", 0, 0, 0, 1000, 2000, 0x10000) + bytes(76)
    media = struct.pack(">IIIIIHH", 0, 0, 0, 8000, 16000, 0, 0)
    decoder = b"\x04\x11\x40\x15" + bytes(3) + struct.pack(">II", 64_000, 64_000) + b"\x05\x02\x15\x88"
    stream = box(b"esds", bytes(4), b"\x03\x19\x00\x01\x00" + decoder + b"\x06\x01\x02")
    sound = bytes(6) + b"\x00\x01" + bytes(8) + struct.pack(">HHIHH", 1, 16, 0, 8000, 0)
    entry = box(b"mp4a", sound, stream)
    table = box(b"stbl", box(b"stsd", struct.pack(">II", 0, 1), entry))
    track = box(b"trak", box(b"mdia", box(b"mdhd", media), box(b"minf", table)))
    return box(b"ftyp", b"M4A \x00\x00\x00\x00M4A isom") + box(b"moov", box(b"mvhd", movie), track)


def pdf(pages: int = 1, **encryption: str) -> bytes:
    from pypdf import PdfWriter

    writer = PdfWriter()
    for _page in range(pages):
        writer.add_blank_page(200, 200)
    if encryption:
        writer.encrypt(**encryption)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


HTML = b"<html><script>alert(1)</script></html>"


def with_text(length: int) -> bytes:
    """A PNG with so much text in it, packed."""
    plain = picture()
    text = b"zTXt" + b"Comment\x00\x00" + zlib.compress(b"A" * length, 9)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return plain[:33] + chunk + plain[33:]


def pdf_with_index(length: int) -> bytes:
    """A PDF whose table of objects is a packed stream of so many bytes."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1024 * 1024)) for _part in range(length // 1024 // 1024))
    packed += packer.flush()
    head = b"%PDF-1.5\n"
    entries = b"/Type /XRef /Size 3 /W [1 2 1] /Root 1 0 R /Filter /FlateDecode"
    index = b"2 0 obj\n<< %s /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (entries, len(packed), packed)
    return head + index + b"startxref\n%d\n%%%%EOF\n" % len(head)
