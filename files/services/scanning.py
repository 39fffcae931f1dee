"""The virus scanner, where the operator has one: clamd, by its INSTREAM command.

Protocol: clamd(8), "COMMANDS". Files wait unserved until it has seen them.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import Invalid, Unavailable
from files.models import File
from files.services import quota, store

logger = structlog.get_logger("parlor.files")
_TIMEOUT_SECONDS = 20
_CHUNK = 65_536
_LONGEST_ANSWER = 4_096


class ScannerUnavailable(Exception):
    """The scanner can't be reached or does not speak as it should; asking again later makes sense."""


def is_on() -> bool:
    return bool(settings.CLAMD_URL)


def is_clean(data: bytes) -> bool:
    """Ask the scanner. Raises ScannerUnavailable."""
    try:
        with _connection() as scanner:
            scanner.sendall(b"zINSTREAM\0")
            for start in range(0, len(data), _CHUNK):
                part = data[start : start + _CHUNK]
                scanner.sendall(struct.pack("!I", len(part)) + part)
            scanner.sendall(struct.pack("!I", 0))
            answer = _read_answer(scanner)
    except OSError as error:
        raise ScannerUnavailable(type(error).__name__) from error
    if answer == "stream: OK":
        return True
    if answer.endswith(" FOUND"):
        logger.warning("upload_infected", signature=answer.removeprefix("stream: ").removesuffix(" FOUND"))
        return False
    raise ScannerUnavailable(answer[:100])


def scan_now(data: bytes) -> None:
    """For files that are shown at once. Raises Invalid for infected ones, Unavailable without the scanner."""
    if not is_on():
        return
    try:
        clean = is_clean(data)
    except ScannerUnavailable as error:
        raise Unavailable(_("Files can't be checked at the moment."), retry_after=60) from error
    if not clean:
        raise Invalid.field("file", "infected", _("This file contains a virus."))


def scan_file(*, file_id: UUID) -> None:
    """Look at a file that waits. Raises ScannerUnavailable, and the outbox asks again."""
    file = File.objects.filter(id=file_id, state=File.State.PENDING).first()
    if file is None:
        return
    data = store.read(store.alias_of(file.category), file.key)
    clean = data is not None and is_clean(data)
    with transaction.atomic():
        waiting = File.objects.filter(id=file_id, state=File.State.PENDING)
        if clean:
            waiting.update(state=File.State.READY)
        elif waiting.update(state=File.State.REFUSED, size=0):
            # The row stays, to tell its owner; what it stood for is gone, and takes no room.
            quota.give_back(owner_id=file.owner_id, size=file.size)
            store.delete_after_commit(store.alias_of(file.category), file.keys)


def scan_waiting() -> None:
    """Look at what still waits, for when the outbox has given up; stops at the first failure."""
    waiting = File.objects.filter(
        state=File.State.PENDING, created_at__lt=timezone.now() - timedelta(minutes=10)
    )
    for file_id in waiting.order_by("created_at").values_list("id", flat=True)[:500]:
        try:
            scan_file(file_id=file_id)
        except (ScannerUnavailable, Unavailable) as error:
            logger.warning("scanner_unavailable", error=str(error))
            return


@contextmanager
def _connection() -> Iterator[socket.socket]:
    address = urlsplit(settings.CLAMD_URL)
    if address.scheme == "unix":
        scanner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        scanner.settimeout(_TIMEOUT_SECONDS)
        target: str | tuple[str, int] = address.path
    else:
        scanner = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        scanner.settimeout(_TIMEOUT_SECONDS)
        target = (address.hostname or "127.0.0.1", address.port or 3310)
    with scanner:
        scanner.connect(target)
        yield scanner


def _read_answer(scanner: socket.socket) -> str:
    answer = b""
    while not answer.endswith(b"\0") and len(answer) < _LONGEST_ANSWER:
        part = scanner.recv(_LONGEST_ANSWER)
        if not part:
            break
        answer += part
    return answer.rstrip(b"\0").decode(errors="replace").strip()
