"""Lists of personas: filters, words, orders, cursors, and a constant number of queries."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.tests.factories import make_user
from personas.models import Persona, PersonaFavorite, PersonaLike
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db
URL = "/api/v1/personas/"
Client = Callable[..., Any]


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()["results"]]


def walk(client: Any, url: str, link: str = "next") -> list[list[str]]:
    pages = []
    while url:
        response = client.get(url)
        pages.append(names(response))
        url = response.json()[link]
    return pages


def test_filters_narrow_the_list(api_client: Client) -> None:
    owner = make_user()
    make_persona(owner, "Ada", tags=["numbers", "history"], category_id="history", rating="teen")
    make_persona(owner, "Bo", tags=["numbers"], category_id="humour", language="fi")
    client = api_client(make_user())
    assert names(client.get(URL, {"tag": "numbers", "sort": "new"})) == ["Bo", "Ada"]
    assert names(client.get(f"{URL}?tag=numbers&tag=History")) == ["Ada"]
    assert names(client.get(URL, {"category": "humour"})) == ["Bo"]
    assert names(client.get(URL, {"rating": "teen"})) == ["Ada"]
    assert names(client.get(URL, {"language": "fi"})) == ["Bo"]
    assert names(client.get(URL, {"tag": "numbers", "language": "en"})) == ["Ada"]
    assert names(client.get(URL, {"category": "'; DROP TABLE x"})) == []


def test_words_are_found_in_any_form_or_as_a_beginning(api_client: Client) -> None:
    owner = make_user()
    make_persona(owner, "Sherlock Holmes", tagline="Consulting detective", tags=["slow burn"])
    make_persona(owner, "Mirelle", description="She lights the lamps of a harbour town.")
    client = api_client(make_user())
    for words, expected in (
        ("sherlock", ["Sherlock Holmes"]),
        ("SHER hol", ["Sherlock Holmes"]),
        ("detectives", ["Sherlock Holmes"]),
        ("burn", ["Sherlock Holmes"]),
        ("lamp lighting", ["Mirelle"]),
        ("harb", ["Mirelle"]),
        ("sherlock lamps", []),
        ("!!! ' & | :* (", []),
        ("\\ %_", []),
    ):
        assert names(client.get(f"{URL}search/", {"q": words})) == expected, words
        assert names(client.get(URL, {"q": words})) == expected, words


def test_the_name_weighs_more_than_the_tags_and_those_more_than_the_description(api_client: Client) -> None:
    owner = make_user()
    make_persona(owner, "Third", description="a pirate")
    make_persona(owner, "Pirate")
    make_persona(owner, "Second", tags=["pirate"])
    assert names(api_client().get(f"{URL}search/?q=pirate")) == ["Pirate", "Second", "Third"]


def test_search_wants_words(api_client: Client) -> None:
    response = api_client().get(f"{URL}search/")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "q")


def test_orders(api_client: Client) -> None:
    owner = make_user()
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for name, likes, score, days in (("A", 3, 0.5, 1), ("B", 9, 0.1, 3), ("C", 1, 2.5, 2)):
        make_persona(
            owner,
            name,
            likes_count=likes,
            trending_score=score,
            published_at=day + datetime.timedelta(days=days),
        )
    client = api_client()
    assert names(client.get(URL)) == ["C", "A", "B"]
    assert names(client.get(f"{URL}trending/")) == ["C", "A", "B"]
    assert names(client.get(URL, {"sort": "top"})) == ["B", "A", "C"]
    assert names(client.get(URL, {"sort": "new"})) == ["B", "C", "A"]
    assert names(client.get(URL, {"sort": "relevance"})) == ["C", "A", "B"]
    assert client.get(URL, {"sort": "worst"}).status_code == 422


@pytest.mark.parametrize("sort", ["trending", "top", "new", "relevance"])
def test_cursors_reach_every_row_once_in_both_directions_among_many_equals(
    api_client: Client, sort: str
) -> None:
    owner = make_user()
    for number in range(11):
        make_persona(owner, f"Pirate {number}", likes_count=number // 4, trending_score=(number // 3) / 7)
    client = api_client()
    start = f"{URL}?q=pirate&sort={sort}&page_size=3"
    forward = walk(client, start)
    assert [len(page) for page in forward] == [3, 3, 3, 2]
    everything = names(client.get(f"{URL}?q=pirate&sort={sort}&page_size=100"))
    assert [name for page in forward for name in page] == everything
    last = start
    while (following := client.get(last).json()["next"]) is not None:
        last = following
    assert [name for page in walk(client, last, "previous")[::-1] for name in page] == everything
    assert client.get(start).json()["previous"] is None


@pytest.mark.parametrize("cursor", ["x", "bm9wZQ==", "W10=", "WzAsIngiLCJ5Il0=", "WzAsbnVsbCxudWxsXQ==", "é"])
def test_a_made_up_cursor_is_not_found(api_client: Client, cursor: str) -> None:
    response = api_client().get(URL, {"cursor": cursor})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_mine_shows_drafts_and_private_ones_newest_first(api_client: Client) -> None:
    user = make_user()
    make_persona(user, "Draft", status="draft", visibility="private")
    make_persona(user, "Public")
    make_persona(name="Other")
    client = api_client(user)
    assert names(client.get(URL, {"mine": "true"})) == ["Public", "Draft"]
    assert names(client.get(URL, {"mine": "true", "q": "draft"})) == ["Draft"]
    assert names(client.get(URL, {"mine": "true", "sort": "top", "page_size": 1})) == ["Public"]


def test_one_sees_ones_own_marks_in_a_list(api_client: Client) -> None:
    user = make_user()
    liked, kept = make_persona(name="Liked"), make_persona(name="Kept")
    PersonaLike.objects.create(user=user, persona=liked)
    PersonaFavorite.objects.create(user=user, persona=kept)
    rows = {row["name"]: row for row in api_client(user).get(URL).json()["results"]}
    marks = {name: (row["is_liked"], row["is_favorite"]) for name, row in rows.items()}
    assert marks == {"Liked": (True, False), "Kept": (False, True)}


@pytest.mark.parametrize("query", ["", "?q=pirate", "?mine=true", "?sort=top&category=humour"])
def test_the_number_of_queries_does_not_grow_with_the_rows(api_client: Client, query: str) -> None:
    user = make_user()
    client = api_client(user)

    def queries(rows: int) -> int:
        while Persona.objects.count() < rows:
            make_persona(user, f"Pirate {Persona.objects.count()}", category_id="humour")
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert len(names(client.get(URL + query))) == rows
        return len(captured)

    assert queries(2) == queries(20)
    assert queries(20) <= 4
