"""Hands files of strangers to the child process and takes what it made of them."""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import structlog
from django.utils.translation import gettext_lazy as _

from common.errors import DomainError, Invalid, PayloadTooLarge, Unavailable, UnsupportedMedia
from files import sandbox

logger = structlog.get_logger("parlor.files")
_SCRIPT = Path(sandbox.__file__)
_SECONDS = 30
# Each child may take as much memory as the sandbox allows: so many at once in a process, the others wait.
_children = threading.BoundedSemaphore(2)
_MESSAGES = {
    "damaged": _("This file is damaged."),
    "encrypted": _("This PDF is protected by a password."),
    "too_many_pages": _("This PDF has too many pages."),
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a file turned out to be: facts about it, and what was drawn anew from it."""

    facts: dict[str, Any]
    parts: list[bytes]


def decode(kind: str, data: bytes, *, suffix: str = "") -> Decoded:
    """Let the child read `data` as `kind` (portrait, attachment, pdf, audio); takes up to 30 seconds.

    Raises UnsupportedMedia, PayloadTooLarge for too many pixels or too much memory, Invalid for what is
    damaged, Unavailable when no child could be started in time.
    """
    if not _children.acquire(timeout=_SECONDS):
        raise Unavailable(_("Too many files are being read right now."), retry_after=5)
    try:
        facts, parts = _run({"kind": kind, "suffix": suffix}, data)
    finally:
        _children.release()
    if "error" in facts:
        raise _refusal(facts["error"])
    return Decoded(facts, parts)


def _run(job: dict[str, str], data: bytes) -> sandbox.Answer:
    child = subprocess.Popen(
        [sys.executable, "-I", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        close_fds=True,
    )
    try:
        output, _errors = child.communicate(json.dumps(job).encode() + b"\n" + data, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        output = b""
    try:
        return sandbox.read_answer(BytesIO(output))
    except (ValueError, KeyError, TypeError):
        # It ran out of time or memory before it could say so.
        logger.warning("sandbox_died", kind=job["kind"], status=child.returncode)
        return {"error": "damaged"}, []


def _refusal(code: str) -> DomainError:
    if code == "unsupported":
        return UnsupportedMedia(_("Use a PNG, JPEG, WebP or GIF picture."))
    if code == "too_many_pixels":
        return PayloadTooLarge(_("This picture has too many pixels."))
    if code == "too_large":
        return PayloadTooLarge(_("This file needs too much memory to read."))
    return Invalid.field("file", code, _MESSAGES[code])
