"""Uploads straight into the store: the room is reserved first, the file is looked at when it is there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.errors import Invalid, LimitReached, NotFound, PayloadTooLarge
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

    Raises PayloadTooLarge over 10 MB, StorageFull, LimitReached with more than 20 uploads under way.
    """
    if size > kinds.MAX_BYTES:
        raise PayloadTooLarge(_("A file may have at most 10 MB."))
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
    """Take the uploaded file in, as if it had come the usual way; the reservation ends whatever happens.

    Raises NotFound for an upload that is not the owner's, over or done, Invalid when nothing or something
    larger than promised was sent, and what upload_file raises.
    """
    upload = _end(upload_id, owner_id=owner_id)
    if upload is None or upload.expires_at <= timezone.now():
        raise NotFound
    try:
        data = _read(upload)
        return uploads.upload_file(owner_id=owner_id, category=upload.category, name=upload.name, data=data)
    finally:
        store.delete(store.PRIVATE, [upload.key])


def receive(*, token: str, data: bytes) -> None:
    """The store of this machine takes what a ticket promised. Raises NotFound, PayloadTooLarge, Invalid."""
    upload = DirectUpload.objects.filter(id=_read_token(token), expires_at__gt=timezone.now()).first()
    if upload is None:
        raise NotFound
    if len(data) > upload.size:
        raise PayloadTooLarge(_("More was sent than promised."))
    storage = store.store_of(store.PRIVATE)
    if storage.exists(upload.key):
        raise Invalid.field("file", "sent", _("This file is there already."))
    storage.save(upload.key, ContentFile(data))


def end_expired() -> int:
    """Uploads that were never finished: give their room back and delete what came of them."""
    over = DirectUpload.objects.filter(expires_at__lte=timezone.now() - LIFETIME)
    ended = [upload for upload_id in over.values_list("id", flat=True) if (upload := _end(upload_id))]
    for upload in ended:
        store.delete(store.PRIVATE, [upload.key])
    return len(ended)


@transaction.atomic
def _end(upload_id: UUID, **whose: Any) -> DirectUpload | None:
    upload = DirectUpload.objects.select_for_update().filter(id=upload_id, **whose).first()
    if upload is None:
        return None
    quota.give_back(owner_id=upload.owner_id, size=upload.size)
    DirectUpload.objects.filter(id=upload.id).delete()
    return upload


def _read(upload: DirectUpload) -> bytes:
    file = store.open_private(upload.key)
    if file is None:
        raise Invalid.field("file", "missing", _("Nothing was uploaded."))
    with file:
        data = bytes(file.read(upload.size + 1))
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
