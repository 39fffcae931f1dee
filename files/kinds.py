"""What may be uploaded: kinds told by their first bytes, and which of them each category takes."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from common.errors import UnsupportedMedia
from files.models import File

MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. `job` is what the sandbox does with it; text is looked at by us."""

    name: str
    content_type: str
    suffix: str
    job: str


PICTURE = Kind("picture", "image/webp", "webp", "attachment")
PDF = Kind("pdf", "application/pdf", "pdf", "pdf")
TEXT = Kind("text", "text/plain; charset=utf-8", "txt", "text")
MP3 = Kind("mp3", "audio/mpeg", "mp3", "audio")
WAV = Kind("wav", "audio/wav", "wav", "audio")
M4A = Kind("m4a", "audio/mp4", "m4a", "audio")

ACCEPTED = {
    File.Category.AVATAR: {PICTURE},
    File.Category.PERSONA_IMAGE: {PICTURE},
    File.Category.CHAT_ATTACHMENT: {PICTURE, PDF, TEXT, MP3, WAV, M4A},
    File.Category.KNOWLEDGE_BASE: {PDF, TEXT},
}
# Anybody may see these; the others are their owner's alone.
PUBLIC = frozenset({File.Category.AVATAR, File.Category.PERSONA_IMAGE})
_M4A_BRANDS = (b"M4A ", b"M4B ", b"mp42", b"mp41", b"isom", b"iso2", b"dash")


def recognise(data: bytes, category: str) -> Kind:
    """The kind of a file by its content alone. Raises UnsupportedMedia where the category takes no such."""
    kind = _sniff(data)
    if kind is None or kind not in ACCEPTED[File.Category(category)]:
        raise UnsupportedMedia(_WANTED[File.Category(category)])
    return kind


def _sniff(data: bytes) -> Kind | None:
    head = data[:16]
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")):
        return PICTURE
    if head[:4] == b"RIFF":
        return {b"WEBP": PICTURE, b"WAVE": WAV}.get(head[8:12])
    if head.startswith(b"%PDF-"):
        return PDF
    if head.startswith(b"ID3") or _is_mpeg_frame(head):
        return MP3
    if head[4:8] == b"ftyp":
        return M4A if head[8:12] in _M4A_BRANDS else None
    return TEXT if _is_text(data) else None


def _is_mpeg_frame(head: bytes) -> bool:
    """A frame of MPEG audio, layer 3: eleven set bits, then a version and the layer."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 0x08


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and not any(
        (character < " " and character not in "\t\n\r\f") or character == "\x7f" for character in text
    )


_PICTURES_ONLY = _("Use a PNG, JPEG, WebP or GIF picture.")
_WANTED = {
    File.Category.AVATAR: _PICTURES_ONLY,
    File.Category.PERSONA_IMAGE: _PICTURES_ONLY,
    File.Category.CHAT_ATTACHMENT: _("Use a picture, a PDF, a text file, or audio as MP3, WAV or M4A."),
    File.Category.KNOWLEDGE_BASE: _("Use a PDF or a text file."),
}
