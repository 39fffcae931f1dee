"""What this app knows about people: which calls were made for them, without their words."""

from collections.abc import Iterator
from uuid import UUID

from accounts.privacy import Fate, Part, Section, register
from ai.models import ModelCall

_PLAN = {"ai.ModelCall": (Fate.ANONYMISED, "costs stay; for whom they were goes")}
_FIELDS = ("purpose", "model", "provider", "status", "input_tokens", "output_tokens", "created_at")


def register_part() -> None:
    register(Part("ai", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    calls = ModelCall.objects.filter(user_id=user_id).order_by("id")
    yield Section("usage/model_calls.json", calls.values(*_FIELDS).iterator(2000))


def _erase(user_id: UUID) -> None:
    ModelCall.objects.filter(user_id=user_id).update(user=None)
