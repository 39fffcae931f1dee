"""Room taken, counted where it can't be raced: one conditional UPDATE takes it, one gives it back."""

from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from common.db import transaction_required
from common.errors import LimitReached
from files import registry, selectors
from files.models import StorageUse


class StorageFull(LimitReached):
    title = _("Your storage is full")


def take(*, owner_id: UUID, size: int) -> None:
    """Take `size` bytes of the owner's room, in the caller's transaction.

    Raises StorageFull with `limit` and `used` in bytes.
    """
    transaction_required()
    limit = registry.quota_of(owner_id)
    StorageUse.objects.bulk_create([StorageUse(owner_id=owner_id)], ignore_conflicts=True)
    fits = StorageUse.objects.filter(owner_id=owner_id, used__lte=limit - size)
    if not fits.update(used=F("used") + size):
        raise _full(limit, selectors.used_bytes(owner_id))


def refuse_if_full(*, owner_id: UUID) -> None:
    """Spare the work on a file that can't be kept anyway; what counts is `take`. Raises StorageFull."""
    limit, used = registry.quota_of(owner_id), selectors.used_bytes(owner_id)
    if used >= limit:
        raise _full(limit, used)


def give_back(*, owner_id: UUID, size: int) -> None:
    transaction_required()
    StorageUse.objects.filter(owner_id=owner_id).update(used=F("used") - size)


def _full(limit: int, used: int) -> StorageFull:
    detail = _("Your storage is full. Delete something, or get a plan with more room.")
    return StorageFull(detail, limit=limit, used=used)
