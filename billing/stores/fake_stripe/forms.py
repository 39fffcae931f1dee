"""Stripe's form encoding: `items[0][price]=…` becomes nested dicts and lists of strings."""

import re
from typing import Any
from urllib.parse import parse_qsl

from .errors import StripeError, required

_KEYS = re.compile(r"[^\[\]]+|(?<=\[)(?=\])")


def decode(text: str) -> dict[str, Any]:
    """Decode a query string or a form body."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _put(tree, _KEYS.findall(name), value)
    decoded = _lists(tree)
    return decoded if isinstance(decoded, dict) else {}


def _put(tree: dict[str, Any], keys: list[str], value: str) -> None:
    if not keys:
        return
    *parents, last = keys
    for key in parents:
        child = tree.setdefault(key, {})
        if not isinstance(child, dict):
            raise StripeError("Invalid parameters.", code="parameter_invalid")
        tree = child
    tree[last or str(len(tree))] = value


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    children = {key: _lists(value) for key, value in node.items()}
    if children and all(key.isascii() and key.isdigit() for key in children):
        return [children[key] for key in sorted(children, key=int)]
    return children


def integer(params: dict[str, Any], name: str, default: int | None = None) -> int:
    """A whole number; without a default the parameter is required."""
    value = params.get(name)
    if value in (None, ""):
        if default is None:
            raise required(name)
        return default
    try:
        return int(str(value))
    except ValueError:
        raise StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name) from None


def optional_integer(params: dict[str, Any], name: str) -> int | None:
    return integer(params, name) if params.get(name) not in (None, "") else None


def flag(params: dict[str, Any], name: str, *, default: bool = False) -> bool:
    value = params.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise StripeError(f"Invalid boolean: {value}", code="parameter_invalid_boolean", param=name)
    return bool(value == "true")


def text(params: dict[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise required(name)
    return value


def group(params: dict[str, Any], name: str) -> dict[str, Any]:
    value = params.get(name)
    return value if isinstance(value, dict) else {}


def rows(params: dict[str, Any], name: str) -> list[Any]:
    value = params.get(name)
    return value if isinstance(value, list) else []


def merged_metadata(old: dict[str, str], params: dict[str, Any]) -> dict[str, str]:
    """An empty value removes its key, an empty string in place of the whole removes all."""
    if params.get("metadata") == "":
        return {}
    merged = {**old, **group(params, "metadata")}
    return {key: value for key, value in merged.items() if value != ""}
