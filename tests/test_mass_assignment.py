"""Every write of the API's document gets fields it must not take, and values no number has."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator

from tests.permissions import API, Row
from tests.world import World, address, body_of, client_of, send, takes_files

pytestmark = pytest.mark.django_db

FORBIDDEN = (
    "role",
    "is_staff",
    "is_superuser",
    "balance",
    "owner_id",
    "owner",
    "price",
    "created_at",
    "id",
    "credits",
    "tier",
)
NOT_NUMBERS = (-1, 0, 1.5, 1e308, 2**63, "１２", "0x10", None, [])
# A lorebook is a document of others' making, kept whole: what it holds beside our fields is content.
DOCUMENTS = {"api:personas:lorebook"}


def write_operations() -> dict[tuple[str, str], dict[str, Any]]:
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    sample = "0199f5a6-0000-7000-8000-000000000000"
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("post", "put", "patch") and path.startswith("/api/"):
                address = "/".join(sample if part.startswith("{") else part for part in path.split("/"))
                found[resolve(address).view_name, method.upper()] = _fields(document, operation)
    return found


def _fields(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"]["$ref"].rpartition("/")[2]
        return dict(document["components"]["schemas"][name]["properties"])
    return {}


def row_of(route: str, method: str) -> Row:
    """The first row of the permission table that its owner may do."""
    return next(row for row in API if (row.route, row.method) == (route, method))


OPERATIONS = write_operations()
WRITES = [pytest.param(row_of(*key), id=f"{key[1]} {key[0]}") for key in OPERATIONS]


def fingerprint() -> dict[str, str]:
    """What every table holds, as one hash each."""
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    query = " UNION ALL ".join(
        f"SELECT '{table}', coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM \"{table}\" t"  # noqa: S608
        for table in sorted(tables)
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())


def unknown_fields(response: Any) -> list[str]:
    return [error["field"] for error in response.json()["errors"] if error["code"] == "unknown_field"]


@pytest.mark.parametrize("row", WRITES)
def test_no_write_takes_a_field_it_does_not_name(row: Row, world: World) -> None:
    client = client_of(world, "owner")
    before = fingerprint()
    answers = {}
    added = [name for name in FORBIDDEN if name not in OPERATIONS[row.route, row.method]]
    for name in added:
        body = {**body_of(world, row), name: "1"}
        response = send(client, row.method, address(world, row), body, as_form=takes_files(row))
        answers[name] = response.status_code
        if row.route not in DOCUMENTS:
            assert unknown_fields(response) == [name]
    wanted = 200 if row.route in DOCUMENTS else 422
    assert answers == dict.fromkeys(added, wanted)
    changed = {table for table, value in fingerprint().items() if value != before[table]}
    assert changed <= ({"personas_persona"} if row.route in DOCUMENTS else set())


def test_a_lorebook_keeps_foreign_fields_as_content_only(world: World) -> None:
    row = row_of("api:personas:lorebook", "PUT")
    client = client_of(world, "owner")
    before = client.get(address(world, row_of("api:personas:persona-detail", "GET"))).json()
    body = {**body_of(world, row), **dict.fromkeys(FORBIDDEN, "1")}
    assert send(client, "PUT", address(world, row), body, as_form=False).json()["owner_id"] == "1"
    assert client.get(address(world, row_of("api:personas:persona-detail", "GET"))).json() == before


@pytest.mark.parametrize("row", WRITES)
def test_a_strange_value_in_any_field_is_taken_whole_or_refused(row: Row, world: World) -> None:
    """Refused ones change nothing; none is a failure of ours."""
    client = client_of(world, "owner")
    before = fingerprint()
    for name in OPERATIONS[row.route, row.method]:
        for value in NOT_NUMBERS:
            if takes_files(row) and not isinstance(value, str):
                continue
            body = {**body_of(world, row), name: value}
            response = send(client, row.method, address(world, row), body, as_form=takes_files(row))
            # 503: there is no shop in these tests.
            assert response.status_code in (200, 201, 202, 403, 404, 409, 413, 422, 503), (name, value)
            after = fingerprint()
            assert response.status_code < 400 or after == before, (name, value)
            before = after


NUMBERS = [
    pytest.param(row_of(*key), name, id=f"{key[1]} {key[0]} {name}")
    for key, fields in OPERATIONS.items()
    for name, schema in fields.items()
    if schema.get("type") in ("number", "integer") or schema.get("format") in ("double", "decimal")
]


def test_number_fields_are_known() -> None:
    """A new one needs a line in `test_numbers_are_read_as_numbers_or_not_at_all`."""
    names = sorted({parameter.values[1] for parameter in NUMBERS})
    assert names == ["prorated_at", "scan_depth", "size", "temperature", "token_budget"]


@pytest.mark.parametrize(("row", "name"), NUMBERS)
def test_numbers_are_read_as_numbers_or_not_at_all(row: Row, name: str, world: World) -> None:
    client = client_of(world, "owner")
    taken = []
    for value in (*NOT_NUMBERS, "１", "1e0", "NaN", "Infinity", " 1", "1_0", True):
        body = {**body_of(world, row), name: value}
        response = client.generic(
            row.method, address(world, row), json.dumps(body), content_type="application/json"
        )
        if response.status_code < 300:
            taken.append(value)
    # Bytes and moments are whole numbers above none; the others are fractions that may be left out.
    assert taken == ([] if name in ("size", "prorated_at") else [0, 1.5, None])
