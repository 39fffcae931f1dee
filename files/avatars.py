"""Keeps the pictures of people, for `accounts`, which may not know this app."""

from accounts.profile import AvatarStore, register_avatar_store
from files.selectors import public_url
from files.services import images, store


def _save(data: bytes) -> str:
    return store.save_public(images.make_portrait(data).avatar, "webp")


def _delete(key: str) -> None:
    store.delete_public_after_commit([key])


def register() -> None:
    register_avatar_store(AvatarStore(save=_save, url=public_url, delete=_delete))
