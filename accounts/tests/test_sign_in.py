"""Signing up, in and out by email and password: pages and the headless API."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.core import mail
from django.db import connection
from django.test import Client

from accounts import signals
from accounts.models import TokenFamily, User
from accounts.tests.factories import PASSWORD, make_user

APP = "/_allauth/app/v1"
PROFILE = "/settings/profile/"


def app_post(path: str, body: Any, **headers: str) -> Any:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return Client().post(f"{APP}/{path}", data, content_type="application/json", headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def link_in_last_mail() -> str:
    found = re.search(r"https?://[^/\s]+(/\S+)", str(mail.outbox[-1].body))
    assert found is not None
    return found[1]


@pytest.fixture
def verified() -> Any:
    """The user ids of which `email_verified` told."""
    seen: list[Any] = []

    def note(user_id: Any, **kwargs: Any) -> None:
        seen.append(user_id)

    signals.email_verified.connect(note)
    yield seen
    signals.email_verified.disconnect(note)


@pytest.mark.django_db
def test_sign_up_on_the_page_signs_in_and_mails_a_link_that_proves_the_address(verified: list[Any]) -> None:
    client = Client()

    response = client.post(
        "/accounts/signup/", {"email": "Ada.Lovelace+x@Example.com", "password1": "a-fine-passphrase"}
    )

    assert response.status_code == 302
    user = User.objects.get()
    assert (user.email, user.display_name) == ("ada.lovelace+x@example.com", "Ada")
    assert client.get(PROFILE).status_code == 200
    assert EmailAddress.objects.get().verified is False
    assert [message.to for message in mail.outbox] == [["ada.lovelace+x@example.com"]]
    confirm = link_in_last_mail()
    assert client.get(confirm).status_code == 200
    assert EmailAddress.objects.get().verified is False, "a mail scanner's GET must prove nothing"
    client.post(confirm)
    assert EmailAddress.objects.get().verified is True
    assert verified == [user.id]


@pytest.mark.django_db
def test_sign_up_in_the_app_answers_tokens_and_the_key_proves_the_address(verified: list[Any]) -> None:
    response = app_post("auth/signup", {"email": "ada@example.com", "password": "a-fine-passphrase"})

    assert response.status_code == 200
    assert {"access_token", "refresh_token", "session_token"} <= response.json()["meta"].keys()
    key = link_in_last_mail().rstrip("/").rpartition("/")[2]
    app_post("auth/email/verify", {"key": key})
    assert EmailAddress.objects.get().verified is True
    assert verified == [User.objects.get().id]


@pytest.mark.django_db(transaction=True)
def test_of_parallel_sign_ups_with_one_address_one_succeeds_and_none_crashes() -> None:
    barrier = threading.Barrier(8)

    def sign_up(_number: int) -> int:
        barrier.wait()
        try:
            return app_post(
                "auth/signup", {"email": "ada@example.com", "password": "a-fine-passphrase"}
            ).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(sign_up, range(8)))

    assert answers == [200] + [400] * 7
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_sign_up_works_while_the_mail_server_is_down(settings: Any) -> None:
    settings.EMAIL_BACKEND = "notifications.outgoing.OutboxEmailBackend"
    settings.EMAIL_PORT = 1
    settings.EMAIL_HOST = "127.0.0.1"

    response = app_post("auth/signup", {"email": "ada@example.com", "password": "a-fine-passphrase"})

    assert response.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "password",
    ["", " ", "\t\n", None, [], {}, 0, False, "\x00", "\ud800", "short", "password", "12345678901"],
)
def test_x27_no_account_is_made_in_the_app_with_a_blank_or_weak_password(password: Any) -> None:
    response = app_post("auth/signup", {"email": "ada@example.com", "password": password})

    assert response.status_code == 400
    assert User.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["", " ", "\t", "\x00", "short", "password", "12345678901"])
def test_x27_no_account_is_made_on_the_page_with_a_blank_or_weak_password(password: str) -> None:
    response = Client().post("/accounts/signup/", {"email": "ada@example.com", "password1": password})

    assert response.status_code == 200
    assert User.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("blank", ["", " ", "   ", "\t", None, [], {}, "\x00", "\ud800", False])
def test_x27_blank_credentials_open_nothing(blank: Any) -> None:
    user = make_user("ada@example.com")
    unusable = make_user("nobody@example.com")
    unusable.set_unusable_password()
    unusable.save()

    answers = [
        app_post("auth/login", {"email": user.email, "password": blank}),
        app_post("auth/login", {"email": blank, "password": PASSWORD}),
        app_post("auth/login", {"email": blank, "password": blank}),
        app_post("auth/login", {"email": unusable.email, "password": blank}),
        app_post("auth/login", {"email": unusable.email, "password": unusable.password}),
        app_post("tokens/refresh", {"refresh_token": blank}),
        app_post("auth/password/reset", {"key": blank, "password": "a-fine-passphrase"}),
        app_post("auth/email/verify", {"key": blank}),
    ]

    assert [response.status_code for response in answers] == [400] * len(answers)
    assert UserSession.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"email": NaN, "password": Infinity}',
        b'{"email": {"a": 1}, "password": ["x"]}',
        json.dumps({"email": "a@example.com" * 100, "password": "x" * 5000}).encode(),
        json.dumps(
            {
                "email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 40}.com",
                "password": "a-fine-passphrase",
            }
        ).encode(),
        json.dumps({"email": "a\r\nBcc: x@example.com", "password": "a-fine-passphrase"}).encode(),
        json.dumps({"email": "ａ＠example.com", "password": "a-fine-passphrase", "is_staff": True}).encode(),
    ],
)
@pytest.mark.parametrize("path", ["auth/signup", "auth/login", "auth/password/request", "tokens/refresh"])
def test_x46_malformed_bodies_get_an_answer(body: bytes, path: str) -> None:
    response = app_post(path, body)

    assert response.status_code in {400, 401} or (
        path == "auth/password/request" and response.status_code == 200
    )
    assert User.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["x", "\x00" * 32, "é" * 32, "a" * 32, "a" * 5000, "../../etc/passwd"])
def test_x46_odd_session_tokens_and_cookies_get_an_answer(token: str) -> None:
    by_header = Client().get(f"{APP}/auth/session", headers={"X-Session-Token": token})
    client = Client()
    client.cookies["parlor_session"] = token
    by_cookie = client.get(PROFILE)

    assert by_header.status_code == 410
    assert by_cookie.status_code == 302


@pytest.mark.django_db
def test_x47_signing_up_sets_nothing_but_address_and_password() -> None:
    app_post(
        "auth/signup",
        {
            "email": "ada@example.com",
            "password": "a-fine-passphrase",
            "is_staff": True,
            "is_superuser": True,
            "session_epoch": 9,
            "id": "00000000-0000-7000-8000-000000000000",
            "created_at": "2001-01-01",
        },
    )

    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.session_epoch) == (False, False, 0)
    assert user.created_at.year > 2001


@pytest.mark.django_db
def test_logging_out_ends_tokens_and_session_of_this_device_only() -> None:
    user = make_user()
    here = app_post("auth/login", {"email": user.email, "password": PASSWORD}).json()["meta"]
    there = app_post("auth/login", {"email": user.email, "password": PASSWORD}).json()["meta"]

    Client().delete(f"{APP}/auth/session", headers=bearer(here["access_token"]))

    me = "/api/v1/me/"
    assert Client().get(me, headers=bearer(here["access_token"])).status_code == 401
    assert app_post("tokens/refresh", {"refresh_token": here["refresh_token"]}).status_code == 400
    assert Client().get(me, headers=bearer(there["access_token"])).status_code == 200
    assert UserSession.objects.count() == 1
    assert TokenFamily.objects.count() == 1


@pytest.mark.django_db
def test_a_new_password_in_the_app_ends_the_others_and_gives_this_device_new_tokens() -> None:
    user = make_user()
    here = app_post("auth/login", {"email": user.email, "password": PASSWORD}).json()["meta"]
    there = app_post("auth/login", {"email": user.email, "password": PASSWORD}).json()["meta"]
    browser = Client()
    browser.force_login(user)

    response = app_post(
        "account/password/change",
        {"current_password": PASSWORD, "new_password": "another-passphrase"},
        **bearer(here["access_token"]),
    )

    assert response.status_code == 200
    me = "/api/v1/me/"
    assert Client().get(me, headers=bearer(there["access_token"])).status_code == 401
    assert Client().get(me, headers=bearer(here["access_token"])).status_code == 401
    assert app_post("tokens/refresh", {"refresh_token": there["refresh_token"]}).status_code == 400
    assert browser.get(PROFILE).status_code == 302
    fresh = response.json()["meta"]
    assert Client().get(me, headers=bearer(fresh["access_token"])).status_code == 200
    assert app_post("tokens/refresh", {"refresh_token": fresh["refresh_token"]}).status_code == 200


@pytest.mark.django_db
def test_a_new_password_on_the_page_keeps_this_browser_signed_in() -> None:
    user = make_user()
    client, other = Client(), Client()
    for browser in (client, other):
        browser.post("/accounts/login/", {"login": user.email, "password": PASSWORD})

    client.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "another-passphrase", "password2": "another-passphrase"},
    )

    assert client.get(PROFILE).status_code == 200
    assert other.get(PROFILE).status_code == 302
    assert UserSession.objects.count() == 1


@pytest.mark.django_db
def test_a_forgotten_password_is_reset_by_the_mailed_link_and_ends_every_session() -> None:
    user = make_user()
    thief = app_post("auth/login", {"email": user.email, "password": PASSWORD}).json()["meta"]
    client = Client()
    client.post("/accounts/password/reset/", {"email": user.email})
    form = client.get(link_in_last_mail(), follow=True)

    client.post(
        form.redirect_chain[-1][0], {"password1": "another-passphrase", "password2": "another-passphrase"}
    )

    assert Client().get("/api/v1/me/", headers=bearer(thief["access_token"])).status_code == 401
    assert app_post("auth/login", {"email": user.email, "password": PASSWORD}).status_code == 400
    assert app_post("auth/login", {"email": user.email, "password": "another-passphrase"}).status_code == 200


@pytest.mark.django_db
def test_a_reset_link_works_once() -> None:
    user = make_user()
    app_post("auth/password/request", {"email": user.email})
    key = link_in_last_mail().rstrip("/").rpartition("/")[2]

    first = app_post("auth/password/reset", {"key": key, "password": "another-passphrase"})
    second = app_post("auth/password/reset", {"key": key, "password": "a-third-passphrase"})

    # allauth answers a finished reset with "now sign in".
    assert (first.status_code, second.status_code) == (401, 400)
    assert User.objects.get().check_password("another-passphrase")


@pytest.mark.django_db
def test_asking_for_a_reset_tells_nothing_about_who_has_an_account() -> None:
    make_user("ada@example.com")

    known = app_post("auth/password/request", {"email": "ada@example.com"})
    unknown = app_post("auth/password/request", {"email": "eve@example.com"})

    assert known.status_code == unknown.status_code == 401
    assert known.json()["data"] == unknown.json()["data"]
    assert known.json()["meta"].keys() == unknown.json()["meta"].keys()


@pytest.mark.django_db
def test_many_users_may_have_no_address() -> None:
    first, second = make_user(None), make_user(None)

    assert (first.email, second.email) == (None, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "[::2]", "a b", ""]
)
def test_x14_requests_for_other_hosts_are_refused(host: str) -> None:
    client = Client(headers={"Host": host})
    answers = [client.get("/accounts/login/"), client.get("/api/v1/me/"), client.post(f"{APP}/auth/login")]

    assert [response.status_code for response in answers] == [400, 400, 400]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "https:evil.example"]
)
def test_signing_in_never_leads_to_another_site(target: str) -> None:
    user = make_user()

    response = Client().post(
        f"/accounts/login/?next={target}", {"login": user.email, "password": PASSWORD, "next": target}
    )

    assert response.status_code == 302
    assert response["Location"] == "/"


@pytest.mark.django_db
def test_pages_that_change_the_account_need_the_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    paths = [
        "/accounts/logout/",
        "/settings/profile/",
        "/settings/sessions/end-all/",
        "/accounts/password/change/",
    ]

    assert [client.post(path).status_code for path in paths] == [403] * 4
    assert client.patch("/api/v1/me/", {"pronouns": "x"}, content_type="application/json").status_code == 403


@pytest.mark.django_db
def test_the_headless_api_describes_itself_without_another_host() -> None:
    assert Client().get("/_allauth/openapi.json").status_code == 200
    assert Client().get("/_allauth/openapi.yaml").status_code == 200
    assert Client().get("/_allauth/openapi.html").status_code == 404
