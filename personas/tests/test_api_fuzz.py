"""X46: whatever stands in a body or a query, the answer is an answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_user
from personas.lore import matching_entries
from personas.models import Persona
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db
URL = "/api/v1/personas/"

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 2**63, 0.5, 1e308])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["\x00", "\ud800", "１２", "0x10", "public", "en", "{{char}}", "'; --", "%s", "\u202e"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "name",
    "tagline",
    "description",
    "greeting",
    "alternate_greetings",
    "personality",
    "system_prompt",
    "model",
    "temperature",
    "tags",
    "category",
    "language",
    "rating",
    "visibility",
    "status",
    "allow_clone",
]
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=4).map(lambda body: {"name": "x", **body})
entries = st.dictionaries(
    st.sampled_from(
        ["keys", "secondary_keys", "content", "enabled", "insertion_order", "use_regex", "extensions"]
    ),
    values,
    max_size=4,
)
books = st.dictionaries(st.sampled_from(["name", "scan_depth", "token_budget", "x"]), values, max_size=3) | (
    st.fixed_dictionaries({"entries": st.lists(entries, max_size=2)})
)
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_no_body_breaks_a_write(api_client: Callable[..., Any]) -> None:
    owner = make_user()
    persona = make_persona(owner, visibility="private")
    client = api_client(owner)

    @fuzz
    @given(st.sampled_from(["patch", "put"]), bodies)
    def write(method: str, body: dict[str, Any]) -> None:
        response = getattr(client, method)(
            f"{URL}{persona.pk}/", json.dumps(body), content_type="application/json"
        )
        assert response.status_code in (200, 400, 403, 422), (response.status_code, body)

    write()
    assert Persona.objects.get().owner_id == owner.pk


def test_no_lorebook_breaks_its_door_or_the_search_in_it(api_client: Callable[..., Any]) -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = api_client(owner)

    @fuzz
    @given(books)
    def write(body: dict[str, Any]) -> None:
        response = client.put(
            f"{URL}{persona.pk}/lorebook/", json.dumps(body), content_type="application/json"
        )
        assert response.status_code in (200, 400, 413, 422), (response.status_code, body)
        matching_entries(Persona.objects.get().lorebook, ["any text", "at all"])

    write()


def test_no_query_breaks_a_list(api_client: Callable[..., Any]) -> None:
    make_persona(name="Mirelle")
    client = api_client()

    @fuzz
    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "q",
                    "tag",
                    "category",
                    "rating",
                    "language",
                    "sort",
                    "mine",
                    "cursor",
                    "page_size",
                    "format",
                ]
            ),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
            | st.sampled_from(["-1", "999999999999", "\x00", "WzAsMSwyXQ==", "a & b | !c", "'", "\\"]),
            max_size=4,
        )
    )
    def read(query: dict[str, str]) -> None:
        response = client.get(URL, query)
        assert response.status_code in (200, 401, 404, 422), (response.status_code, query)

    read()
