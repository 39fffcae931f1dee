"""Coming in by a phone number: pages and the headless API."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import TextMessage, User
from accounts.services import cleanup, phone_numbers, texts
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.texts import code_in, other_code, texts_to, use_mailbox
from common.models import OutboxMessage

APP = "/_allauth/app/v1"
NUMBER = "+447700900123"
OTHER = "+358401234567"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def mailbox(settings: Any) -> None:
    use_mailbox(settings)


class App:
    """A mobile app: keeps the session token as allauth asks."""

    def __init__(self) -> None:
        self.client = Client()
        self.session_token = ""

    def post(self, path: str, method: str = "post", **body: Any) -> Any:
        headers = {"X-Session-Token": self.session_token} if self.session_token else {}
        call = getattr(self.client, method)
        response = call(f"{APP}/{path}", json.dumps(body), content_type="application/json", headers=headers)
        self.session_token = response.json().get("meta", {}).get("session_token", self.session_token)
        return response


def pending(response: Any) -> list[str]:
    return [flow["id"] for flow in response.json()["data"]["flows"] if flow.get("is_pending")]


def sign_up(number: str = NUMBER) -> tuple[App, Any]:
    app = App()
    assert pending(app.post("auth/signup", phone=number)) == ["verify_phone"]
    return app, app.post("auth/phone/verify", code=code_in(texts_to(number.replace(" ", ""))[0]))


def test_signing_up_by_a_number_alone_answers_tokens() -> None:
    _app, response = sign_up("+44 7700 900123")

    user = User.objects.get()
    assert response.status_code == 200
    assert (user.phone, user.unverified_phone, user.email) == (NUMBER, "", None)
    token = response.json()["meta"]["access_token"]
    me = Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {token}"}).json()
    assert (me["phone"], me["email"], me["email_verified"]) == (NUMBER, None, False)


def test_a_second_number_signs_up_too() -> None:
    sign_up(NUMBER)
    sign_up(OTHER)

    assert set(User.objects.values_list("phone", "email")) == {(NUMBER, None), (OTHER, None)}


@pytest.mark.parametrize(
    ("path", "body"),
    [("auth/login", {"phone": NUMBER}), ("auth/code/request", {"phone": NUMBER})],
    ids=["login", "code request"],
)
def test_logging_in_by_a_texted_code(path: str, body: dict[str, str]) -> None:
    user = make_user(None, phone=NUMBER)
    app = App()

    asked = app.post(path, **body)
    response = app.post("auth/code/confirm", code=code_in(texts_to(NUMBER)[0]))

    assert (asked.status_code, pending(asked)) == (401, ["login_by_code"])
    assert response.status_code == 200
    assert response.json()["data"]["user"]["id"] == str(user.id)


def test_a_number_with_a_password_logs_in_without_a_code() -> None:
    make_user(None, phone=NUMBER)

    response = App().post("auth/login", phone=NUMBER, password=PASSWORD)

    assert response.status_code == 200
    assert texts_to(NUMBER) == []


def test_known_and_unknown_numbers_get_the_same_answer() -> None:
    make_user(None, phone=NUMBER)
    known, unknown = App().post("auth/login", phone=NUMBER), App().post("auth/login", phone=OTHER)

    hide = {"session_token"}
    assert known.status_code == unknown.status_code == 401
    assert known.json()["data"] == unknown.json()["data"]
    assert known.json()["meta"].keys() == unknown.json()["meta"].keys() >= hide
    assert "sign up instead" in texts_to(OTHER)[0]


def test_signing_up_with_a_taken_number_only_texts_its_owner() -> None:
    owner = make_user(None, phone=NUMBER)
    app = App()

    response = app.post("auth/signup", phone=NUMBER)
    wrong = app.post("auth/phone/verify", code="123456")

    assert (response.status_code, pending(response)) == (401, ["verify_phone"])
    assert wrong.status_code == 400
    assert "log in instead" in texts_to(NUMBER)[0]
    assert list(User.objects.all()) == [owner]


def test_an_unproved_claim_takes_a_number_from_nobody() -> None:
    App().post("auth/signup", phone=NUMBER)
    TextMessage.objects.update(created_at=timezone.now() - timedelta(hours=2))

    _app, response = sign_up(NUMBER)

    assert response.status_code == 200
    assert User.objects.filter(phone=NUMBER).count() == 1


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("12345", "invalid_phone"),
        ("+1 555", "invalid_phone"),
        ("+44 909 8790000", "invalid_phone"),
        ("+7 912 345 67 89", "country_not_supported"),
        ("+447700900123; DROP", "invalid_phone"),
    ],
)
def test_numbers_we_do_not_write_to_are_refused(number: str, code: str) -> None:
    response = App().post("auth/signup", phone=number)

    assert response.status_code == 400
    assert {(error["param"], error["code"]) for error in response.json()["errors"]} == {("phone", code)}
    assert User.objects.count() == 0


def test_an_address_and_a_number_in_one_sign_up_are_refused() -> None:
    response = App().post("auth/signup", phone=NUMBER, email="ada@example.com", password="a-fine-passphrase")

    assert [error["code"] for error in response.json()["errors"]] == ["select_only_one"]
    assert User.objects.count() == 0


@pytest.mark.parametrize("body", [{"email": "ada@example.com"}, {}, {"password": "a-fine-passphrase"}])
def test_a_sign_up_needs_one_whole_way_in(body: dict[str, str]) -> None:
    response = App().post("auth/signup", **body)

    assert response.status_code == 400
    assert {error["code"] for error in response.json()["errors"]} == {"required"}
    assert User.objects.count() == 0


def test_five_wrong_codes_end_the_attempt() -> None:
    make_user(None, phone=NUMBER)
    app = App()
    app.post("auth/login", phone=NUMBER)
    code = code_in(texts_to(NUMBER)[0])

    statuses = [app.post("auth/code/confirm", code=other_code(code)).status_code for _attempt in range(5)]
    right = app.post("auth/code/confirm", code=code)

    assert statuses == [400] * 5
    assert right.status_code == 409


def test_a_code_is_good_for_five_minutes(settings: Any) -> None:
    make_user(None, phone=NUMBER)
    app = App()
    app.post("auth/login", phone=NUMBER)
    settings.ACCOUNT_LOGIN_BY_CODE_TIMEOUT = -1

    assert app.post("auth/code/confirm", code=code_in(texts_to(NUMBER)[0])).status_code == 409


def test_the_page_takes_new_and_known_numbers_the_same_way() -> None:
    make_user(None, phone=NUMBER)
    answers = []
    for number in (NUMBER, OTHER):
        client = Client()
        asked = client.post("/accounts/login/phone/", {"phone": number, "next": "/chats/"})
        entered = client.post(asked["Location"], {"code": code_in(texts_to(number)[0])})
        answers.append((asked.status_code, asked["Location"], entered.status_code, entered["Location"]))
        assert get_user(client).phone == number  # type: ignore[arg-type, union-attr]

    assert answers[0] == answers[1]
    assert answers[0] == (302, "/accounts/login/code/confirm/?next=%2Fchats%2F", 302, "/chats/")


def test_the_page_says_when_to_try_again_and_makes_no_user() -> None:
    Client().post("/accounts/login/phone/", {"phone": NUMBER})
    before = User.objects.count()

    response = Client().post("/accounts/login/phone/", {"phone": NUMBER})

    assert response.status_code == 422
    assert "wait a little" in response.content.decode()
    assert User.objects.count() == before


def test_whoever_never_entered_the_code_is_forgotten_after_a_day() -> None:
    Client().post("/accounts/login/phone/", {"phone": NUMBER})
    kept = make_user(None, phone=OTHER)
    User.objects.update(created_at=timezone.now() - timedelta(days=2))
    TextMessage.objects.update(created_at=timezone.now() - timedelta(days=31))

    cleanup.delete_expired_rows()

    assert list(User.objects.all()) == [kept]
    assert TextMessage.objects.count() == 0


def test_a_number_is_added_in_the_settings_and_proved_by_its_code() -> None:
    user = make_user()
    client = Client()
    client.force_login(user)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})

    asked = client.post("/accounts/phone/change/", {"phone": NUMBER})
    entered = client.post(asked["Location"], {"code": code_in(texts_to(NUMBER)[0])})

    assert (asked.status_code, asked["Location"]) == (302, "/accounts/phone/verify/")
    assert entered.status_code == 302
    user.refresh_from_db()
    assert user.phone == NUMBER


def test_of_two_who_prove_one_number_the_second_is_told() -> None:
    first, second = make_user(), make_user()
    phone_numbers.prove_phone(user=first, number=NUMBER)
    client = Client(raise_request_exception=False)
    client.force_login(second)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})

    asked = client.post("/accounts/phone/change/", {"phone": NUMBER})

    # Somebody else's number: the text goes to its owner, and no code fits.
    assert asked.status_code == 302
    assert User.objects.get(phone=NUMBER) == first


def test_a_password_is_reset_by_a_texted_code_and_every_session_ends() -> None:
    user = make_user(None, phone=NUMBER)
    app, thief = App(), App()
    thief.post("auth/login", phone=NUMBER, password=PASSWORD)

    asked = app.post("auth/password/request", phone=NUMBER)
    response = app.post("auth/password/reset", key=code_in(texts_to(NUMBER)[0]), password="another-fine-one")

    assert (asked.status_code, response.status_code) == (401, 401)
    user.refresh_from_db()
    assert user.check_password("another-fine-one")
    assert (
        thief.client.get(f"{APP}/auth/session", headers={"X-Session-Token": thief.session_token}).status_code
        == 410
    )


def test_a_password_is_reset_by_a_mailed_code_in_the_app() -> None:
    user = make_user("ada@example.com")
    app = App()

    app.post("auth/password/request", email="ada@example.com")
    code = code_in(str(mail.outbox[-1].body))
    wrong = app.post("auth/password/reset", key=other_code(code), password="another-fine-one")
    app.post("auth/password/reset", key=code, password="another-fine-one")

    assert wrong.status_code == 400
    user.refresh_from_db()
    assert user.check_password("another-fine-one")


def test_a_reset_by_code_ends_after_five_wrong_codes() -> None:
    make_user("ada@example.com")
    app = App()
    app.post("auth/password/request", email="ada@example.com")
    code = code_in(str(mail.outbox[-1].body))

    for _attempt in range(5):
        app.post("auth/password/reset", key=other_code(code), password="another-fine-one")
    response = app.post("auth/password/reset", key=code, password="another-fine-one")

    assert response.status_code == 400
    assert User.objects.get().check_password(PASSWORD)


def test_without_a_way_to_send_texts_the_number_is_refused(settings: Any) -> None:
    settings.SMS_BACKEND = "notifications.sms.NONE"

    app = App().post("auth/signup", phone=NUMBER)
    page = Client().get("/accounts/login/phone/")

    assert [error["code"] for error in app.json()["errors"]] == ["provider_unavailable"]
    assert "not set up" in page.content.decode()


def test_a_text_that_comes_too_late_is_not_sent() -> None:
    message = TextMessage.objects.create(number=NUMBER, prefix=NUMBER[:8], country="GB", purpose="code")
    TextMessage.objects.update(created_at=timezone.now() - timedelta(minutes=6))

    texts.deliver(message_id=message.id, number=NUMBER, body="123456 is your code")

    assert texts_to(NUMBER) == []
    assert OutboxMessage.objects.count() == 0
