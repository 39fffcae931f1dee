"""The settings pages: profile, picture, devices."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from allauth.usersessions.models import UserSession
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts import profile
from accounts.profile import AvatarStore
from accounts.tests.factories import PASSWORD, make_user
from common.errors import UnsupportedMedia

PROFILE = "/settings/profile/"
SESSIONS = "/settings/sessions/"


def signed_in_browser(email: str | None, agent: str = "Browser A") -> Client:
    client = Client(headers={"User-Agent": agent})
    response = client.post("/accounts/login/", {"login": email, "password": PASSWORD})
    assert response.status_code == 302
    return client


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A store of avatars in memory, like the one `files` registers."""
    kept: dict[str, bytes] = {}

    def save(user_id: UUID, data: bytes) -> str:
        if not data.startswith(b"picture"):
            raise UnsupportedMedia("This is no picture.")
        key = f"{len(kept)}.webp"
        kept[key] = data
        return key

    store = AvatarStore(save=save, url=lambda key: f"/media/{key}", delete=kept.__delitem__)
    monkeypatch.setattr(profile, "_avatar_stores", [store])
    return kept


@pytest.mark.django_db
@pytest.mark.parametrize("path", [PROFILE, SESSIONS, "/settings/", "/settings/email/", "/settings/password/"])
def test_strangers_are_led_to_the_log_in_page(path: str) -> None:
    response = Client().get(path, follow=True)

    assert response.redirect_chain[-1][0].startswith("/accounts/login/")


@pytest.mark.django_db
def test_every_settings_page_opens() -> None:
    client = signed_in_browser(make_user().email)
    paths = [PROFILE, SESSIONS, "/settings/", "/settings/email/", "/settings/password/"]

    assert [client.get(path, follow=True).status_code for path in paths] == [200] * 5


@pytest.mark.django_db
def test_the_profile_form_saves_what_is_valid() -> None:
    user = make_user()
    client = signed_in_browser(user.email)

    response = client.post(
        PROFILE,
        {
            "display_name": "Ada Lovelace",
            "handle": "Ada_L",
            "pronouns": "she/her",
            "locale": "fi",
            "time_zone": "Europe/Helsinki",
            "birth_date": "1990-05-01",
            "is_staff": "on",
        },
    )

    assert response.status_code == 302
    user.refresh_from_db()
    assert (user.display_name, user.handle, user.locale, user.time_zone, user.is_staff) == (
        "Ada Lovelace",
        "ada_l",
        "fi",
        "Europe/Helsinki",
        False,
    )


@pytest.mark.django_db
def test_the_profile_form_names_what_is_wrong_and_saves_nothing() -> None:
    make_user(handle="taken_one")
    user = make_user(display_name="Ada")
    client = signed_in_browser(user.email)

    response = client.post(
        PROFILE, {"display_name": "Eve", "handle": "taken_one", "birth_date": "2999-01-01"}
    )

    assert response.status_code == 422
    assert set(response.context["form"].errors) == {"handle", "birth_date"}
    user.refresh_from_db()
    assert user.display_name == "Ada"


@pytest.mark.django_db
def test_a_picture_is_kept_replaced_and_removed(
    pictures: dict[str, bytes], api_client: Callable[..., Any]
) -> None:
    user = make_user()
    client = signed_in_browser(user.email)
    avatar = f"{PROFILE}avatar/"

    client.post(avatar, {"avatar": SimpleUploadedFile("me.png", b"picture one")})
    client.post(avatar, {"avatar": SimpleUploadedFile("me.png", b"picture two")})

    assert list(pictures.values()) == [b"picture two"]
    url = api_client(user).get("/api/v1/me/").json()["avatar_url"]
    assert url == f"http://testserver/media/{next(iter(pictures))}"
    client.post(avatar, {"remove": "1"})
    assert pictures == {}
    assert api_client(user).get("/api/v1/me/").json()["avatar_url"] is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "upload",
    [
        {},
        {"avatar": SimpleUploadedFile("me.png", b"<svg onload=alert(1)>")},
        {"avatar": SimpleUploadedFile("me.png", b"picture" + b"x" * 5 * 1024 * 1024)},
        {"avatar": SimpleUploadedFile("me.png", b"")},
        {"avatar": "text"},
    ],
)
def test_what_is_no_picture_changes_nothing(pictures: dict[str, bytes], upload: dict[str, Any]) -> None:
    user = make_user()
    client = signed_in_browser(user.email)

    page = client.post(f"{PROFILE}avatar/", upload, follow=True)

    assert [message.level_tag for message in page.context["messages"]][-1] == "error"
    user.refresh_from_db()
    assert (user.avatar_key, pictures) == ("", {})


@pytest.mark.django_db
def test_devices_are_listed_and_one_can_be_signed_out() -> None:
    user = make_user()
    here = signed_in_browser(user.email, "Browser A")
    there = signed_in_browser(user.email, "Phone B")
    phone = UserSession.objects.get(user_agent="Phone B")

    page = here.get(SESSIONS)
    assert [item["name"] for item in page.context["devices"]] == ["Phone B", "Browser A"]
    here.post(f"{SESSIONS}{phone.pk}/end/")

    assert there.get(PROFILE).status_code == 302
    assert here.get(PROFILE).status_code == 200
    assert [item["name"] for item in here.get(SESSIONS).context["devices"]] == ["Browser A"]


@pytest.mark.django_db
def test_ending_the_session_one_is_in_signs_out() -> None:
    client = signed_in_browser(make_user().email)

    client.post(f"{SESSIONS}{UserSession.objects.get().pk}/end/")

    assert client.get(PROFILE).status_code == 302


@pytest.mark.django_db
def test_everything_can_be_signed_out_at_once() -> None:
    user = make_user()
    here, there = signed_in_browser(user.email), signed_in_browser(user.email)

    here.post(f"{SESSIONS}end-all/")

    assert [client.get(PROFILE).status_code for client in (here, there)] == [302, 302]


@pytest.mark.django_db
def test_x3_somebody_elses_device_is_not_found() -> None:
    stranger = signed_in_browser(make_user().email)
    victim = signed_in_browser(make_user().email)
    device = UserSession.objects.order_by("-pk").first()
    assert device is not None

    assert stranger.post(f"{SESSIONS}{device.pk}/end/").status_code == 404
    assert victim.get(PROFILE).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", [f"{SESSIONS}end-all/", f"{SESSIONS}1/end/", f"{PROFILE}avatar/"])
def test_links_alone_change_nothing(path: str) -> None:
    assert signed_in_browser(make_user().email).get(path).status_code == 405


@pytest.mark.django_db
def test_the_list_of_devices_needs_as_many_queries_for_two_as_for_twenty(
    django_assert_max_num_queries: Any,
) -> None:
    user = make_user()
    clients = [signed_in_browser(user.email) for _device in range(2)]
    with django_assert_max_num_queries(12) as few:
        clients[0].get(SESSIONS)
    clients += [signed_in_browser(user.email) for _device in range(18)]
    with django_assert_max_num_queries(12) as many:
        clients[0].get(SESSIONS)

    assert len(few) == len(many)


@pytest.mark.django_db
def test_pages_show_times_in_the_users_own_zone_and_the_api_in_utc(api_client: Callable[..., Any]) -> None:
    from django.utils.formats import date_format

    user = make_user(time_zone="Asia/Tokyo", superuser=True)
    client = signed_in_browser(user.email)
    joined = timezone.localtime(user.created_at, timezone.get_fixed_timezone(9 * 60))

    page = client.get(f"/admin/accounts/user/{user.id}/change/")

    assert date_format(joined, "DATETIME_FORMAT") in page.content.decode()
    assert api_client(user).get("/api/v1/me/").json()["created_at"].endswith("Z")
    assert client.get("/api/v1/me/").json()["created_at"].endswith("Z")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("languages", "locale", "shown"),
    [
        (["en", "fi"], "fi", "fi"),
        (["en", "pt"], "pt-BR", "pt"),
        (["en"], "fi", "en"),
        (["en", "fi"], "xx-yy", "en"),
        (["en", "fi"], "", "en"),
    ],
)
def test_pages_are_in_the_users_language_where_we_have_it(
    settings: Any, languages: list[str], locale: str, shown: str
) -> None:
    settings.LANGUAGES = [(code, code) for code in languages]
    client = signed_in_browser(make_user(locale=locale).email)

    page = client.get(PROFILE)

    assert f'<html lang="{shown}"' in page.content.decode()


@pytest.mark.django_db
def test_the_time_a_device_was_last_used_is_noted_sparingly() -> None:
    client = signed_in_browser(make_user().email)
    long_ago = timezone.now() - timedelta(days=1)
    UserSession.objects.update(last_seen_at=long_ago)
    client.get(PROFILE)
    assert UserSession.objects.get().last_seen_at == long_ago, "signing in counted as use a moment ago"

    from django.core.cache import cache

    cache.clear()
    client.get(PROFILE)

    assert UserSession.objects.get().last_seen_at > long_ago
