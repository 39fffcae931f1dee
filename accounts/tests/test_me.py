"""`me/`: exactly the fields of the contract, and nothing writable beyond the profile."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.utils import timezone

from accounts import profile
from accounts.models import User, handle_skeleton
from accounts.tests.factories import make_user
from common.testing.clients import make_api_client

ME = "/api/v1/me/"
FIELDS = [
    "id",
    "email",
    "email_verified",
    "phone",
    "handle",
    "display_name",
    "avatar_url",
    "pronouns",
    "locale",
    "time_zone",
    "birth_date",
    "is_adult",
    "created_at",
]

ApiClient = Callable[..., Any]


@pytest.fixture
def no_added_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "_fields", {})


@pytest.mark.django_db
@pytest.mark.usefixtures("no_added_fields")
def test_shows_the_fields_of_the_contract(api_client: ApiClient) -> None:
    user = make_user("ada@example.com", handle="ada", display_name="Ada", birth_date=date(1990, 5, 1))

    response = api_client(user).get(ME)

    assert response.json() == {
        "id": str(user.id),
        "email": "ada@example.com",
        "email_verified": True,
        "phone": None,
        "handle": "ada",
        "display_name": "Ada",
        "avatar_url": None,
        "pronouns": "",
        "locale": "",
        "time_zone": "",
        "birth_date": "1990-05-01",
        "is_adult": True,
        "created_at": user.created_at.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.django_db
@pytest.mark.usefixtures("no_added_fields")
def test_upper_apps_add_fields_before_the_last(api_client: ApiClient) -> None:
    profile.register_field("tier", lambda user: f"tier of {user.display_name}")
    user = make_user(display_name="Ada")

    body = api_client(user).get(ME).json()

    assert list(body) == [*FIELDS[:-1], "tier", "created_at"]
    assert body["tier"] == "tier of Ada"


@pytest.mark.django_db
def test_changes_the_profile(api_client: ApiClient) -> None:
    user = make_user()
    changes = {
        "handle": "Ada_L",
        "display_name": "  Ada   Lovelace ",
        "pronouns": "she/her",
        "locale": "pt-BR",
        "time_zone": "Europe/Helsinki",
        "birth_date": "1990-05-01",
    }

    response = api_client(user).patch(ME, changes)

    assert response.status_code == 200
    expected = {**changes, "handle": "ada_l", "display_name": "Ada Lovelace"}
    assert {name: response.json()[name] for name in changes} == expected
    user.refresh_from_db()
    assert (user.handle, user.display_name, user.birth_date) == ("ada_l", "Ada Lovelace", date(1990, 5, 1))


@pytest.mark.django_db
def test_leaves_what_is_not_named_and_can_take_things_away(api_client: ApiClient) -> None:
    user = make_user(handle="ada", pronouns="she/her", locale="fi")

    response = api_client(user).patch(ME, {"handle": None, "locale": ""})

    assert (response.json()["handle"], response.json()["locale"]) == (None, "")
    assert response.json()["pronouns"] == "she/her"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"handle": "ab"}, "handle", "invalid"),
        ({"handle": "a" * 31}, "handle", "invalid"),
        ({"handle": "a" * 61}, "handle", "max_length"),
        ({"handle": "ada lovelace"}, "handle", "invalid"),
        ({"handle": "ada\n"}, "handle", None),
        ({"handle": "аda"}, "handle", "invalid"),
        ({"handle": "Admin"}, "handle", "reserved"),
        ({"handle": "taken_one"}, "handle", "taken"),
        ({"handle": "TAKEN_one"}, "handle", "taken"),
        ({"handle": {"a": 1}}, "handle", "invalid"),
        ({"display_name": ""}, "display_name", "blank"),
        ({"display_name": " \u00a0 "}, "display_name", "blank"),
        ({"display_name": "x" * 61}, "display_name", "too_long"),
        ({"display_name": "a\u202eb"}, "display_name", "invalid"),
        ({"display_name": None}, "display_name", "null"),
        ({"pronouns": "x" * 31}, "pronouns", "too_long"),
        ({"locale": "x"}, "locale", "invalid"),
        ({"locale": "../../x"}, "locale", "invalid"),
        ({"locale": "en-aaaaaaaa-bbbbbbbb"}, "locale", "too_long"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "invalid"),
        ({"time_zone": "../UTC"}, "time_zone", "invalid"),
        ({"birth_date": "1899-12-31"}, "birth_date", "invalid"),
        ({"birth_date": "2999-01-01"}, "birth_date", "invalid"),
        ({"birth_date": "yesterday"}, "birth_date", "invalid"),
        ({"birth_date": 1990}, "birth_date", "invalid"),
        ({"birth_date": "2020-01-01"}, "birth_date", "too_young"),
    ],
)
def test_refuses_what_breaks_a_rule_and_changes_nothing(
    api_client: ApiClient, changes: dict[str, Any], field: str, code: str | None
) -> None:
    make_user(handle="taken_one")
    user = make_user(handle="ada", display_name="Ada")

    response = api_client(user).patch(ME, {"pronouns": "they/them", **changes})

    if code is None:
        assert response.status_code == 200
        return
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [(field, code)]
    user.refresh_from_db()
    assert (user.handle, user.display_name, user.pronouns, user.birth_date) == ("ada", "Ada", "", None)


NOT_OURS_TO_SET = """
    id email email_verified phone avatar_url is_adult tier created_at role is_staff is_superuser is_active
    balance owner_id price session_epoch password
"""


@pytest.mark.django_db
@pytest.mark.parametrize("field", NOT_OURS_TO_SET.split())
def test_x47_refuses_every_field_that_is_not_the_users_to_set(api_client: ApiClient, field: str) -> None:
    user = make_user()
    before = User.objects.filter(id=user.id).values().get()
    client = api_client(user)

    response = client.patch(ME, {field: "1", "pronouns": "they/them"})

    assert response.status_code == 422
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, "unknown_field")]
    before.pop("last_login")
    after = User.objects.filter(id=user.id).values().get()
    after.pop("last_login")
    assert after == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", ["[]", "null", "1", '"x"', "{", "[" * 5000, '{"pronouns": "\\ud800"}', '{"pronouns": "\\u0000"}']
)
def test_x46_malformed_bodies_are_named_so(api_client: ApiClient, body: str) -> None:
    response = api_client(make_user()).patch(ME, body, content_type="application/json")

    assert (response.status_code, response.json()["code"]) == (400, "malformed")


@pytest.mark.django_db
def test_other_methods_and_formats_are_refused(api_client: ApiClient) -> None:
    client = api_client(make_user())

    assert client.post(ME).status_code == 405
    assert client.put(ME, {}).status_code == 405
    assert client.patch(ME, "a=1", content_type="application/x-www-form-urlencoded").status_code == 415
    assert Client().get(ME).json()["code"] == "not_authenticated"


@pytest.mark.django_db(transaction=True)
def test_of_two_users_who_want_one_handle_one_gets_it(api_client: ApiClient) -> None:
    clients = [api_client(make_user()) for _user in range(6)]
    barrier = threading.Barrier(6)

    def claim(client: Any) -> int:
        barrier.wait()
        try:
            return client.patch(ME, {"handle": "ada"}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(claim, clients))

    assert answers == [200] + [422] * 5
    assert User.objects.filter(handle="ada").count() == 1


@pytest.mark.parametrize(
    ("today", "age"),
    [(date(2024, 2, 28), 19), (date(2024, 2, 29), 20), (date(2025, 2, 28), 20), (date(2025, 3, 1), 21)],
)
def test_people_born_on_a_leap_day_have_birthdays_too(today: date, age: int) -> None:
    from accounts.models import age_on

    assert age_on(today, date(2004, 2, 29)) == age


@pytest.mark.django_db
def test_somebody_is_adult_from_their_eighteenth_birthday(api_client: ApiClient) -> None:
    today = timezone.localdate()
    user = make_user(birth_date=date(today.year - 18, today.month, min(today.day, 28)))
    minor = make_user(birth_date=date(today.year - 17, 1, 1))

    assert api_client(user).get(ME).json()["is_adult"] is True
    assert api_client(minor).get(ME).json()["is_adult"] is False
    assert api_client(make_user()).get(ME).json()["is_adult"] is False


@pytest.mark.django_db
@pytest.mark.parametrize(
    "alike", ["ada_lovelace", "adalovelace", "ada1ove1ace", "ada_l0velace", "a_d_a_lovelace"]
)
def test_a_handle_that_looks_like_another_is_refused(api_client: ApiClient, alike: str) -> None:
    make_user(handle="adalovelace")

    response = api_client(make_user()).patch(ME, {"handle": alike})

    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "taken")


@pytest.mark.django_db
@pytest.mark.parametrize("alike", ["parl0r", "adm1n", "ad_min", "rnoderator", "0fficial", "5upport", "5taff"])
def test_a_handle_that_looks_reserved_is_refused(api_client: ApiClient, alike: str) -> None:
    response = api_client(make_user()).patch(ME, {"handle": alike})

    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "reserved")


@pytest.mark.django_db
@pytest.mark.parametrize("handle", ["ada_lovelace", "corner_vvise", "clara0158", "a_1", "modern"])
def test_the_database_sees_what_python_sees_in_a_handle(handle: str) -> None:
    user = make_user(handle=handle)
    user.refresh_from_db()

    assert user.handle_skeleton == handle_skeleton(handle)


@pytest.mark.django_db
def test_the_database_refuses_look_alikes_whatever_python_says() -> None:
    make_user(handle="adalovelace")

    with pytest.raises(IntegrityError, match="look_alikes"):
        make_user(handle="ada1ovelace")


@pytest.mark.django_db
def test_a_birth_date_is_given_once_so_that_nobody_grows_up_on_demand(api_client: ApiClient) -> None:
    client = api_client(make_user())
    client.patch(ME, {"birth_date": "2010-01-01"})

    same = client.patch(ME, {"birth_date": "2010-01-01", "display_name": "Ada"})
    older = client.patch(ME, {"birth_date": "1990-01-01"})
    gone = client.patch(ME, {"birth_date": None})

    assert same.status_code == 200
    for response in (older, gone):
        assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "already_set")
    assert client.get(ME).json()["is_adult"] is False


@pytest.mark.django_db
@pytest.mark.parametrize(("handle", "alike"), [("clara", "c1ara"), ("clara", "dara"), ("dara", "ciara")])
def test_letters_that_join_into_others_are_seen_after_digits_are(
    api_client: ApiClient, handle: str, alike: str
) -> None:
    make_user(handle=handle)

    assert api_client(make_user()).patch(ME, {"handle": alike}).json()["errors"][0]["code"] == "taken"


@pytest.mark.django_db
@pytest.mark.parametrize(("field", "value"), [("display_name", "\u200b\u2060"), ("time_zone", "localtime")])
def test_names_nobody_can_see_and_zones_of_nowhere_are_refused(field: str, value: str) -> None:
    response = make_api_client(make_user()).patch("/api/v1/me/", {field: value}, format="json")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)
