"""Everything about somebody as one ZIP, made in the background."""

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core import signing
from django.core.files.base import File
from django.core.files.storage import storages
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import privacy
from accounts.models import DataExport, User
from common.errors import NotFound, RateLimited
from common.ids import uuid7
from common.jobs import enqueue

logger = structlog.get_logger("parlor.privacy")
_OPEN = (DataExport.Status.QUEUED, DataExport.Status.RUNNING)
_DONE_WITH = (DataExport.Status.FAILED, DataExport.Status.EXPIRED)
_SALT = "accounts.exports"
_LINK_SECONDS = 300
_README = _(
    "This is what Parlor keeps about you, as of {date}.\n\n"
    "Each .json file is a list of records of one kind, in UTF-8. Times are in UTC. Amounts of credits are in "
    "microcredits: 1,000,000 are one credit.\n"
)


def request_export(*, user_id: UUID) -> DataExport:
    """Have an export made; while one is on its way, that one is the answer.

    Raises RateLimited (with `retry_after`, seconds) after too many in one day, NotFound for a closed account.
    """
    running = DataExport.objects.filter(user_id=user_id, status__in=_OPEN).first()
    if running is not None:
        return running
    today = DataExport.objects.filter(user_id=user_id, created_at__gt=timezone.now() - timedelta(days=1))
    if today.count() >= settings.ACCOUNTS_EXPORTS_PER_DAY:
        raise RateLimited(_("You had your exports for today."), retry_after=86_400)
    try:
        with transaction.atomic():
            if _lock_active_user(user_id) is None:
                raise NotFound
            export = DataExport.objects.create(user_id=user_id)
            enqueue("accounts.make_export", export_id=str(export.id))
    except IntegrityError:
        # Another request was quicker by milliseconds.
        return DataExport.objects.filter(user_id=user_id, status__in=_OPEN).get()
    return export


def make_export(*, export_id: UUID) -> None:
    """Write the ZIP; the memory it takes does not depend on how much there is. For the task."""
    export = _claim(export_id)
    if export is None:
        return
    is_ready = False
    try:
        size = _save_zip(export)
        is_ready = _publish(export, size)
    finally:
        if not is_ready:
            _discard(export)


def _claim(export_id: UUID) -> DataExport | None:
    """The export with a key for its ZIP, in the row before there are bytes; else a crash would hide them."""
    owner_id = DataExport.objects.filter(id=export_id).values_list("user_id", flat=True).first()
    with transaction.atomic():
        user = _lock_active_user(owner_id) if owner_id else None
        export = DataExport.objects.filter(id=export_id, user=user, status__in=_OPEN).first()
        if user is None or export is None:
            return None
        abandoned = export.key
        export.status, export.progress = DataExport.Status.RUNNING, 0
        export.key = f"exports/{uuid7().hex}.zip"
        export.save(update_fields=["status", "progress", "key"])
    if abandoned:
        storages["private"].delete(abandoned)
    return export


def _save_zip(export: DataExport) -> int:
    with tempfile.TemporaryFile() as file:
        write_zip(file, export.user_id, lambda percent: _note_progress(export.id, percent))
        size = file.tell()
        file.seek(0)
        storages["private"].save(export.key, File(file))
    return size


@transaction.atomic
def _publish(export: DataExport, size: int) -> bool:
    """Hand the ZIP over; False where the account was closed meanwhile, or another run took the export."""
    user = _lock_active_user(export.user_id)
    running = DataExport.objects.filter(id=export.id, key=export.key, status=DataExport.Status.RUNNING)
    expires_at = timezone.now() + timedelta(days=settings.ACCOUNTS_EXPORT_DAYS)
    ready = {"status": DataExport.Status.READY, "progress": 100, "size": size, "expires_at": expires_at}
    if user is None or not running.update(**ready):
        return False
    _tell(user)
    return True


def _discard(export: DataExport) -> None:
    storages["private"].delete(export.key)
    DataExport.objects.filter(id=export.id, key=export.key).update(status=DataExport.Status.FAILED, key="")


def _lock_active_user(user_id: UUID) -> User | None:
    """Locked, so that an erasure comes wholly before what the caller does, or wholly after."""
    return User.objects.select_for_update(no_key=True).filter(id=user_id, is_active=True).first()


def write_zip(file: Any, user_id: UUID, progress: Callable[[int], None]) -> None:
    parts = privacy.parts()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _README.format(date=f"{timezone.now():%Y-%m-%d}"))
        for number, part in enumerate(parts, start=1):
            for section in part.export(user_id):
                _write_section(archive, section)
            progress(number * 100 // len(parts))


def _write_section(archive: zipfile.ZipFile, section: privacy.Section) -> None:
    if section.data is not None:
        archive.writestr(section.path, section.data)
        return
    with archive.open(section.path, "w", force_zip64=True) as out:
        out.write(b"[")
        for number, row in enumerate(section.rows or ()):
            out.write(b",\n" if number else b"\n")
            out.write(json.dumps(row, ensure_ascii=False, default=str).encode())
        out.write(b"\n]\n")


def sign_url_path(export: DataExport) -> str | None:
    """The token of a link that gives the ZIP to its owner for five minutes; None while there is none."""
    is_there = export.status == DataExport.Status.READY
    return signing.dumps([str(export.id), str(export.user_id)], salt=_SALT) if is_there else None


def open_export(*, user_id: UUID, token: str) -> tuple[DataExport, File]:
    """The ZIP a link stands for. Raises NotFound for anybody else's, old ones and made-up links."""
    try:
        export_id, owner_id = signing.loads(token, salt=_SALT, max_age=_LINK_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        raise NotFound from None
    export = DataExport.objects.filter(
        id=export_id, user_id=user_id, status=DataExport.Status.READY, expires_at__gt=timezone.now()
    ).first()
    if export is None or owner_id != str(user_id):
        raise NotFound
    try:
        return export, storages["private"].open(export.key)
    except FileNotFoundError:
        raise NotFound from None


def expire_exports(user_ids: Iterable[UUID] | None = None) -> int:
    """Delete ZIPs whose days are over (or all of the users named), and give up on those never finished."""
    now = timezone.now()
    stuck = DataExport.objects.filter(status__in=_OPEN, created_at__lt=now - timedelta(days=1))
    stuck.update(status=DataExport.Status.FAILED)
    over = Q(status=DataExport.Status.READY, expires_at__lte=now) | Q(status__in=_DONE_WITH)
    chosen = over if user_ids is None else Q(user_id__in=user_ids)
    count = 0
    for export in DataExport.objects.filter(chosen).exclude(key=""):
        was_there = export.status in (DataExport.Status.READY, DataExport.Status.EXPIRED)
        status = DataExport.Status.EXPIRED if was_there else DataExport.Status.FAILED
        storages["private"].delete(export.key)
        DataExport.objects.filter(id=export.id, key=export.key).update(status=status, key="")
        count += 1
    return count


def _note_progress(export_id: UUID, percent: int) -> None:
    DataExport.objects.filter(id=export_id).update(progress=min(percent, 99))


def _tell(user: User) -> None:
    if not user.email:
        return
    body = _("Hello %(name)s,\n\nyour data is ready. Fetch it within %(days)d days, signed in:\n\n%(url)s\n")
    words = {
        "name": user.display_name,
        "days": settings.ACCOUNTS_EXPORT_DAYS,
        "url": f"{settings.PUBLIC_URL}/settings/data/",
    }
    EmailMessage(_("Your Parlor data is ready"), body % words, to=[user.email]).send()
