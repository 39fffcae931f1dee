"""A8 and X28: keys for programs, and the one place they open."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, StaffAction
from accounts.services.api_keys import create_api_key
from accounts.tests.factories import PASSWORD, make_user
from common.testing.clients import access_token, make_api_client
from personas.tests.factories import make_persona

KEYS = "/api/v1/me/api-keys/"
pytestmark = pytest.mark.django_db


def ask(key: str, path: str = "/v1/models", **headers: str) -> Any:
    return Client().get(path, headers={"Authorization": f"Bearer {key}", **headers})


def test_a_key_is_shown_once_and_opens_the_face_for_programs() -> None:
    user = make_user(handle="ada")
    api = make_api_client(user)
    persona = make_persona(user, status="published", visibility="public", name="Grace")

    made = api.post(KEYS, {"name": "  my   script "})
    key = made.json()["key"]
    listed = api.get(KEYS).json()["results"]
    models = ask(key)
    one = ask(key, f"/v1/models/{persona.slug}")

    assert (made.status_code, made.json()["name"]) == (201, "my script")
    assert key.startswith("parlor_sk_")
    assert [set(row) for row in listed] == [{"id", "name", "prefix", "last_used_at", "created_at"}]
    assert key not in str(ApiKey.objects.values().get())
    expected = {
        "id": persona.slug,
        "object": "model",
        "created": int(persona.created_at.timestamp()),
        "owned_by": "ada",
    }
    assert models.json() == {"object": "list", "data": [expected]}
    assert one.json() == expected


def test_models_are_what_the_owner_may_talk_to() -> None:
    user, other = make_user(), make_user()
    own = make_persona(user, status="draft", visibility="private")
    listed = make_persona(other, status="published", visibility="public")
    for hidden in ({"visibility": "unlisted"}, {"visibility": "private"}, {"rating": "mature"}):
        make_persona(other, **{"status": "published", "visibility": "public", **hidden})
    key = create_api_key(user_id=user.id, name="script").text

    found = {model["id"] for model in ask(key).json()["data"]}

    assert found == {own.slug, listed.slug}
    assert ask(key, "/v1/models/nobody").json()["error"]["code"] == "model_not_found"


def test_the_list_of_models_needs_the_same_queries_for_two_as_for_twenty(
    django_assert_num_queries: Any,
) -> None:
    user = make_user()
    key = create_api_key(user_id=user.id, name="script").text
    make_persona(user)
    ask(key)
    with django_assert_num_queries(3):
        ask(key)
    for _number in range(20):
        make_persona(user)
    with django_assert_num_queries(3):
        ask(key)


@pytest.mark.parametrize("end", ["revoked", "suspended", "changed", "cut", "made up", "blank"])
def test_a_key_that_does_not_count_is_refused_in_the_shape_programs_know(end: str) -> None:
    user = make_user()
    api = make_api_client(user)
    key = create_api_key(user_id=user.id, name="script").text
    if end == "revoked":
        assert api.delete(f"{KEYS}{ApiKey.objects.get().id}/").status_code == 204
    elif end == "suspended":
        type(user).objects.filter(id=user.id).update(is_active=False)
    key = {"changed": f"{key[:-1]}x", "cut": key[:-8], "made up": "parlor_sk_x", "blank": ""}.get(end, key)

    response = ask(key)

    assert response.status_code == 401
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}
    assert (response.json()["error"]["type"], response.json()["error"]["code"]) == (
        "authentication_error",
        "invalid_api_key",
    )


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v1/models/a/b", "/v1/engines/"])
def test_other_paths_say_so_in_the_shape_programs_know(path: str) -> None:
    for answer in (ask("", path), Client().post(path, {}, content_type="application/json")):
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (
            404,
            "invalid_request_error",
            "unknown_url",
        )


def test_x28_a_key_opens_one_door_in_one_way() -> None:
    user = make_user()
    key = create_api_key(user_id=user.id, name="script").text
    token = access_token(user)
    browser = Client()
    browser.force_login(user)

    answers = {
        "other header": Client().get("/v1/models", headers={"X-API-Key": key}).status_code,
        "other scheme": Client().get("/v1/models", headers={"Authorization": f"Basic {key}"}).status_code,
        "query": Client().get(f"/v1/models?api_key={key}").status_code,
        "cookie": Client(headers={"Cookie": f"api_key={key}"}).get("/v1/models").status_code,
        "the API": ask(key, "/api/v1/me/").status_code,
        "headless": ask(key, "/_allauth/app/v1/auth/session").status_code,
        "a token": ask(token).status_code,
        "a session": browser.get("/v1/models").status_code,
    }

    assert answers == dict.fromkeys(answers, 401)


def test_when_it_was_used_is_noted_about_once_a_minute() -> None:
    user = make_user()
    key = create_api_key(user_id=user.id, name="script").text
    ask(key)
    first = ApiKey.objects.get().last_used_at
    ask(key)
    second = ApiKey.objects.get().last_used_at
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    ask(key)
    third = ApiKey.objects.get().last_used_at

    assert first is not None
    assert second == first
    assert third is not None
    assert third > timezone.now() - timedelta(seconds=5)


def test_keys_are_limited_in_number_and_revoked_ones_do_not_count(settings: Any) -> None:
    settings.ACCOUNTS_API_KEYS = 2
    api = make_api_client(make_user())
    for _number in range(2):
        api.post(KEYS, {"name": "script"})

    full = api.post(KEYS, {"name": "script"})
    api.delete(f"{KEYS}{ApiKey.objects.first().id}/")  # type: ignore[union-attr]
    room = api.post(KEYS, {"name": "script"})

    assert (full.status_code, full.json()["code"]) == (403, "limit_reached")
    assert (full.json()["limit"], full.json()["used"]) == (2, 2)
    assert room.status_code == 201


def test_making_one_needs_a_sign_in_of_the_last_minutes(settings: Any) -> None:
    api = make_api_client(make_user())
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = -1

    response = api.post(KEYS, {"name": "script"})

    assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")
    assert not ApiKey.objects.exists()


def test_nobody_revokes_somebody_elses_key() -> None:
    key = create_api_key(user_id=make_user().id, name="script").row

    assert make_api_client(make_user()).delete(f"{KEYS}{key.id}/").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_the_page_makes_shows_once_and_revokes() -> None:
    user = make_user()
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})

    blank = client.post("/settings/api-keys/new/", {"name": " "}, follow=True)
    page = client.post("/settings/api-keys/new/", {"name": "laptop"})
    again = client.get("/settings/api-keys/").content.decode()
    client.post(f"/settings/api-keys/{ApiKey.objects.get().id}/revoke/")

    assert "Give the key a name" in blank.content.decode()
    assert page.content.decode().count("parlor_sk_") == 2
    assert "parlor_sk_" not in str(dict(client.session))
    assert "no-store" in page["Cache-Control"]
    assert again.count("parlor_sk_") == 1
    assert ApiKey.objects.get().revoked_at is not None


def test_staff_revoke_a_key_with_a_reason() -> None:
    admin = make_user(superuser=True)
    key = create_api_key(user_id=make_user().id, name="script").row
    client = Client()
    client.force_login(admin)

    client.post(f"/admin/accounts/apikey/{key.id}/revoke/", {"reason": "leaked", "_form_submitted": "on"})

    key.refresh_from_db()
    assert key.revoked_at is not None
    assert StaffAction.objects.get().reason == "leaked"
