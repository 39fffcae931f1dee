"""Where bytes are kept: the public store for pictures anybody may see, the private one for all else.

Names are ours, never the uploader's.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from common.errors import Unavailable
from common.ids import uuid7
from files import kinds

logger = structlog.get_logger("parlor.files")
PUBLIC = "default"
PRIVATE = "private"
CONTENT_TYPES = {"webp": "image/webp", "png": "image/png"}
_PUBLIC_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}\.(?P<suffix>webp|png)", re.ASCII)
_ANY_KEY = re.compile(r"(?:[0-9a-f]{2}|incoming)/[0-9a-f]{32}(?:\.[a-z0-9]{2,4})?", re.ASCII)


def new_key(suffix: str) -> str:
    name = uuid7().hex
    # The end of the id is random, so files spread evenly over the folders.
    return f"{name[-2:]}/{name}.{suffix}"


def alias_of(category: str) -> str:
    return PUBLIC if category in kinds.PUBLIC else PRIVATE


def store_of(alias: str) -> Storage:
    return storages[alias]


def save(alias: str, data: bytes, suffix: str) -> str:
    """Keep `data` and answer the key it is found under.

    Raises Unavailable when the store does not take it; nothing is left there then.
    """
    key = new_key(suffix)
    save_as(alias, key, data)
    return key


def save_as(alias: str, key: str, data: bytes) -> None:
    """Keep `data` under a key that is free. Raises as `save`."""
    try:
        store_of(alias).save(key, ContentFile(data))
    except Exception as error:
        logger.warning("store_failed", error=type(error).__name__)
        delete(alias, [key])
        raise Unavailable(_("Files can't be kept at the moment."), retry_after=60) from error


def save_public(data: bytes, suffix: str) -> str:
    """Keep a picture of our own making; `suffix`, one of CONTENT_TYPES, decides how it is served."""
    if suffix not in CONTENT_TYPES:
        raise ValueError(f"public files are not kept as {suffix!r}")
    return save(PUBLIC, data, suffix)


def read_public(key: str) -> bytes | None:
    """The bytes under a key; None for what is not a key of ours or is gone."""
    return read(PUBLIC, key) if _PUBLIC_KEY.fullmatch(key) else None


def read(alias: str, key: str, size: int = -1) -> bytes | None:
    """The bytes under a key, at most `size` of them; None when it is gone. Raises Unavailable."""
    with _reading():
        try:
            with store_of(alias).open(key) as file:
                return bytes(file.read(size))
        except FileNotFoundError:
            return None


def open_private(key: str) -> File | None:
    """The file itself, to be sent in pieces; None when it is gone. Raises Unavailable."""
    with _reading():
        try:
            return store_of(PRIVATE).open(key)
        except FileNotFoundError:
            return None


def delete(alias: str, keys: Iterable[str]) -> None:
    """Delete at once. What the store does not delete now is an orphan, and collected later."""
    for key in keys:
        if not _ANY_KEY.fullmatch(key):
            continue
        try:
            store_of(alias).delete(key)
        except Exception as error:  # noqa: BLE001 - stores fail in many ways, and the collector comes later
            logger.warning("delete_failed", error=type(error).__name__)


def delete_after_commit(alias: str, keys: Iterable[str]) -> None:
    """Delete once the current transaction, if any, is saved; empty keys are skipped."""
    wanted = [key for key in keys if key]
    transaction.on_commit(lambda: delete(alias, wanted), robust=True)


def content_type_of(key: str) -> str:
    return CONTENT_TYPES[key.rpartition(".")[2]]


@contextmanager
def _reading() -> Iterator[None]:
    """Stores fail to answer in many ways; all of them are one to the caller."""
    try:
        yield
    except Exception as error:
        logger.warning("store_failed", error=type(error).__name__)
        raise Unavailable(_("Files can't be read at the moment."), retry_after=60) from error
