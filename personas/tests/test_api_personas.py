"""The personas API at the front door: create, read, change, delete, and who may."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import User
from accounts.tests.factories import make_user
from ai.models import AIModel
from personas.models import Persona
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db
URL = "/api/v1/personas/"
PUBLIC_FIELDS = {
    "id",
    "slug",
    "name",
    "tagline",
    "description",
    "avatar_url",
    "creator",
    "tags",
    "category",
    "language",
    "rating",
    "visibility",
    "status",
    "greeting",
    "likes",
    "chats",
    "is_liked",
    "is_favorite",
    "created_at",
    "updated_at",
}
OWNER_FIELDS = {
    "personality",
    "scenario",
    "example_dialogue",
    "alternate_greetings",
    "system_prompt",
    "post_history_instructions",
    "model",
    "temperature",
    "allow_clone",
    "cloned_from",
}
Client = Callable[..., Any]


def adult(**fields: Any) -> User:
    return make_user(birth_date=datetime.date(1990, 5, 5), **fields)


def codes(response: Any) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def test_a_persona_is_created_with_all_its_fields(api_client: Client) -> None:
    user = make_user(handle="ilse", display_name="Ilse")
    model = AIModel.objects.get(provider="echo")
    body = {
        "name": "  Ada   Lovelace ",
        "tagline": "Numbers and poetry",
        "description": " Countess. ",
        "greeting": "Good evening.\n",
        "alternate_greetings": ["Again?", "  "],
        "personality": "curious",
        "scenario": "A library.",
        "example_dialogue": "{{user}}: Hi",
        "system_prompt": "Be exact.",
        "post_history_instructions": "Be brief.",
        "model": model.slug,
        "temperature": 0.7,
        "tags": ["#History", "history", "Slow  Burn"],
        "category": "history",
        "language": "en-GB",
        "rating": "teen",
        "visibility": "public",
        "status": "published",
        "allow_clone": False,
    }
    response = api_client(user).post(URL, body)
    assert response.status_code == 201, response.content
    got = response.json()
    assert set(got) == PUBLIC_FIELDS | OWNER_FIELDS
    persona = Persona.objects.get()
    assert got.pop("slug").startswith("ada-lovelace-")
    assert got.pop("avatar_url").startswith("http://testserver/portraits/")
    assert (got.pop("id"), got.pop("created_at")[-1], got.pop("updated_at")[-1]) == (
        str(persona.pk),
        "Z",
        "Z",
    )
    assert got == {
        **body,
        "name": "Ada Lovelace",
        "alternate_greetings": ["Again?"],
        "tags": ["history", "slow burn"],
        "creator": {"id": str(user.pk), "handle": "ilse", "display_name": "Ilse"},
        "cloned_from": None,
        "likes": 0,
        "chats": 0,
        "is_liked": False,
        "is_favorite": False,
    }
    assert (persona.owner_id, persona.temperature, persona.description) == (
        user.pk,
        Decimal("0.70"),
        " Countess. ",
    )
    assert persona.published_at is not None


def test_a_persona_needs_a_name_only_and_is_private_then(api_client: Client) -> None:
    response = api_client(make_user()).post(URL, {"name": "漢字"})
    assert response.status_code == 201
    got = response.json()
    assert (got["visibility"], got["status"], got["temperature"]) == ("private", "published", None)
    assert got["slug"].startswith("persona-")
    assert Persona.objects.get().published_at is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("name", "required")]),
        ({"name": " "}, [("name", "blank")]),
        ({"name": "x" * 101}, [("name", "max_length")]),
        ({"name": None}, [("name", "null")]),
        ({"name": ["x"]}, [("name", "invalid")]),
        ({"name": "x", "description": "x" * 50_001}, [("description", "max_length")]),
        ({"name": "x", "tags": "a"}, [("tags", "not_a_list")]),
        ({"name": "x", "tags": ["x" * 41]}, [("tags.0", "max_length")]),
        ({"name": "x", "tags": [f"t{n}" for n in range(21)]}, [("tags", "max_length")]),
        ({"name": "x", "category": "nowhere"}, [("category", "invalid_choice")]),
        ({"name": "x", "model": "no-such-model"}, [("model", "invalid_choice")]),
        ({"name": "x", "temperature": 2.01}, [("temperature", "max_value")]),
        ({"name": "x", "temperature": -0.1}, [("temperature", "min_value")]),
        ({"name": "x", "temperature": "NaN"}, [("temperature", "invalid")]),
        ({"name": "x", "temperature": True}, [("temperature", "invalid")]),
        ({"name": "x", "rating": "nc17"}, [("rating", "invalid_choice")]),
        ({"name": "x", "visibility": "secret"}, [("visibility", "invalid_choice")]),
        ({"name": "x", "status": "hidden"}, [("status", "invalid_choice")]),
        ({"name": "x", "language": "english"}, [("language", "invalid")]),
        ({"name": "x", "allow_clone": "perhaps"}, [("allow_clone", "invalid")]),
        ({"name": "x", "alternate_greetings": ["x"] * 51}, [("alternate_greetings", "max_length")]),
    ],
)
def test_a_wrong_field_is_refused_by_name_and_nothing_is_written(
    api_client: Client, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    response = api_client(make_user()).post(URL, body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert codes(response) == expected
    assert Persona.objects.count() == 0


@pytest.mark.parametrize(
    "field",
    [
        "owner",
        "owner_id",
        "id",
        "slug",
        "likes",
        "likes_count",
        "chats",
        "is_staff",
        "price",
        "created_at",
        "card",
    ],
)
def test_x47_fields_nobody_may_write_are_refused(api_client: Client, field: str) -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = api_client(owner)
    created = client.post(URL, {"name": "x", field: 1})
    changed = client.patch(f"{URL}{persona.pk}/", {field: 1})
    replaced = client.put(f"{URL}{persona.pk}/", {"name": "x", field: 1})
    for response in (created, changed, replaced):
        assert response.status_code == 422
        assert codes(response) == [(field, "unknown_field")]
    assert Persona.objects.values_list("owner_id", "likes_count", "name").get() == (owner.pk, 0, "Ada")


def test_the_definition_is_shown_to_the_owner_only(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner, system_prompt="secret", personality="secret too")
    assert set(api_client(owner).get(f"{URL}{persona.pk}/").json()) == PUBLIC_FIELDS | OWNER_FIELDS
    for client in (api_client(make_user()), api_client()):
        response = client.get(f"{URL}{persona.pk}/")
        assert set(response.json()) == PUBLIC_FIELDS
        assert "secret" not in response.content.decode()


def test_patch_changes_what_is_given_and_nothing_else(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner, personality="curious", tags=["a"])
    response = api_client(owner).patch(f"{URL}{persona.pk}/", {"tagline": "New", "temperature": "0.35"})
    assert response.status_code == 200
    assert (response.json()["tagline"], response.json()["temperature"]) == ("New", 0.35)
    before = persona.updated_at
    persona.refresh_from_db()
    assert (persona.name, persona.personality, persona.tags, persona.tagline) == (
        "Ada",
        "curious",
        ["a"],
        "New",
    )
    assert persona.updated_at > before


def test_put_puts_what_is_left_out_back_to_its_default(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner, personality="curious", tags=["a"])
    response = api_client(owner).put(f"{URL}{persona.pk}/", {"name": "Augusta"})
    assert response.status_code == 200
    persona.refresh_from_db()
    assert (persona.name, persona.personality, persona.tags, persona.visibility) == (
        "Augusta",
        "",
        [],
        "private",
    )
    assert api_client(owner).put(f"{URL}{persona.pk}/", {"tagline": "x"}).status_code == 422


def test_a_deleted_persona_is_gone_everywhere_but_its_row_stays(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = api_client(owner)
    assert client.delete(f"{URL}{persona.pk}/").status_code == 204
    assert client.get(f"{URL}{persona.pk}/").status_code == 404
    assert client.delete(f"{URL}{persona.pk}/").status_code == 404
    assert client.patch(f"{URL}{persona.pk}/", {"name": "x"}).status_code == 404
    for query in ("", "?mine=true"):
        assert client.get(URL + query).json()["results"] == []
    persona.refresh_from_db()
    assert (persona.name, persona.deleted_at is None) == ("Ada", False)


WRITES = [
    ("patch", "", {"name": "x"}),
    ("put", "", {"name": "x"}),
    ("delete", "", None),
    ("get", "lorebook/", None),
    ("put", "lorebook/", {"entries": []}),
    ("delete", "avatar/", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_x3_a_public_persona_of_somebody_else_can_not_be_written(
    api_client: Client, method: str, path: str, body: Any
) -> None:
    persona = make_persona()
    before = Persona.objects.values().get()
    response = getattr(api_client(make_user()), method)(f"{URL}{persona.pk}/{path}", body)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert Persona.objects.values().get() == before


@pytest.mark.parametrize(
    "fields", [{"visibility": "private"}, {"status": "draft"}, {"visibility": "unlisted", "status": "draft"}]
)
def test_x2_a_persona_that_is_not_shown_is_not_found_by_any_door(
    api_client: Client, fields: dict[str, str]
) -> None:
    owner = make_user()
    persona = make_persona(owner, **fields)
    stranger = api_client(make_user())
    for method, path in [
        ("get", ""),
        ("post", "clone/"),
        ("post", "like/"),
        ("post", "favorite/"),
        ("get", "export/"),
        *((method, path) for method, path, _body in WRITES),
    ]:
        response = getattr(stranger, method)(
            f"{URL}{persona.pk}/{path}", {"name": "x"} if path == "" else None
        )
        assert response.status_code == 404, (method, path)
    assert stranger.get(URL).json()["results"] == []
    assert api_client(owner).get(f"{URL}{persona.pk}/").status_code == 200
    assert Persona.objects.count() == 1


def test_an_unlisted_persona_is_open_by_its_address_and_in_no_list(api_client: Client) -> None:
    persona = make_persona(visibility="unlisted")
    client = api_client(make_user())
    assert client.get(f"{URL}{persona.pk}/").json()["name"] == "Ada"
    for path in ("", "trending/", "search/?q=ada"):
        assert client.get(URL + path).json()["results"] == []


def test_a_mature_persona_is_for_adults(api_client: Client) -> None:
    owner = adult()
    persona = make_persona(owner, rating="mature")
    for client in (api_client(make_user()), api_client(make_user(birth_date=datetime.date(2012, 1, 1)))):
        assert client.get(URL).json()["results"] == []
        response = client.get(f"{URL}{persona.pk}/")
        assert (response.status_code, response.json()["code"]) == (403, "age_restricted")
        assert client.post(f"{URL}{persona.pk}/like/").status_code == 403
    grown = api_client(adult())
    assert [row["id"] for row in grown.get(URL).json()["results"]] == [str(persona.pk)]
    assert grown.get(f"{URL}{persona.pk}/").status_code == 200


def test_somebody_not_known_to_be_an_adult_makes_no_mature_persona(api_client: Client) -> None:
    user = make_user()
    response = api_client(user).post(URL, {"name": "x", "rating": "mature"})
    assert (response.status_code, response.json()["code"]) == (403, "age_restricted")
    assert Persona.objects.count() == 0


def test_publishing_for_everybody_needs_a_verified_address(api_client: Client) -> None:
    user = make_user(verified=False)
    client = api_client(user)
    response = client.post(URL, {"name": "x", "visibility": "public"})
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert "verify your email" in response.json()["detail"]
    assert Persona.objects.count() == 0
    created = client.post(URL, {"name": "x", "visibility": "public", "status": "draft"})
    assert created.status_code == 201
    published = client.patch(f"{URL}{created.json()['id']}/", {"status": "published"})
    assert published.status_code == 403
    assert Persona.objects.get().status == "draft"


def test_a_persona_taken_down_by_staff_is_there_for_its_owner_only(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(
        owner, hidden_at=datetime.datetime.now(datetime.UTC), hidden_reason="A real person."
    )
    assert api_client(make_user()).get(f"{URL}{persona.pk}/").status_code == 404
    assert api_client(owner).get(f"{URL}{persona.pk}/").status_code == 200


def test_visitors_may_look_and_nothing_else(api_client: Client) -> None:
    persona = make_persona()
    client = api_client()
    assert client.get(URL).status_code == 200
    assert client.get(f"{URL}{persona.pk}/").json()["is_liked"] is False
    for response in (
        client.get(f"{URL}?mine=true"),
        client.post(URL, {"name": "x"}),
        client.patch(f"{URL}{persona.pk}/", {"name": "x"}),
        client.post(f"{URL}{persona.pk}/like/"),
        client.post(f"{URL}{persona.pk}/clone/"),
        client.get(f"{URL}{persona.pk}/export/"),
        client.post(f"{URL}import/"),
    ):
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_what_does_not_exist_is_not_found(api_client: Client) -> None:
    client = api_client(make_user())
    for address in (uuid4(), "not-a-uuid", "00000000-0000-0000-0000-000000000000"):
        assert client.get(f"{URL}{address}/").status_code == 404


def test_the_same_idempotency_key_creates_once(api_client: Client) -> None:
    client = api_client(make_user())
    first, second = (client.post(URL, {"name": "x"}, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert Persona.objects.count() == 1
    other = client.post(URL, {"name": "y"}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
