"""What every answer of the API has in common, the ugly ones included."""

import json
import re
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from tests.permissions import API, Row
from tests.world import World, address, ask, body_of, client_of, send, takes_files

pytestmark = pytest.mark.django_db

PROBLEM = {"type", "title", "status", "detail", "code", "errors", "request_id"}
ME = "/api/v1/me/"
SUFFIXES = (
    "x.css",
    ";x.js",
    "%3Bx.js",
    "x.js",
    ".css",
    "%2ex.png",
    "%0ax.css",
    "%00x.css",
    "?/../x.css/y.css",
)
JSON_BODIES = [row for row in API if row.body and not takes_files(row)]


MALFORMED = (
    b"{",
    b" ",
    b"null",
    b"[]",
    b'"text"',
    b"1",
    b"NaN",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": [-1e999]}',
    b"\xff\xfe",
    b'{"a": "\xff"}',
    b'{"a": "\\u0000"}',
    b'{"a": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"a": ' * 10_000 + b"1" + b"}" * 10_000,
)


def row_id(row: Row) -> str:
    return f"{row.method} {row.route} {'-'.join(row.ids.values())}"


def assert_problem(response: Any, status: int, code: str) -> None:
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    body = response.json()
    assert body.keys() >= PROBLEM
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == response.headers["X-Request-ID"]


@pytest.fixture
def owner(world: World) -> Client:
    return client_of(world, "owner")


def post(client: Client, path: str, body: bytes, content_type: str = "application/json") -> Any:
    return client.generic("POST", path, body, content_type=content_type)


@pytest.mark.parametrize("row", API, ids=row_id)
def test_every_answer_has_a_number_and_personal_ones_stay_private(row: Row, world: World) -> None:
    for role in ("owner", "anonymous"):
        response = ask(world, row, role)
        UUID(response.headers["X-Request-ID"])
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if role == "owner" or response.status_code >= 400:
            assert set(response.headers["Cache-Control"].split(", ")) >= {"private", "no-store"}
        if response.status_code >= 400:
            assert_problem(response, response.status_code, response.json()["code"])


@pytest.mark.parametrize("row", JSON_BODIES, ids=row_id)
def test_what_is_not_a_json_object_is_malformed(row: Row, world: World) -> None:
    client = client_of(world, "owner")
    for body in MALFORMED:
        response = client.generic(row.method, address(world, row), body, content_type="application/json")
        assert_problem(response, 400, "malformed")


@pytest.mark.parametrize("row", JSON_BODIES, ids=row_id)
def test_a_body_of_two_megabytes_is_too_large(row: Row, world: World) -> None:
    body = {**body_of(world, row), "x": "a" * 2_097_152}
    response = send(client_of(world, "owner"), row.method, address(world, row), body, as_form=False)
    assert_problem(response, 413, "file_too_large")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "x"]
)
def test_other_kinds_of_content_are_refused(content_type: str, owner: Client) -> None:
    assert_problem(
        post(owner, reverse("api:personas:persona-list"), b"x=1", content_type), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X"])
def test_other_methods_are_refused(method: str, owner: Client) -> None:
    response = owner.generic(method, reverse("api:chat:session-list"), b"")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_formats_that_do_not_exist_are_not_acceptable(owner: Client) -> None:
    assert_problem(owner.get(ME, headers={"Accept": "application/xml"}), 406, "not_acceptable")


@pytest.mark.parametrize(
    "path",
    ["/api/v1/nothing/", "/api/v1/", "/api/", "/api/v2/me/", "/_allauth/nothing", "/api/v1/chat/sessions/1/"],
)
def test_addresses_that_do_not_exist_are_problems_too(path: str, owner: Client) -> None:
    assert_problem(owner.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing/", "/api/v1/personas", "/_allauth/app/v1/nothing", "/webhooks/"]
)
def test_debug_does_not_change_what_programs_get(settings: Any, path: str) -> None:
    settings.DEBUG = True
    client = Client(enforce_csrf_checks=True)
    assert_problem(client.get(path), 404, "not_found")
    assert_problem(client.post(path, "{}", content_type="application/json"), 404, "not_found")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("path", [ME, "/api/v1/me", "/api/v1/wallet/", "/api/v1/chat/sessions/"])
def test_a_suffix_never_turns_a_personal_answer_into_a_file(path: str, suffix: str, owner: Client) -> None:
    response = owner.get(path + suffix)
    if suffix.startswith("?") and path.endswith("/"):
        assert response.headers["Cache-Control"] == "private, no-store"
    else:
        assert response.status_code in (301, 404)
        assert b"@example.com" not in response.content


@pytest.mark.parametrize("suffix", SUFFIXES[:-1])
@pytest.mark.parametrize("path", ["/settings/profile/", "/wallet/", "/chat/"])
def test_a_suffix_never_turns_a_personal_page_into_a_file(path: str, suffix: str, owner: Client) -> None:
    assert owner.get(path).status_code == 200
    assert owner.get(path + suffix).status_code == 404


def test_pages_of_the_signed_in_are_not_kept_by_caches(owner: Client) -> None:
    for path in ("/", "/chat/", "/wallet/", "/settings/profile/"):
        assert owner.get(path).headers["Cache-Control"] == "private, no-store", path


def test_a_reply_says_how_many_more_the_minute_allows(world: World, owner: Client) -> None:
    path = reverse("api:chat:message-list", args=[world.ids["session"]])
    response = owner.post(path, {"content": "Hello", "client_id": "limits"}, content_type="application/json")
    assert response.status_code == 202
    limits = [response.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")]
    assert all(re.fullmatch(r"[0-9]+", value) for value in limits)
    assert int(limits[0]) > int(limits[1])


def test_an_offered_request_id_is_kept_only_if_it_is_harmless() -> None:
    client = Client()
    assert client.get(ME, headers={"X-Request-ID": "client-0001"}).headers["X-Request-ID"] == "client-0001"
    for offered in ("short", "a" * 65, "white space", "<script>", "ünïcödé-1", "line\tbreak"):
        assert client.get(ME, headers={"X-Request-ID": offered}).headers["X-Request-ID"] != offered


def test_bodies_in_other_charsets_do_not_break_anything(owner: Client) -> None:
    for charset in ("utf-16", "nonsense", "idna", "hex", "undefined", "unicode_escape"):
        body = json.dumps({"name": "Grace"}).encode()
        response = post(
            owner, reverse("api:personas:persona-list"), body, f"application/json; charset={charset}"
        )
        assert response.status_code in (201, 400, 415), charset
