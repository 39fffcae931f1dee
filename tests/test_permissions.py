"""Every route and method against every role; the table is `permissions.py`."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from common.ids import uuid7
from tests.permissions import API, PAGES, ROLES, Row
from tests.world import World, ask

pytestmark = pytest.mark.django_db


def expected(row: Row, role: str) -> int:
    if role in row.but:
        return row.but[role]
    is_page = not row.route.startswith("api:")
    if row.access == "public":
        return row.ok
    if row.access == "debug":
        return 404
    if role in ("anonymous", "banned"):
        return 302 if is_page else 401
    if row.access == "owner" and role != "owner":
        return 404
    return row.ok


def cell_id(row: Row) -> str:
    return f"{row.method} {row.route} {'-'.join(row.ids.values())}"


@pytest.mark.parametrize("row", [*API, *PAGES], ids=cell_id)
def test_every_role_gets_what_the_table_says(row: Row, world: World) -> None:
    answers, wanted = {}, {}
    for role in ROLES:
        with transaction.atomic():
            answers[role] = ask(world, row, role).status_code
            transaction.set_rollback(True)
        wanted[role] = expected(row, role)
    assert answers == wanted


def own_routes(patterns: list[Any], namespace: str = "") -> Iterator[tuple[str, set[str]]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            names = [name for name in (namespace, pattern.namespace) if name]
            if pattern.namespace not in ("admin", "headless"):
                yield from own_routes(pattern.url_patterns, ":".join(names))
        elif isinstance(pattern, URLPattern) and pattern.name:
            name = f"{namespace}:{pattern.name}" if namespace else pattern.name
            yield name, methods_of(pattern.callback)


def methods_of(view: Any) -> set[str]:
    """The methods of a class-based view; a page function counts as one entry whatever it takes."""
    cls = getattr(view, "cls", None)
    if cls is None:
        return {"PAGE"}
    return {verb.upper() for verb in ("get", "post", "put", "patch", "delete") if hasattr(cls, verb)}


def test_every_route_has_a_row() -> None:
    api_rows = {(row.route, row.method) for row in API}
    page_rows = {row.route for row in PAGES}
    missing = []
    for name, verbs in own_routes(get_resolver().url_patterns):
        if name.startswith("api:"):
            missing += [(name, verb) for verb in verbs if (name, verb) not in api_rows]
        elif name not in page_rows:
            missing.append((name, "PAGE"))
    assert missing == []


def test_rows_name_routes_that_exist() -> None:
    known = {name for name, _verbs in own_routes(get_resolver().url_patterns)}
    assert {row.route for row in [*API, *PAGES]} - known == set()


def test_somebody_elses_object_reads_like_one_that_does_not_exist(world: World) -> None:
    client = Client()
    client.force_login(world.people["stranger"])
    theirs = client.get(reverse("api:chat:session-detail", args=[world.ids["session"]]))
    nobodys = client.get(reverse("api:chat:session-detail", args=[uuid7()]))
    strip = lambda response: {key: value for key, value in response.json().items() if key != "request_id"}  # noqa: E731
    assert (theirs.status_code, strip(theirs)) == (nobodys.status_code, strip(nobodys))
