"""Public files: pictures anybody who knows the address may see. The names are ours, never the uploader's."""

import re
from collections.abc import Iterable

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from common.ids import uuid7

CONTENT_TYPES = {"webp": "image/webp", "png": "image/png"}
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}\.(?P<suffix>webp|png)", re.ASCII)


def save_public(data: bytes, suffix: str) -> str:
    """Keep `data` (already checked and re-encoded) and answer the key it is found under.

    `suffix` is one of CONTENT_TYPES, since it decides how browsers treat the file.
    """
    if suffix not in CONTENT_TYPES:
        raise ValueError(f"public files are not kept as {suffix!r}")
    name = uuid7().hex
    # The end of the id is random, so files spread evenly over the folders.
    return default_storage.save(f"{name[-2:]}/{name}.{suffix}", ContentFile(data))


def read_public(key: str) -> bytes | None:
    """The bytes under a key; None for what is not a key of ours or is gone."""
    if not _KEY.fullmatch(key):
        return None
    try:
        with default_storage.open(key) as file:
            return bytes(file.read())
    except FileNotFoundError:
        return None


def delete_public_after_commit(keys: Iterable[str]) -> None:
    """Delete files once the current transaction is saved; empty keys are skipped."""
    wanted = [key for key in keys if _KEY.fullmatch(key)]

    def delete() -> None:
        for key in wanted:
            default_storage.delete(key)

    transaction.on_commit(delete, robust=True)


def content_type_of(key: str) -> str:
    return CONTENT_TYPES[key.rpartition(".")[2]]
