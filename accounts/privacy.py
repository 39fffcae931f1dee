"""What each app keeps about people: what goes into their export, and what becomes of it when they leave.

Every app registers its part in AppConfig.ready(). A system check holds the parts against the models, so that
nothing new about people is forgotten.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from django.apps import apps
from django.db.models import Model, UUIDField

from accounts.models import User

Rows = Iterable[Mapping[str, object]]
# Apps below this one can't have a foreign key to people, and keep the id in a plain field.
PLAIN_LINKS = ("user_id", "owner_id", "actor_id")


class Fate(StrEnum):
    """What erasure does with the rows of a model."""

    DELETED = "deleted"
    ANONYMISED = "anonymised"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Section:
    """One file of an export: rows as JSON, or bytes as they are."""

    path: str
    rows: Rows | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """An app's part. `export` yields sections; `erase` may run again after a crash and does the rest then."""

    app: str
    export: Callable[[UUID], Iterator[Section]]
    erase: Callable[[UUID], None]
    # Model label -> fate, and why where it is not plain.
    plan: dict[str, tuple[Fate, str]] = field(default_factory=dict)


_parts: dict[str, Part] = {}


def register(part: Part) -> None:
    _parts[part.app] = part


def parts() -> list[Part]:
    """In the order of the apps: the lower ones first."""
    return list(_parts.values())


def plan() -> dict[str, tuple[Fate, str]]:
    return {label: line for part in parts() for label, line in part.plan.items()}


def linked_models() -> set[str]:
    """Every model whose rows hang on a user, directly or by what hangs on one."""
    linked: set[type[Model]] = {User}
    grew = True
    while grew:
        found = {
            model
            for model in apps.get_models(include_auto_created=True)
            if model not in linked and _points_to(model, linked)
        }
        linked |= found
        grew = bool(found)
    return {model._meta.label for model in linked}


def _points_to(model: type[Model], targets: set[type[Model]]) -> bool:
    fields = [field for field in model._meta.get_fields() if field.concrete]
    by_key = any(
        (field.many_to_one or field.one_to_one) and field.related_model in targets for field in fields
    )
    return by_key or any(isinstance(field, UUIDField) and field.name in PLAIN_LINKS for field in fields)


def numbers_of(user: User) -> list[str]:
    """The user's numbers. One they only claim is not theirs once somebody else has proved it."""
    claimed = user.unverified_phone
    is_others = User.objects.filter(phone=claimed).exclude(id=user.id).exists() if claimed else False
    return [number for number in (user.phone, "" if is_others else claimed) if number]
