from uuid import UUID

from django.conf import settings
from django.db.models import Count, QuerySet, Sum

from common.errors import NotFound
from files import kinds, links, registry
from files.charges import charge_of
from files.models import File, StorageUse


def public_url(key: str) -> str:
    """The path of a public file. It is always ours: pages load nothing from another host."""
    return f"{settings.MEDIA_URL}{key}"


def used_bytes(owner_id: UUID) -> int:
    return StorageUse.objects.filter(owner_id=owner_id).values_list("used", flat=True).first() or 0


def list_files(owner_id: UUID, category: str = "") -> QuerySet[File]:
    """The owner's files, newest first."""
    files = File.objects.filter(owner_id=owner_id).order_by("-created_at", "-id")
    return files.filter(category=category) if category else files


def get_file(owner_id: UUID, file_id: UUID) -> File:
    """Raises NotFound for what is not the owner's."""
    file = File.objects.filter(owner_id=owner_id, id=file_id).first()
    if file is None:
        raise NotFound
    return file


def file_url(file: File) -> str | None:
    """Where the owner sees the file now; None while it may not be served."""
    return _url(file, "key")


def thumbnail_url(file: File) -> str | None:
    return _url(file, "thumbnail_key") if file.thumbnail_key else None


def storage_report(owner_id: UUID) -> dict[str, object]:
    """Bytes used, the quota, and what takes the room, by category, all as they are charged."""
    sums = (
        File.objects.filter(owner_id=owner_id)
        .values("category")
        .annotate(files=Count("id"), bytes=Sum(charge_of("size")))
        .order_by("category")
    )
    return {
        "used": used_bytes(owner_id),
        "quota": registry.quota_of(owner_id),
        "categories": [{**part, "label": File.Category(part["category"]).label} for part in sums],
    }


def _url(file: File, part: str) -> str | None:
    if file.state != File.State.READY:
        return None
    if file.category in kinds.PUBLIC:
        return public_url(getattr(file, part))
    return links.sign_url(file, part)
