"""Answers: lists with paging, and `expand`."""

import copy
from collections.abc import Iterable
from typing import Any

from .errors import StripeError
from .forms import group, integer, rows
from .store import Doc
from .world import World, public_copy


def render(world: World, document: Doc, expand: list[Any]) -> Doc:
    """The object as the API shows it, with the asked-for references filled in."""
    shown = copy.deepcopy(document)
    for path in expand:
        _expand(world, shown, str(path).split("."))
    answer: Doc = public_copy(shown)
    return answer


def _expand(world: World, node: Any, path: list[str]) -> None:
    if isinstance(node, list):
        for child in node:
            _expand(world, child, path)
        return
    if not path or not isinstance(node, dict):
        return
    key, *rest = path
    if key not in node:
        included = _included(world, node, key)
        if included is None:
            raise StripeError(f"This property cannot be expanded ({key}).", param="expand")
        node[key] = included
    node[key] = _filled(world, node[key])
    _expand(world, node[key], rest)


def _filled(world: World, value: Any) -> Any:
    if isinstance(value, list):
        return [_filled(world, child) for child in value]
    found = world.store.find(value) if isinstance(value, str) else None
    return value if found is None else copy.deepcopy(found)


def _included(world: World, node: Doc, key: str) -> Any:
    """Lists that an object only shows when asked."""
    if f"_{key}" in node:
        return node[f"_{key}"]
    kinds = {
        ("invoice", "payments"): ("invoice_payment", "invoice"),
        ("charge", "refunds"): ("refund", "charge"),
        ("customer", "subscriptions"): ("subscription", "customer"),
    }
    if (node.get("object"), key) not in kinds:
        return None
    kind, owner = kinds[node["object"], key]
    return list_of(copy.deepcopy(world.find(kind, **{owner: node["id"]})), f"/v1/{kind}s")


def list_of(documents: list[Doc], url: str, *, has_more: bool = False) -> Doc:
    return {"object": "list", "data": documents, "has_more": has_more, "url": url}


def page(documents: Iterable[Doc], params: Doc, url: str) -> Doc:
    """One page, newest first, as `limit`, the cursors and `created` ask."""
    limit = integer(params, "limit", 10)
    if not 1 <= limit <= 100:
        raise StripeError("This value must be between 1 and 100.", param="limit")
    found = [document for document in documents if _is_created_within(document, params)]
    found.reverse()
    if after := params.get("starting_after"):
        found = found[_position(found, after, "starting_after") + 1 :]
    elif before := params.get("ending_before"):
        found = found[: _position(found, before, "ending_before")]
        return list_of(found[-limit:], url, has_more=len(found) > limit)
    return list_of(found[:limit], url, has_more=len(found) > limit)


def _position(documents: list[Doc], identifier: str, param: str) -> int:
    for position, document in enumerate(documents):
        if document["id"] == identifier:
            return position
    raise StripeError(f"No such object: '{identifier}'", code="resource_missing", param=param)


def _is_created_within(document: Doc, params: Doc) -> bool:
    created = document["created"]
    if isinstance(params.get("created"), str):
        return bool(created == integer(params, "created"))
    bounds = group(params, "created")
    return (
        created >= integer(bounds, "gte", created)
        and created > integer(bounds, "gt", created - 1)
        and created <= integer(bounds, "lte", created)
        and created < integer(bounds, "lt", created + 1)
    )


def expansions(params: Doc) -> list[Any]:
    return rows(params, "expand")
