"""D3 and D4 at the front door: cards in and out, lorebooks, pictures."""

import datetime
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from accounts.models import Erasure
from accounts.services import erasures
from accounts.tests.factories import make_user
from billing.models import Tier
from files.charges import charge
from files.models import File, StorageUse
from files.services import uploads
from personas.cards import png
from personas.cards.importer import read_card
from personas.models import Persona
from personas.tests.cards import (
    LOREBOOK,
    V1,
    as_json,
    encoded,
    packed_chunk,
    png_with,
    text_chunk,
    v2_card,
    v3_card,
)
from personas.tests.factories import make_persona, make_picture

pytestmark = pytest.mark.django_db
URL = "/api/v1/personas/"
Client = Callable[..., Any]


def upload(client: Any, url: str, data: bytes, method: str = "post", **fields: Any) -> Any:
    file = SimpleUploadedFile("card.png", data, content_type="application/octet-stream")
    return getattr(client, method)(url, {"file": file, **fields}, format="multipart")


def exported(client: Any, persona_id: str, query: str = "") -> Any:
    response = client.get(f"{URL}{persona_id}/export/{query}")
    assert response.status_code == 200, response.content
    return response


def picture_at(client: Any, url: str) -> Image.Image:
    response = client.get(url.removeprefix("http://testserver"))
    assert (response.status_code, response["Content-Type"]) == (200, "image/webp")
    return Image.open(BytesIO(response.content))


def test_a_card_in_a_picture_becomes_a_persona_with_portrait_and_lorebook(api_client: Client) -> None:
    user = make_user()
    client = api_client(user)
    card = png_with(text_chunk(b"chara", encoded(v2_card())), picture=make_picture(size=(300, 400)))
    response = upload(client, f"{URL}import/", card)
    assert response.status_code == 201, response.content
    got = response.json()
    assert (got["name"], got["tagline"], got["greeting"]) == ("Mirelle", "Best read slowly.", V1["first_mes"])
    assert (got["personality"], got["example_dialogue"]) == (V1["personality"], V1["mes_example"])
    assert (got["tags"], got["visibility"]) == (["harbour", "slice of life"], "private")
    assert got["alternate_greetings"] == ["Back again?", "  indented  "]
    assert picture_at(client, got["avatar_url"]).size == (192, 192)
    book = client.get(f"{URL}{got['id']}/lorebook/").json()
    assert [entry["keys"] for entry in book["entries"]] == [["ferry", "Boat"], ["(a+)+$"]]
    assert Persona.objects.get().owner_id == user.pk


@pytest.mark.parametrize("card", [V1, v2_card(), v3_card()], ids=["v1", "v2", "v3"])
def test_a_card_leaves_as_it_came_in(api_client: Client, card: dict[str, Any]) -> None:
    client = api_client(make_user())
    got = upload(client, f"{URL}import/", as_json(card)).json()
    spec = {"chara_card_v2": "v2", "chara_card_v3": "v3"}.get(card.get("spec", ""), "v1")
    response = exported(client, got["id"], f"?format=json&spec={spec}")
    assert response["Content-Type"] == "application/json"
    assert response["Content-Disposition"] == f'attachment; filename="{got["slug"]}.json"'
    assert read_card(response.content).document == card


def test_edits_travel_with_everything_else_kept(api_client: Client) -> None:
    client = api_client(make_user())
    got = upload(client, f"{URL}import/", as_json(v3_card())).json()
    client.patch(f"{URL}{got['id']}/", {"greeting": "You again.", "rating": "teen"})
    data = read_card(exported(client, got["id"], "?spec=v3").content).document["data"]
    before = v3_card()["data"]
    assert data.pop("first_mes") == "You again."
    assert data.pop("extensions") == {**before.pop("extensions"), "parlor": {"rating": "teen"}}
    assert data.pop("modification_date") > before.pop("modification_date")
    before.pop("first_mes")
    assert data == before


def test_a_picture_leaves_with_the_portrait_and_both_cards(api_client: Client) -> None:
    client = api_client(make_user())
    card = png_with(text_chunk(b"ccv3", encoded(v3_card())), picture=make_picture(colour="#ff0000"))
    got = upload(client, f"{URL}import/", card).json()
    response = exported(client, got["id"], "?format=png")
    assert (response["Content-Type"], response.content[:8]) == ("image/png", png.SIGNATURE)
    assert png.read_card_texts(response.content).keys() == {"chara", "ccv3"}
    assert read_card(response.content).document == v3_card()
    red, green, _blue = Image.open(BytesIO(response.content)).convert("RGB").getpixel((10, 10))
    assert (red > 240, green < 15) == (True, True)
    only_v2 = exported(client, got["id"], "?format=png&spec=v2").content
    assert png.read_card_texts(only_v2).keys() == {"chara"}
    again = upload(client, f"{URL}import/", response.content)
    assert (again.status_code, again.json()["greeting"]) == (201, got["greeting"])


def test_a_persona_without_portrait_leaves_with_its_drawn_one(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner)
    picture = Image.open(BytesIO(exported(api_client(owner), str(persona.pk), "?format=png").content))
    assert (picture.format, picture.size) == ("PNG", (480, 640))


def test_accept_headers_do_not_stand_in_the_way_of_a_picture(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner)
    response = api_client(owner).get(f"{URL}{persona.pk}/export/?format=png", headers={"Accept": "image/png"})
    assert response.status_code == 200


@pytest.mark.parametrize("query", ["?format=charx", "?format=xml", "?spec=v4"])
def test_unknown_formats_are_refused(api_client: Client, query: str) -> None:
    owner = make_user()
    persona = make_persona(owner)
    response = api_client(owner).get(f"{URL}{persona.pk}/export/{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid")


def test_strangers_take_the_definition_only_where_copies_are_allowed(api_client: Client) -> None:
    persona = make_persona(system_prompt="secret", allow_clone=False)
    stranger = api_client(make_user())
    refused = stranger.get(f"{URL}{persona.pk}/export/")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    Persona.objects.update(allow_clone=True)
    card = read_card(exported(stranger, str(persona.pk)).content)
    assert card.fields.system_prompt == "secret"


@pytest.mark.parametrize(
    ("data", "status", "code", "reason"),
    [
        (b"GIF89a", 415, "unsupported_media_type", "card_unknown_format"),
        (make_picture(), 422, "invalid", "card_missing"),
        (png_with(packed_chunk(b"chara", b"A" * 64 * 1024 * 1024)), 413, "file_too_large", "card_too_large"),
        (
            png_with(text_chunk(b"chara", encoded(V1)), text_chunk(b"chara", encoded(V1))),
            422,
            "invalid",
            "card_duplicate_chunk",
        ),
        (b"{" + b" " * 300_000 + b"}", 413, "file_too_large", "card_too_large"),
    ],
)
def test_x43_hostile_files_are_refused_and_leave_nothing(
    api_client: Client, data: bytes, status: int, code: str, reason: str
) -> None:
    response = upload(api_client(make_user()), f"{URL}import/", data)
    got = response.json()
    assert (response.status_code, got["code"]) == (status, code)
    assert [(error["field"], error["code"]) for error in got["errors"]] == [("file", reason)]
    assert Persona.objects.count() == 0


def test_a_file_over_ten_megabytes_is_refused(api_client: Client) -> None:
    response = upload(api_client(make_user()), f"{URL}import/", b"{" + b" " * 10 * 1024 * 1024)
    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")


def test_an_import_without_a_file_or_with_more_than_one_field_is_refused(api_client: Client) -> None:
    client = api_client(make_user())
    empty = client.post(f"{URL}import/", {}, format="multipart")
    assert (empty.status_code, empty.json()["errors"][0]["code"]) == (422, "required")
    more = upload(client, f"{URL}import/", as_json(V1), owner="me")
    assert (more.status_code, more.json()["errors"][0]["code"]) == (422, "unknown_field")
    assert client.post(f"{URL}import/", V1, format="json").status_code == 415
    assert Persona.objects.count() == 0


def test_the_limit_of_personas_holds_for_imports_and_keeps_no_picture(api_client: Client) -> None:
    user = make_user()
    make_persona(user)
    make_persona(user)
    card = png_with(text_chunk(b"chara", encoded(V1)))
    response = upload(api_client(user), f"{URL}import/", card)
    assert (response.status_code, response.json()["code"]) == (403, "limit_reached")


def test_wishes_of_a_card_this_platform_does_not_know_fall_to_the_default(api_client: Client) -> None:
    card = v2_card()
    card["data"]["extensions"]["parlor"] = {
        "category": "nowhere",
        "model": "gone",
        "temperature": "9",
        "rating": "x",
        "language": "Klingon!",
    }
    got = upload(api_client(make_user()), f"{URL}import/", as_json(card)).json()
    assert (got["category"], got["model"], got["temperature"], got["rating"], got["language"]) == (
        None,
        "",
        None,
        "everyone",
        "en",
    )


def test_a_mature_card_is_for_adults(api_client: Client) -> None:
    card = v2_card()
    card["data"]["extensions"]["parlor"] = {"rating": "mature"}
    refused = upload(api_client(make_user()), f"{URL}import/", as_json(card))
    assert (refused.status_code, refused.json()["code"]) == (403, "age_restricted")
    adult = make_user(birth_date=datetime.date(1990, 1, 1))
    assert upload(api_client(adult), f"{URL}import/", as_json(card)).json()["rating"] == "mature"


def test_a_lorebook_is_put_and_got(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = api_client(owner)
    url = f"{URL}{persona.pk}/lorebook/"
    assert client.get(url).json() == {"extensions": {}, "entries": []}
    put = client.put(url, LOREBOOK)
    assert put.status_code == 200
    assert client.get(url).json() == put.json()
    assert put.json()["entries"][0]["use_regex"] is False
    assert put.json()["extensions"] == {"smith": {"colour": "grey"}}
    assert client.put(url, {"entries": []}).json() == {"extensions": {}, "entries": []}
    assert Persona.objects.get().lorebook is None


def test_a_wrong_lorebook_is_refused_by_field_and_the_old_one_stays(api_client: Client) -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = api_client(owner)
    client.put(f"{URL}{persona.pk}/lorebook/", LOREBOOK)
    before = Persona.objects.get().lorebook
    for body, field in (
        ({"entries": [{"keys": "a", "content": 1}]}, "lorebook.entries.0.content"),
        ({"entries": [{}] * 1001}, "lorebook.entries"),
    ):
        response = client.put(f"{URL}{persona.pk}/lorebook/", body)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)
    large = client.put(f"{URL}{persona.pk}/lorebook/", {"entries": [{"content": "x" * 50_000}] * 6})
    assert (large.status_code, large.json()["code"]) == (413, "file_too_large")
    assert Persona.objects.get().lorebook == before


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_portrait_is_drawn_anew_and_the_old_files_go(
    api_client: Client, method: str, django_capture_on_commit_callbacks: Any
) -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = api_client(owner)
    url = f"{URL}{persona.pk}/avatar/"
    first = upload(client, url, make_picture("JPEG"), method).json()
    persona.refresh_from_db()
    old = persona.portrait_key
    assert picture_at(client, first["avatar_url"]).size == (192, 192)
    with django_capture_on_commit_callbacks(execute=True):
        second = upload(client, url, make_picture("GIF"), method).json()
    assert second["avatar_url"] != first["avatar_url"]
    assert not default_storage.exists(old)
    with django_capture_on_commit_callbacks(execute=True):
        assert "/portraits/" in client.delete(url).json()["avatar_url"]


def test_the_portrait_of_a_copy_outlives_the_original_s(
    api_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = api_client(owner)
    upload(client, f"{URL}{persona.pk}/avatar/", make_picture())
    copy = client.post(f"{URL}{persona.pk}/clone/").json()
    with django_capture_on_commit_callbacks(execute=True):
        client.delete(f"{URL}{persona.pk}/avatar/")
    assert picture_at(client, copy["avatar_url"]).size == (192, 192)


def test_a_copy_s_picture_is_its_owner_s_own_whatever_becomes_of_the_original_s(
    api_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    author, other = make_user(), make_user()
    persona = make_persona(author, name="Orig")
    client, theirs = api_client(author), api_client(other)
    upload(client, f"{URL}{persona.pk}/avatar/", make_picture())
    copy = theirs.post(f"{URL}{persona.pk}/clone/").json()
    theirs.patch(f"{URL}{copy['id']}/", {"name": "A secret"})
    original, copied = File.objects.get(owner=author), File.objects.get(owner=other)

    with django_capture_on_commit_callbacks(execute=True):
        client.delete(f"{URL}{persona.pk}/avatar/")
        Erasure.objects.create(user=author, erase_at=timezone.now())
        erasures.erase_account(user_id=author.id)

    assert not set(original.keys) & set(copied.keys)
    assert (copied.size, copied.facts) == (original.size, original.facts)
    assert StorageUse.objects.get(owner=other).used == charge(copied.size)
    assert list(File.objects.all()) == [copied]
    assert picture_at(theirs, copy["avatar_url"]).size == (192, 192)


def test_a_picture_somebody_copied_is_still_its_owner_s_to_delete(api_client: Client) -> None:
    author = make_user()
    persona = make_persona(author)
    client = api_client(author)
    file = uploads.upload_file(owner_id=author.id, category="persona_image", name="a", data=make_picture())
    shown = {"avatar_key": file.thumbnail_key, "card_image_key": file.card_key, "portrait_key": file.key}
    Persona.objects.filter(pk=persona.pk).update(**shown)
    api_client(make_user()).post(f"{URL}{persona.pk}/clone/")
    Persona.objects.filter(pk=persona.pk).update(**dict.fromkeys(shown, ""))

    assert client.delete(f"/api/v1/files/{file.id}/").status_code == 204


def test_a_full_storage_takes_no_copy_of_a_picture(api_client: Client) -> None:
    author, other = make_user(), make_user()
    persona = make_persona(author)
    upload(api_client(author), f"{URL}{persona.pk}/avatar/", make_picture())
    Tier.objects.update(storage_bytes=10)

    response = api_client(other).post(f"{URL}{persona.pk}/clone/")

    assert (response.status_code, response.json()["code"]) == (403, "limit_reached")
    assert not Persona.objects.filter(owner=other).exists()
    assert not File.objects.filter(owner=other).exists()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 415),
        (b"RIFF\x00\x00\x00\x00WAVE<html>", 415),
        (make_picture("BMP"), 415),
        (make_picture()[:50], 422),
    ],
)
def test_x31_what_is_no_picture_is_refused_and_the_persona_keeps_its_own(
    api_client: Client, data: bytes, status: int
) -> None:
    owner = make_user()
    persona = make_persona(owner)
    response = upload(api_client(owner), f"{URL}{persona.pk}/avatar/", data, "put")
    assert response.status_code == status
    assert Persona.objects.get().avatar_key == ""


def test_a_stranger_does_not_change_a_portrait(api_client: Client) -> None:
    persona = make_persona()
    response = upload(api_client(make_user()), f"{URL}{persona.pk}/avatar/", make_picture(), "put")
    assert response.status_code == 404
    assert Persona.objects.get().avatar_key == ""


def test_the_drawn_picture_is_always_the_same_and_cached_for_ever(api_client: Client) -> None:
    persona = make_persona()
    client = api_client()
    first, second = (client.get(persona.card_image_url) for _ in range(2))
    assert first.content == second.content
    assert first["Cache-Control"] == "public, max-age=31536000, immutable"
    assert Image.open(BytesIO(first.content)).size == (480, 640)
    for path in ("/portraits/zz-A/card.webp", "/portraits/00-A/huge.webp", "/portraits/00-é/card.webp"):
        assert client.get(path).status_code == 404
