"""Likes, favourites and copies; counters stay right however often and however parallel."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from accounts.tests.factories import make_user
from billing.models import Tier
from personas.models import Persona, PersonaFavorite, PersonaLike
from personas.services import marks, personas
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db
URL = "/api/v1/personas/"
Client = Callable[..., Any]


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run the calls at the same time, each on a connection of its own; exceptions are answers too."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_liking_and_keeping_twice_is_once(api_client: Client) -> None:
    user, persona = make_user(), make_persona()
    client = api_client(user)
    for path, key in (("like/", "is_liked"), ("favorite/", "is_favorite")):
        for _ in range(2):
            assert client.post(f"{URL}{persona.pk}/{path}").status_code == 204
        got = client.get(f"{URL}{persona.pk}/").json()
        assert (got[key], got["likes"]) == (True, 1)
    for path, key in (("like/", "is_liked"), ("favorite/", "is_favorite")):
        for _ in range(2):
            assert client.delete(f"{URL}{persona.pk}/{path}").status_code == 204
        assert client.get(f"{URL}{persona.pk}/").json()[key] is False
    persona.refresh_from_db()
    assert (persona.likes_count, PersonaLike.objects.count(), PersonaFavorite.objects.count()) == (0, 0, 0)


def test_a_like_can_be_taken_back_after_the_persona_went_private(api_client: Client) -> None:
    user, persona = make_user(), make_persona()
    client = api_client(user)
    client.post(f"{URL}{persona.pk}/like/")
    Persona.objects.update(visibility="private")
    assert client.delete(f"{URL}{persona.pk}/like/").status_code == 204
    assert Persona.objects.get().likes_count == 0


@pytest.mark.django_db(transaction=True)
def test_parallel_likes_of_many_and_of_one_are_counted_right() -> None:
    persona = make_persona()
    users = [make_user() for _ in range(4)]
    together(
        [lambda user=user: marks.like_persona(user_id=user.pk, persona_id=persona.pk) for user in users * 3]
    )
    persona.refresh_from_db()
    assert (persona.likes_count, PersonaLike.objects.count()) == (4, 4)
    together(
        [lambda user=user: marks.unlike_persona(user_id=user.pk, persona_id=persona.pk) for user in users * 3]
    )
    persona.refresh_from_db()
    assert (persona.likes_count, PersonaLike.objects.count()) == (0, 0)


def test_a_copy_is_private_ones_own_and_names_its_source(api_client: Client) -> None:
    user = make_user()
    original = make_persona(
        personality="curious", tags=["a"], lorebook={"extensions": {}, "entries": []}, likes_count=5
    )
    response = api_client(user).post(f"{URL}{original.pk}/clone/")
    assert response.status_code == 201
    got = response.json()
    assert (got["cloned_from"], got["visibility"], got["likes"], got["personality"]) == (
        str(original.pk),
        "private",
        0,
        "curious",
    )
    copy = Persona.objects.get(pk=got["id"])
    assert (copy.owner_id, copy.lorebook) == (user.pk, original.lorebook)
    assert copy.slug != original.slug


def test_an_owner_may_forbid_copies_and_still_make_their_own(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner, allow_clone=False)
    refused = api_client(make_user()).post(f"{URL}{persona.pk}/clone/")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert Persona.objects.count() == 1
    assert api_client(owner).post(f"{URL}{persona.pk}/clone/").status_code == 201


def test_the_tier_limits_own_personas_however_they_are_made(api_client: Client) -> None:
    user = make_user()
    limit = Tier.objects.order_by("position").first().persona_limit
    assert limit == 2
    other = make_persona()
    client = api_client(user)
    for number in range(limit):
        assert client.post(URL, {"name": f"n{number}"}).status_code == 201
    for path, body in (("", {"name": "x"}), (f"{other.pk}/clone/", {})):
        response = client.post(URL + path, body)
        got = response.json()
        assert (response.status_code, got["code"], got["limit"], got["used"]) == (403, "limit_reached", 2, 2)
    assert Persona.objects.filter(owner=user).count() == 2
    first = Persona.objects.filter(owner=user).first()
    assert client.delete(f"{URL}{first.pk}/").status_code == 204
    assert client.post(URL, {"name": "x"}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_parallel_creates_do_not_exceed_the_limit() -> None:
    user, other = make_user(), make_persona()
    calls = [lambda: personas.create_persona(owner_id=user.pk, name="x")] * 5
    calls += [lambda: personas.clone_persona(user_id=user.pk, persona_id=other.pk)] * 3
    answers = together(calls)
    refusals = [answer.code for answer in answers if not isinstance(answer, Persona)]
    assert refusals == ["limit_reached"] * 6
    assert Persona.objects.filter(owner=user).count() == 2
