"""Bytes nobody points at any more: left behind by a crash between the store and the database."""

from collections.abc import Iterator
from datetime import timedelta

from django.core.files.storage import Storage
from django.db.models import Q
from django.utils import timezone

from files import registry
from files.models import DirectUpload, File
from files.services import store

_MIN_AGE = timedelta(days=1)
_BATCH = 500


def collect_orphans() -> int:
    """Delete what is in the stores, older than a day, and known to nobody; answers how many."""
    return sum(_collect(alias) for alias in (store.PUBLIC, store.PRIVATE))


def _collect(alias: str) -> int:
    storage, deleted, batch = store.store_of(alias), 0, list[str]()
    for key in _old_keys(storage):
        batch.append(key)
        if len(batch) == _BATCH:
            deleted += _delete_unknown(alias, batch)
            batch = []
    return deleted + _delete_unknown(alias, batch)


def _delete_unknown(alias: str, keys: list[str]) -> int:
    known = set(registry.uses_of(keys)) | set(
        DirectUpload.objects.filter(key__in=keys).values_list("key", flat=True)
    )
    mentioned = Q(key__in=keys) | Q(card_key__in=keys) | Q(thumbnail_key__in=keys)
    for file in File.objects.filter(mentioned):
        known |= set(file.keys)
    unknown = [key for key in keys if key not in known]
    store.delete(alias, unknown)
    return len(unknown)


def _old_keys(storage: Storage) -> Iterator[str]:
    before = timezone.now() - _MIN_AGE
    try:
        folders, _files = storage.listdir("")
    except FileNotFoundError:
        return
    for folder in sorted(folders):
        for name in storage.listdir(folder)[1]:
            key = f"{folder}/{name}"
            if storage.get_modified_time(key) < before:
                yield key
