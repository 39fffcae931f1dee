"""A JSON parser that refuses what PostgreSQL or an arithmetic could trip over."""

import math
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from common.text import is_storable

_MAX_DEPTH = 40


class StrictJSONParser(JSONParser):
    """JSON objects only, of bounded depth, without NUL characters, lone surrogates, NaN or Infinity."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        _refuse_unstorable(data, 1)
        return data


def _refuse_unstorable(value: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ParseError("The JSON is nested too deeply.")
    if isinstance(value, str):
        if not is_storable(value):
            raise ParseError("Text must not contain NUL characters or lone surrogates.")
    elif isinstance(value, float):
        # `1e999` is a number to JSON, and infinity to Python.
        if not math.isfinite(value):
            raise ParseError("A number is out of range.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _refuse_unstorable(key, depth)
            _refuse_unstorable(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _refuse_unstorable(inner, depth + 1)
