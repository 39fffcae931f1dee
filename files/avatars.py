"""Keeps the pictures of people, for `accounts`, which may not know this app."""

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.profile import AvatarStore, register_avatar_store
from files import registry
from files.models import File
from files.selectors import public_url
from files.services import uploads


def _save(user_id: UUID, data: bytes) -> str:
    file = uploads.upload_file(
        owner_id=user_id, category=File.Category.AVATAR, name=_("Your picture"), data=data
    )
    return file.thumbnail_key


def _delete(key: str) -> None:
    uploads.delete_by_keys([key])


def _uses(keys: Iterable[str]) -> dict[str, str]:
    shown = User.objects.filter(avatar_key__in=list(keys)).values_list("avatar_key", flat=True)
    return {key: _("your profile") for key in shown}


def register() -> None:
    register_avatar_store(AvatarStore(save=_save, url=public_url, delete=_delete))
    registry.register_use(_uses)
