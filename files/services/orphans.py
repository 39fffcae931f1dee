"""Bytes nobody points at any more: left behind by a crash between the store and the database."""

import re
from collections.abc import Iterator
from datetime import timedelta

import structlog
from django.core.files.storage import Storage
from django.db.models import Q
from django.utils import timezone

from accounts.models import DataExport
from files import registry
from files.models import DirectUpload, File
from files.services import store

logger = structlog.get_logger("parlor.files")
_MIN_AGE = timedelta(days=1)
# What else somebody keeps in the same bucket is none of our business.
_OUR_FOLDERS = re.compile(r"[0-9a-f]{2}|incoming|exports", re.ASCII)
_BATCH = 500


def collect_orphans() -> int:
    """Delete what is in the stores, older than a day, and known to nobody; answers how many."""
    return sum(_collect(alias) for alias in (store.PUBLIC, store.PRIVATE))


def _collect(alias: str) -> int:
    storage, deleted, batch = store.store_of(alias), 0, list[str]()
    for key in _old_keys(storage):
        batch.append(key)
        if len(batch) == _BATCH:
            deleted += _delete_unknown(storage, batch)
            batch = []
    return deleted + _delete_unknown(storage, batch)


def _delete_unknown(storage: Storage, keys: list[str]) -> int:
    known = _known(keys)
    return sum(_delete(storage, key) for key in keys if key not in known)


def _known(keys: list[str]) -> set[str]:
    """Keys of files, of what they show, of uploads on their way, and of the ZIPs people asked for."""
    known = set(registry.uses_of(keys))
    for model in (DirectUpload, DataExport):
        known |= set(model._default_manager.filter(key__in=keys).values_list("key", flat=True))
    mentioned = Q(key__in=keys) | Q(card_key__in=keys) | Q(thumbnail_key__in=keys)
    for file in File.objects.filter(mentioned):
        known |= set(file.keys)
    return known


def _delete(storage: Storage, key: str) -> bool:
    # Straight from the store's own listing: a name that is not ours may be collected all the same.
    try:
        storage.delete(key)
    except Exception as error:  # noqa: BLE001 - stores fail in many ways, and tomorrow is another night
        logger.warning("delete_failed", error=type(error).__name__)
        return False
    return True


def _old_keys(storage: Storage) -> Iterator[str]:
    before = timezone.now() - _MIN_AGE
    try:
        folders, _files = storage.listdir("")
    except FileNotFoundError:
        return
    for folder in sorted(filter(_OUR_FOLDERS.fullmatch, folders)):
        for name in storage.listdir(folder)[1]:
            key = f"{folder}/{name}"
            if storage.get_modified_time(key) < before:
                yield key
