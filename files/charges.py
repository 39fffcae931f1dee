"""The room a file takes: its bytes, but never less than a block, so that many tiny files cost something."""

from typing import Any

from django.db.models import BigIntegerField, Case, Value, When
from django.db.models.functions import Greatest

LEAST = 4096


def charge(size: int) -> int:
    """What is taken and given back for a file of `size` bytes; nothing for one whose bytes are gone."""
    return max(size, LEAST) if size else 0


def charge_of(field: str) -> Case:
    """`charge`, for the database."""
    nothing: dict[str, Any] = {field: 0}
    return Case(
        When(**nothing, then=0), default=Greatest(field, Value(LEAST)), output_field=BigIntegerField()
    )
