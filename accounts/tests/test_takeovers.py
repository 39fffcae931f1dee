"""X18, X22, X23, X26: ways by which somebody else's account could become one's own, and one's own theirs."""

import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client

from accounts.models import ApiKey, User
from accounts.services import api_keys, sessions, ways_in
from accounts.session_store import SessionStore
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.id_provider import KeyServer, google_claims, running_key_server, sign
from accounts.tests.test_code_races import at_once
from accounts.tests.test_phone import APP, NUMBER
from accounts.tests.test_providers import app_call, by_token
from accounts.tests.test_second_factors import browser, forget_recent_sign_in
from accounts.tests.texts import code_in, other_code, texts_to, use_mailbox

pytestmark = pytest.mark.django_db(transaction=True)
NEW_PASSWORD = "victims-own-passphrase"


@pytest.fixture(autouse=True)
def mailbox(settings: Any) -> None:
    use_mailbox(settings)


@pytest.fixture
def keys(settings: Any) -> Iterator[KeyServer]:
    with running_key_server(settings) as server:
        yield server


def mailed_code() -> str:
    return code_in(str(mail.outbox[-1].body))


def come_by_code(email: str) -> Any:
    asked = app_call("post", "auth/code/request", {"email": email})
    if not re.search(r"\b\d{6}\b", str(mail.outbox[-1].body)):
        return asked
    headers = {"X-Session-Token": asked.json()["meta"]["session_token"]}
    body = json.dumps({"code": mailed_code()})
    return Client().post(f"{APP}/auth/code/confirm", body, content_type="application/json", headers=headers)


def begin_by_number() -> tuple[str, str]:
    """The cookie of a browser that asked for a code, and the code."""
    make_user(None, phone=NUMBER)
    visitor = Client()
    visitor.post("/accounts/login/phone/", {"phone": NUMBER})
    return visitor.cookies["parlor_session"].value, code_in(texts_to(NUMBER)[0])


def test_x22_an_address_somebody_only_added_lets_nobody_into_their_account(keys: KeyServer) -> None:
    """Both ways round: the stranger waits for the owner, or the honest one mistyped."""
    holder = make_user("evil@example.com")
    browser(holder).post("/accounts/email/", {"action_add": "", "email": "ada@example.com"})
    assert EmailAddress.objects.filter(user=holder, email="ada@example.com", verified=False).exists()

    by_code = come_by_code("ada@example.com")
    reset = app_call("post", "auth/password/request", {"email": "ada@example.com"})
    by_google = by_token("google", sign(google_claims()))

    assert (by_code.status_code, reset.status_code) == (401, 401)
    ada = User.objects.get(id=by_google.json()["data"]["user"]["id"])
    assert (ada.pk == holder.pk, ada.email) == (False, "ada@example.com")
    assert list(EmailAddress.objects.filter(user=holder).values_list("email", flat=True)) == [holder.email]
    cache.clear()
    assert come_by_code("evil@example.com").json()["data"]["user"]["id"] == str(holder.id)


def test_a_claim_keeps_nobody_out_even_where_it_is_all_somebody_has(keys: KeyServer) -> None:
    holder = make_user(None)
    EmailAddress.objects.create(user=holder, email="ada@example.com", verified=False, primary=False)
    came = by_token("google", sign(google_claims()))
    assert (came.status_code, came.json()["data"]["user"]["id"] == str(holder.id)) == (200, False)


def test_an_address_nobody_proved_is_no_last_way_in() -> None:
    user = make_user(None, phone=NUMBER)
    User.objects.filter(id=user.id).update(password="!")
    EmailAddress.objects.create(user=user, email="typo@example.com", verified=False, primary=True)
    assert {way.kind for way in ways_in.list_ways_in(User.objects.get(id=user.id))} == {"phone"}


@pytest.mark.parametrize("face", ["app", "page"])
def test_x23_a_new_password_by_mail_takes_away_what_a_stranger_put_there(face: str) -> None:
    stranger = make_user("ada@example.com", verified=False, phone=NUMBER)
    SocialAccount.objects.create(user=stranger, provider="google", uid="the-strangers")
    api_keys.create_api_key(user_id=stranger.id, name="k")
    if face == "app":
        asked = app_call("post", "auth/password/request", {"email": "ada@example.com"})
        headers = {"X-Session-Token": asked.json()["meta"]["session_token"]}
        body = json.dumps({"key": mailed_code(), "password": NEW_PASSWORD})
        Client().post(f"{APP}/auth/password/reset", body, content_type="application/json", headers=headers)
    else:
        visitor = Client()
        visitor.post("/accounts/password/reset/", {"email": "ada@example.com"})
        link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
        assert link is not None
        form = visitor.get(link[1])["Location"]
        visitor.post(form, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})

    stranger.refresh_from_db()
    assert (stranger.check_password(NEW_PASSWORD), stranger.phone) == (True, None)
    assert EmailAddress.objects.get().verified
    assert not SocialAccount.objects.exists()
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_a_new_password_by_text_proves_nothing_about_the_address() -> None:
    user = make_user("ada@example.com", verified=False, phone=NUMBER)
    asked = app_call("post", "auth/password/request", {"phone": NUMBER})
    headers = {"X-Session-Token": asked.json()["meta"]["session_token"]}
    body = json.dumps({"key": code_in(texts_to(NUMBER)[0]), "password": NEW_PASSWORD})
    Client().post(f"{APP}/auth/password/reset", body, content_type="application/json", headers=headers)

    user.refresh_from_db()
    assert (user.check_password(NEW_PASSWORD), user.phone) == (True, NUMBER)
    assert not EmailAddress.objects.get().verified


@pytest.mark.parametrize(
    "header", [lambda: {"X-Session-Token": secrets.token_hex(8)}, lambda: {"Authorization": "x"}]
)
def test_x18_no_header_buys_a_browser_more_guesses(header: Callable[[], dict[str, str]]) -> None:
    cookie, code = begin_by_number()
    body = json.dumps({"code": other_code(code)})

    def guess() -> int:
        client = Client(headers={"Cookie": f"parlor_session={cookie}"})
        path = "/_allauth/browser/v1/auth/code/confirm"
        return int(client.post(path, body, content_type="application/json", headers=header()).status_code)

    judged = Counter(at_once(20, 5, guess))
    assert judged[400] <= 5


def test_x18_no_header_makes_two_sessions_of_one_code() -> None:
    cookie, code = begin_by_number()

    def enter() -> bool:
        client = Client()
        client.cookies["parlor_session"] = cookie
        headers = {"X-Session-Token": secrets.token_hex(8)}
        client.post("/accounts/login/code/confirm/", {"code": code}, headers=headers)
        return client.cookies["parlor_session"].value not in ("", cookie)

    at_once(20, 1, enter)
    assert UserSession.objects.count() == 1


def test_x18_codes_that_prove_it_again_are_counted_and_limited() -> None:
    user = make_user("ada@example.com")
    User.objects.filter(id=user.id).update(password="!")
    client = Client()
    client.post("/accounts/login/code/", {"email": user.email})
    client.post("/accounts/login/code/confirm/", {"code": mailed_code()})
    forget_recent_sign_in(client)
    mail.outbox.clear()
    url = "/accounts/reauthenticate/code/"
    answers: Counter[int] = Counter()
    for _round in range(8):
        client.post(url)
        answers.update(client.post(url, {"code": "000000"}).status_code for _guess in range(5))
    assert answers[429] > 30
    assert len(mail.outbox) <= 10


def test_x26_a_suspension_outlives_a_password_that_was_being_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    client = browser(user)
    hash_password = User.set_password

    def slowly(self: User, password: str | None) -> None:
        def suspend() -> None:
            sessions.deactivate_user(user_id=user.id, actor_id=None, reason="spam")
            connection.close()

        staff = threading.Thread(target=suspend)
        staff.start()
        staff.join()
        hash_password(self, password)

    monkeypatch.setattr(User, "set_password", slowly)
    change = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post("/accounts/password/change/", change)

    user.refresh_from_db()
    assert (user.is_active, user.session_epoch) == (False, 1)


def test_a_save_of_the_whole_row_brings_nobody_back() -> None:
    user = make_user()
    stale = User.objects.get(id=user.id)
    sessions.deactivate_user(user_id=user.id, actor_id=None, reason="spam")
    stale.display_name = "Ada"
    stale.save()
    user.refresh_from_db()
    assert (user.display_name, user.is_active, user.session_epoch) == ("Ada", False, 1)


@pytest.mark.parametrize("way", ["code of ours", "the admin"])
def test_x26_tokens_of_before_a_new_password_get_no_more(way: str) -> None:
    user = make_user(superuser=True)
    login = app_call("post", "auth/login", {"email": user.email, "password": PASSWORD})
    if way == "the admin":
        new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
        browser(user).post(f"/admin/accounts/user/{user.id}/password/", new)
    else:
        user.set_password(NEW_PASSWORD)
        user.save()
    body = json.dumps({"refresh_token": login.json()["meta"]["refresh_token"]})
    answer = Client().post(f"{APP}/tokens/refresh", body, content_type="application/json")
    assert User.objects.get(id=user.id).check_password(NEW_PASSWORD)
    assert answer.status_code in (400, 401)


def test_x17_keys_of_resets_are_not_tried_without_end() -> None:
    body = json.dumps({"key": "x", "password": NEW_PASSWORD})
    answers = Counter(
        Client().post(f"{APP}/auth/password/reset", body, content_type="application/json").status_code
        for _try in range(40)
    )
    assert answers[429] == 20


def test_a_text_that_proved_it_again_counts_as_read() -> None:
    user = make_user(None, phone=NUMBER)
    User.objects.filter(id=user.id).update(password="!")
    client = Client()
    client.post("/accounts/login/phone/", {"phone": NUMBER})
    client.post("/accounts/login/code/confirm/", {"code": code_in(texts_to(NUMBER)[0])})
    forget_recent_sign_in(client)
    client.post("/accounts/reauthenticate/code/")
    client.post("/accounts/reauthenticate/code/", {"code": code_in(texts_to(NUMBER)[0])})
    assert Client().post("/accounts/login/phone/", {"phone": NUMBER}).status_code == 302


def test_an_app_proves_it_again_by_a_code() -> None:
    """For accounts without a password, after the five minutes of a sign-in."""
    user = make_user("ada@example.com")
    User.objects.filter(id=user.id).update(password="!")
    tokens = come_by_code("ada@example.com").json()["meta"]
    headers = {"X-Session-Token": tokens["session_token"]}
    session = SessionStore(tokens["session_token"])
    records = session["account_authentication_methods"]
    session["account_authentication_methods"] = [{**record, "at": record["at"] - 600} for record in records]
    session.save()

    def post(path: str, **body: str) -> Any:
        return Client().post(
            f"{APP}/{path}", json.dumps(body), content_type="application/json", headers=headers
        )

    refused = post("account/email", email="new@example.com")
    sent = post("auth/reauthenticate/code")
    code = mailed_code()
    wrong = post("auth/reauthenticate/code", code=other_code(code))
    right = post("auth/reauthenticate/code", code=code)
    again = post("auth/reauthenticate/code", code=code)
    added = post("account/email", email="new@example.com")

    assert (refused.status_code, refused.json()["data"]["flows"]) == (401, [])
    assert (sent.status_code, sent.json()["data"]) == (202, {"recipient": "ada@example.com"})
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (400, "incorrect_code")
    assert (right.status_code, right.json()["meta"]["is_authenticated"]) == (200, True)
    assert (again.status_code, added.status_code) == (409, 200)
