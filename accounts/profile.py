"""What upper apps add to a user's profile: fields of `me/` and the store that keeps avatars.

They register in their AppConfig.ready(); accounts never imports them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from accounts.models import User

FieldFunction = Callable[[User], str]


@dataclass(frozen=True, slots=True)
class AvatarStore:
    """Keeps pictures of users in our own format: `save` answers a key, `url` is where that is served."""

    save: Callable[[UUID, bytes], str]
    url: Callable[[str], str]
    delete: Callable[[str], None]


_fields: dict[str, FieldFunction] = {}
_avatar_stores: list[AvatarStore] = []


def register_field(name: str, function: FieldFunction) -> None:
    """Add the read-only text field `name` to `me/`; `function` computes it for a user."""
    _fields[name] = function


def extra_fields() -> dict[str, FieldFunction]:
    return dict(_fields)


def register_avatar_store(store: AvatarStore) -> None:
    _avatar_stores[:] = [store]


def avatar_store() -> AvatarStore | None:
    return _avatar_stores[0] if _avatar_stores else None


def avatar_url(user: User) -> str | None:
    store = avatar_store()
    return store.url(user.avatar_key) if store and user.avatar_key else None
