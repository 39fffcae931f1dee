"""One way in for every file: sized, recognised by its bytes, decoded in a child, counted, kept."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.db import transaction_required
from common.errors import Conflict, Invalid, NotFound, PayloadTooLarge
from common.jobs import enqueue
from files import kinds, registry
from files.models import MAX_NAME_LENGTH, File
from files.services import quota, scanning, store
from files.services.decoding import decode

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


@dataclass(frozen=True, slots=True)
class _Checked:
    """What will be kept: the content, and for pictures the smaller sizes."""

    kind: kinds.Kind
    content: bytes
    card: bytes = b""
    thumbnail: bytes = b""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.content) + len(self.card) + len(self.thumbnail)


def upload_file(
    *,
    owner_id: UUID,
    category: str,
    name: str,
    data: bytes,
    end_reservation: Callable[[], None] | None = None,
) -> File:
    """Keep a file of the owner's. Decoding takes up to 30 seconds, outside any transaction.

    `category` is one of File.Category. `end_reservation` gives back room that was held for this file, in
    the transaction that takes it. Raises PayloadTooLarge over 10 MB or too many pixels, UnsupportedMedia
    for kinds the category does not take, Invalid for damaged files, StorageFull (with `limit` and `used` in
    bytes), Unavailable when the store fails, NotFound for a closed account. Nothing is kept where it raises.
    """
    _check_size(len(data))
    if end_reservation is None:
        quota.refuse_if_full(owner_id=owner_id)
    checked = _check(data, category)
    if category in kinds.PUBLIC:
        # Shown under an address that never changes, so it is looked at before it has one.
        scanning.scan_now(data)
    return _keep(owner_id, category, name, checked, end_reservation)


def copy_picture(*, owner_id: UUID, key: str, name: str) -> File | None:
    """The public picture under `key`, as a file of this owner's too, with keys of its own.

    None where there is no such picture any more. Whether the owner may have it is the caller's to know.
    Raises StorageFull, Unavailable and NotFound as upload_file.
    """
    original = File.objects.filter(key=key, category__in=kinds.PUBLIC).first()
    checked = _read_again(original) if original else None
    if original is None or checked is None:
        return None
    quota.refuse_if_full(owner_id=owner_id)
    return _keep(owner_id, original.category, name, checked)


@transaction.atomic
def delete_file(*, owner_id: UUID, file_id: UUID) -> None:
    """Delete a file of the owner's and give its room back.

    Raises NotFound, Conflict while the file is shown somewhere, which must let it go first.
    """
    file = File.objects.select_for_update().filter(id=file_id, owner_id=owner_id).first()
    if file is None:
        raise NotFound
    for words in registry.uses_of(file.keys).values():
        raise Conflict(_("It is in use: %(where)s. Choose another picture there first.") % {"where": words})
    remove(file)


@transaction.atomic
def delete_by_keys(keys: Iterable[str]) -> None:
    """Delete the files with these keys, rows and room included; a key without a row is deleted alone."""
    wanted = {key for key in keys if key}
    mentioned = Q(key__in=wanted) | Q(thumbnail_key__in=wanted)
    files = File.objects.select_for_update().filter(mentioned).order_by("id")
    for file in files:
        wanted -= set(file.keys)
        remove(file)
    store.delete_after_commit(store.PUBLIC, wanted)


def remove(file: File) -> None:
    """Delete a row the caller has locked; its bytes go once the transaction is saved."""
    transaction_required()
    keys = file.keys
    quota.give_back(owner_id=file.owner_id, size=file.size)
    File.objects.filter(id=file.id).delete()
    store.delete_after_commit(store.alias_of(file.category), keys)


def read_upload(upload: UploadedFile) -> bytes:
    """The bytes of an upload, never more than may be kept. Raises PayloadTooLarge."""
    _check_size(upload.size or 0)
    return bytes(upload.read())


def clean_name(name: str) -> str:
    """A file's name as it is shown: one line without folders, controls or marks that turn the reading
    direction. It never becomes part of a path."""
    last = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(
        character
        for character in last
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(visible.split())[:MAX_NAME_LENGTH] or str(_("Unnamed"))


def _check_size(size: int) -> None:
    if size > kinds.MAX_BYTES:
        raise PayloadTooLarge(_("A file may have at most 10 MB."))
    if size == 0:
        raise Invalid.field("file", "empty", _("This file is empty."))


def _check(data: bytes, category: str) -> _Checked:
    kind = kinds.recognise(data, category)
    if kind is kinds.TEXT:
        return _Checked(kind, data)
    if kind is not kinds.PICTURE:
        return _Checked(kind, data, facts=decode(kind.job, data, suffix=kind.suffix).facts)
    if category not in kinds.PUBLIC:
        found = decode(kind.job, data)
        return _Checked(kind, found.parts[0], thumbnail=found.parts[1], facts=found.facts)
    found = decode("portrait", data)
    card, thumbnail, whole = found.parts
    return _Checked(kind, whole, card, thumbnail, found.facts)


def _read_again(file: File) -> _Checked | None:
    """A picture we drew before, as it was kept; None when a part of it is gone."""
    parts = [store.read(store.alias_of(file.category), key) for key in file.keys]
    if not all(parts):
        return None
    content, card, thumbnail = (part or b"" for part in parts)
    return _Checked(kinds.PICTURE, content, card, thumbnail, file.facts)


def _keep(
    owner_id: UUID,
    category: str,
    name: str,
    checked: _Checked,
    end_reservation: Callable[[], None] | None = None,
) -> File:
    keys = _save(store.alias_of(category), checked)
    try:
        with transaction.atomic():
            quota.lock_owner(owner_id)
            if end_reservation is not None:
                end_reservation()
            return _record(owner_id, category, name, checked, keys)
    except BaseException:
        store.delete(store.alias_of(category), keys.values())
        raise


def _save(alias: str, checked: _Checked) -> dict[str, str]:
    """Keep every part, or none."""
    keys: dict[str, str] = {}
    parts = {"key": checked.content, "card_key": checked.card, "thumbnail_key": checked.thumbnail}
    try:
        for name, part in parts.items():
            if part:
                keys[name] = store.save(alias, part, checked.kind.suffix)
    except BaseException:
        store.delete(alias, keys.values())
        raise
    return keys


def _record(owner_id: UUID, category: str, name: str, checked: _Checked, keys: dict[str, str]) -> File:
    quota.take(owner_id=owner_id, size=checked.size)
    must_wait = category not in kinds.PUBLIC and scanning.is_on()
    file = File.objects.create(
        owner_id=owner_id,
        category=category,
        name=clean_name(name),
        content_type=checked.kind.content_type,
        size=checked.size,
        state=File.State.PENDING if must_wait else File.State.READY,
        facts=checked.facts,
        **keys,
    )
    if must_wait:
        enqueue("files.scan_file", file_id=str(file.id))
    return file
