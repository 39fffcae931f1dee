"""Files of people, for their export and for when they leave."""

from collections.abc import Iterator
from uuid import UUID

from django.db import transaction

from accounts.privacy import Fate, Part, Section, register
from files.models import DirectUpload, File, StorageUse
from files.services import store, uploads

_PLAN = {
    "files.File": (Fate.DELETED, ""),
    "files.DirectUpload": (Fate.DELETED, ""),
    "files.StorageUse": (Fate.DELETED, ""),
}


def register_part() -> None:
    register(Part("files", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    files = File.objects.filter(owner_id=user_id).order_by("id")
    fields = ("id", "category", "name", "content_type", "size", "state", "created_at")
    yield Section("files/files.json", files.values(*fields).iterator(2000))
    for file in files.iterator(200):
        data = store.read(store.alias_of(file.category), file.key)
        if data is not None:
            yield Section(f"files/{file.key.rpartition('/')[2]}", data=data)


def _erase(user_id: UUID) -> None:
    for file_id in File.objects.filter(owner_id=user_id).values_list("id", flat=True):
        with transaction.atomic():
            file = File.objects.select_for_update().filter(id=file_id).first()
            if file is not None:
                uploads.remove(file)
    waiting = DirectUpload.objects.filter(owner_id=user_id)
    keys = list(waiting.values_list("key", flat=True))
    # The rows first: deleting one waits for a file that is just coming in, whose bytes then go too.
    waiting.delete()
    store.delete(store.PRIVATE, keys)
    StorageUse.objects.filter(owner_id=user_id).delete()
