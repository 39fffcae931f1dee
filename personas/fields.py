"""A JSON column that gives back exactly what was put in."""

from typing import Any

from django.db import models
from psycopg.types.json import Json


class ExactJSONField(models.JSONField):
    """PostgreSQL's `json`, not `jsonb`: the order of keys and the size of numbers survive.

    It is meant for documents that are kept and given back whole; it can't be filtered on.
    """

    def db_type(self, connection: Any) -> str:
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return None if value is None else Json(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        # psycopg has parsed the column already; Django turns its own parser off for `jsonb` only.
        return value
