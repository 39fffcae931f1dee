"""The owner edits a lorebook entry by entry; what a card brought beside our fields stays."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_user
from personas.lore import clean_lorebook
from personas.models import Persona
from personas.tests.cards import LOREBOOK
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db
ENTRY = {"name": "Lamp", "keys": "lamp, Light ", "content": "The lamp is old.\r\nVery.", "enabled": "on"}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def entries() -> list[dict[str, Any]]:
    book = Persona.objects.get().lorebook
    return book["entries"] if book else []


def test_the_first_entry_makes_the_lorebook() -> None:
    owner = make_user()
    persona = make_persona(owner)
    response = signed_in(owner).post(f"/personas/{persona.slug}/lorebook/", ENTRY)
    assert (response.status_code, response["Location"]) == (302, f"/personas/{persona.slug}/lorebook/")
    assert entries() == [
        {
            "name": "Lamp",
            "keys": ["lamp", "Light"],
            "content": "The lamp is old.\nVery.",
            "constant": False,
            "enabled": True,
            "extensions": {},
            "insertion_order": 100,
            "use_regex": False,
        }
    ]


def test_editing_an_entry_keeps_its_other_fields_and_the_other_entries() -> None:
    owner = make_user()
    persona = make_persona(owner, lorebook=clean_lorebook(LOREBOOK))
    client = signed_in(owner)
    page = client.get(f"/personas/{persona.slug}/lorebook/0/").content.decode()
    assert ('value="ferry, Boat"' in page, "Patterns are kept, not used" in page) == (True, True)
    client.post(f"/personas/{persona.slug}/lorebook/0/", ENTRY)
    first, second = entries()
    assert (first["content"], first["priority"], first["extensions"]) == (
        "The lamp is old.\nVery.",
        5,
        {"depth": 3, "probability": 100},
    )
    assert second == clean_lorebook(LOREBOOK)["entries"][1]
    assert Persona.objects.get().lorebook["extensions"] == {"smith": {"colour": "grey"}}


def test_deleting_the_last_entries_leaves_what_the_book_says_of_itself() -> None:
    owner = make_user()
    persona = make_persona(owner, lorebook=clean_lorebook(LOREBOOK))
    client = signed_in(owner)
    for _ in range(2):
        assert client.post(f"/personas/{persona.slug}/lorebook/0/delete/").status_code == 302
    assert entries() == []
    assert client.post(f"/personas/{persona.slug}/lorebook/0/delete/").status_code == 404
    assert Persona.objects.get().lorebook["name"] == "The harbour"


def test_a_refused_entry_says_why_and_changes_nothing() -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = signed_in(owner)
    response = client.post(f"/personas/{persona.slug}/lorebook/", {**ENTRY, "keys": "x" * 201})
    assert response.status_code == 422
    assert "too many keys, or too long ones" in response.content.decode()
    assert entries() == []


@pytest.mark.parametrize("path", ["lorebook/", "lorebook/0/", "lorebook/0/delete/"])
def test_x3_strangers_do_not_reach_it(path: str) -> None:
    persona = make_persona(lorebook=clean_lorebook(LOREBOOK))
    client = signed_in(make_user())
    assert client.post(f"/personas/{persona.slug}/{path}", ENTRY).status_code == 404
    assert client.get(f"/personas/{persona.slug}/{path}").status_code in (404, 405)
    assert entries() == clean_lorebook(LOREBOOK)["entries"]


def test_an_entry_that_is_not_there_is_not_found() -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = signed_in(owner)
    for index in ("0", "99999999999999999999"):
        assert client.get(f"/personas/{persona.slug}/lorebook/{index}/").status_code == 404
        assert client.post(f"/personas/{persona.slug}/lorebook/{index}/", ENTRY).status_code == 404
