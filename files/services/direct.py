"""Uploads straight into the store: the room is reserved first, the file is looked at when it is there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import DomainError, Invalid, LimitReached, NotFound, PayloadTooLarge, Unavailable
from common.ids import uuid7
from files import kinds
from files.models import DirectUpload, File
from files.services import quota, store, uploads

LIFETIME = timedelta(minutes=15)
MAX_OPEN = 20
_SALT = "files.direct"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where to POST a form with `fields` and then the `file`; good once, until `expires_at`."""

    id: UUID
    url: str
    fields: dict[str, str]
    expires_at: datetime


@transaction.atomic
def begin_upload(*, owner_id: UUID, category: str, name: str, size: int) -> Ticket:
    """Reserve `size` bytes and say where the file goes.

    Raises PayloadTooLarge over 10 MB, StorageFull, LimitReached with more than 20 uploads under way,
    NotFound for a closed account.
    """
    if size > kinds.MAX_BYTES:
        raise PayloadTooLarge(_("A file may have at most 10 MB."))
    quota.lock_owner(owner_id)
    quota.take(owner_id=owner_id, size=size)
    open_now = DirectUpload.objects.filter(owner_id=owner_id).count()
    if open_now >= MAX_OPEN:
        raise LimitReached(_("Finish the uploads under way first."), limit=MAX_OPEN, used=open_now)
    upload = DirectUpload.objects.create(
        owner_id=owner_id,
        category=category,
        name=uploads.clean_name(name),
        size=size,
        key=f"incoming/{uuid7().hex}",
        expires_at=timezone.now() + LIFETIME,
    )
    url, fields = _address(upload)
    return Ticket(upload.id, url, fields, upload.expires_at)


def complete_upload(*, owner_id: UUID, upload_id: UUID) -> File:
    """Take the uploaded file in, as if it had come the usual way, or refuse it for good.

    Raises NotFound for an upload that is not the owner's, over or done, Invalid when nothing or something
    larger than promised was sent, and what upload_file raises. After Unavailable all is as before, and
    asking again makes sense until the upload expires.
    """
    fresh = DirectUpload.objects.filter(expires_at__gt=timezone.now())
    upload = fresh.filter(id=upload_id, owner_id=owner_id).first()
    if upload is None:
        raise NotFound
    try:
        file = _take_in(upload)
    except Unavailable:
        raise
    except DomainError:
        _refuse(upload)
        raise
    store.delete(store.PRIVATE, [upload.key])
    return file


@transaction.atomic
def receive(*, token: str, data: bytes) -> None:
    """The store of this machine takes what a ticket promised.

    Raises NotFound, PayloadTooLarge, Invalid, and Unavailable where nothing was kept.
    """
    fresh = DirectUpload.objects.filter(expires_at__gt=timezone.now())
    # Locked, because of two files sent at once the store would keep one under a name nobody counts.
    upload = fresh.select_for_update().filter(id=_read_token(token)).first()
    if upload is None:
        raise NotFound
    if len(data) > upload.size:
        raise PayloadTooLarge(_("More was sent than promised."))
    if store.store_of(store.PRIVATE).exists(upload.key):
        raise Invalid.field("file", "sent", _("This file is there already."))
    store.save_as(store.PRIVATE, upload.key, data)


def end_expired() -> int:
    """Uploads that were never finished: give their room back and delete what came of them."""
    over = DirectUpload.objects.filter(expires_at__lte=timezone.now() - LIFETIME)
    ended = [upload for upload_id in over.values_list("id", flat=True) if (upload := _end(upload_id))]
    for upload in ended:
        store.delete(store.PRIVATE, [upload.key])
    return len(ended)


@transaction.atomic
def _end(upload_id: UUID) -> DirectUpload | None:
    """Give the room back, once: None for whoever comes second."""
    upload = DirectUpload.objects.select_for_update().filter(id=upload_id).first()
    if upload is None:
        return None
    quota.give_back(owner_id=upload.owner_id, size=upload.size)
    DirectUpload.objects.filter(id=upload.id).delete()
    return upload


def _take_in(upload: DirectUpload) -> File:
    def end_reservation() -> None:
        if _end(upload.id) is None:
            # Another call took the file in, or refused it, while this one decoded.
            raise NotFound

    return uploads.upload_file(
        owner_id=upload.owner_id,
        category=upload.category,
        name=upload.name,
        data=_read(upload),
        end_reservation=end_reservation,
    )


def _refuse(upload: DirectUpload) -> None:
    """Raises NotFound when another call was quicker; the bytes are that call's to delete."""
    if _end(upload.id) is None:
        raise NotFound
    store.delete(store.PRIVATE, [upload.key])


def _read(upload: DirectUpload) -> bytes:
    data = store.read(store.PRIVATE, upload.key, upload.size + 1)
    if data is None:
        raise Invalid.field("file", "missing", _("Nothing was uploaded."))
    if len(data) > upload.size:
        raise PayloadTooLarge(_("More was sent than promised."))
    return data


def _address(upload: DirectUpload) -> tuple[str, dict[str, str]]:
    if not settings.S3_BUCKET:
        path = reverse("files:direct-upload", args=[signing.dumps(str(upload.id), salt=_SALT)])
        return f"{settings.PUBLIC_URL}{path}", {}
    storage: Any = store.store_of(store.PRIVATE)
    posted = storage.connection.meta.client.generate_presigned_post(
        storage.bucket_name,
        f"{storage.location}{upload.key}",
        Conditions=[["content-length-range", 1, upload.size]],
        ExpiresIn=int(LIFETIME.total_seconds()),
    )
    return posted["url"], posted["fields"]


def _read_token(token: str) -> str:
    try:
        return str(signing.loads(token, salt=_SALT, max_age=LIFETIME))
    except signing.BadSignature:
        raise NotFound from None
