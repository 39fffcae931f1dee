"""Room taken, counted where it can't be raced: one conditional UPDATE takes it, one gives it back."""

from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from common.db import transaction_required
from common.errors import LimitReached, NotFound
from files import registry, selectors
from files.charges import charge
from files.models import StorageUse


class StorageFull(LimitReached):
    title = _("Your storage is full")


def lock_owner(owner_id: UUID) -> None:
    """Hold the account until the caller's transaction ends; the first lock of whoever takes room.

    An erasure waits for it, and so finds what was added. Raises NotFound for a closed account.
    """
    transaction_required()
    owner = User.objects.select_for_update(no_key=True).filter(id=owner_id, is_active=True)
    if owner.values_list("id", flat=True).first() is None:
        raise NotFound


def take(*, owner_id: UUID, size: int) -> None:
    """Take the room of a file of `size` bytes, in the caller's transaction.

    Raises StorageFull with `limit` and `used` in bytes.
    """
    transaction_required()
    limit, room = registry.quota_of(owner_id), charge(size)
    StorageUse.objects.bulk_create([StorageUse(owner_id=owner_id)], ignore_conflicts=True)
    fits = StorageUse.objects.filter(owner_id=owner_id, used__lte=limit - room)
    if not fits.update(used=F("used") + room):
        raise _full(limit, selectors.used_bytes(owner_id))


def refuse_if_full(*, owner_id: UUID) -> None:
    """Spare the work on a file that can't be kept anyway; what counts is `take`. Raises StorageFull."""
    limit, used = registry.quota_of(owner_id), selectors.used_bytes(owner_id)
    if used >= limit:
        raise _full(limit, used)


def give_back(*, owner_id: UUID, size: int) -> None:
    """What `take` took for a file of this size."""
    transaction_required()
    StorageUse.objects.filter(owner_id=owner_id).update(used=F("used") - charge(size))


def _full(limit: int, used: int) -> StorageFull:
    detail = _("Your storage is full. Delete something, or get a plan with more room.")
    return StorageFull(detail, limit=limit, used=used)
