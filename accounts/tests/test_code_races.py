"""X18, X19: however many try a code at once, five guesses are judged and one right answer counts."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.core import mail
from django.db import connection, transaction
from django.test import Client

from accounts import codes
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.test_phone import APP, NUMBER, App, sign_up
from accounts.tests.texts import code_in, other_code, texts_to, use_mailbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def mailbox(settings: Any) -> None:
    use_mailbox(settings)


def at_once(threads: int, calls: int, attempt: Callable[[], Any]) -> Counter[Any]:
    """The answers to `calls` attempts of each of `threads` callers who start together."""
    start = threading.Barrier(threads)

    def caller(_number: int) -> list[Any]:
        start.wait()
        try:
            return [attempt() for _call in range(calls)]
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return Counter(answer for answers in pool.map(caller, range(threads)) for answer in answers)


def confirm(path: str, session_token: str, code: str) -> int:
    response = Client().post(
        f"{APP}/{path}",
        json.dumps({"code": code}),
        content_type="application/json",
        headers={"X-Session-Token": session_token},
    )
    return response.status_code


def test_x18_of_two_thousand_guesses_at_once_five_are_judged() -> None:
    make_user(None, phone=NUMBER)
    app = App()
    app.post("auth/login", phone=NUMBER)
    code = code_in(texts_to(NUMBER)[0])

    answers = at_once(40, 50, lambda: confirm("auth/code/confirm", app.session_token, other_code(code)))

    assert answers[400] == 5
    assert answers[409] + answers[429] == 1995
    assert confirm("auth/code/confirm", app.session_token, code) == 409


def test_x18_five_guesses_are_judged_while_a_number_is_proved() -> None:
    app = App()
    app.post("auth/signup", phone=NUMBER)
    code = code_in(texts_to(NUMBER)[0])

    answers = at_once(20, 5, lambda: confirm("auth/phone/verify", app.session_token, other_code(code)))

    assert answers[400] == 5
    assert sum(answers.values()) == 100
    assert 200 not in answers


@pytest.mark.parametrize("way", ["phone", "email"])
def test_x19_fifty_right_codes_at_once_make_one_session(way: str) -> None:
    user = make_user("ada@example.com", phone=NUMBER)
    app = App()
    app.post("auth/code/request", **{way: NUMBER if way == "phone" else user.email})
    body = texts_to(NUMBER)[0] if way == "phone" else str(mail.outbox[-1].body)

    answers = at_once(50, 1, lambda: confirm("auth/code/confirm", app.session_token, code_in(body)))

    assert answers[200] == 1
    assert UserSession.objects.filter(user=user).count() == 1


def test_x19_fifty_right_codes_at_once_on_the_page_make_one_session() -> None:
    user = make_user(None, phone=NUMBER)
    browser = Client()
    browser.post("/accounts/login/phone/", {"phone": NUMBER})
    code = code_in(texts_to(NUMBER)[0])
    cookie = browser.cookies["parlor_session"].value

    def enter() -> bool:
        client = Client()
        client.cookies["parlor_session"] = cookie
        client.post("/accounts/login/code/confirm/", {"code": code})
        return client.cookies["parlor_session"].value not in ("", cookie)

    answers = at_once(50, 1, enter)

    assert answers[True] == 1
    assert UserSession.objects.filter(user=user).count() == 1


def test_a_reset_code_is_guessed_at_five_times_at_most() -> None:
    make_user(None, phone=NUMBER)
    app = App()
    app.post("auth/password/request", phone=NUMBER)
    wrong = other_code(code_in(texts_to(NUMBER)[0]))
    addresses = itertools.count(1)

    def guess() -> str:
        body = json.dumps({"key": wrong, "password": "another-fine-one"})
        headers = {"X-Session-Token": app.session_token}
        # As from many addresses, each of which has its own allowance.
        client = Client(REMOTE_ADDR=f"10.0.{next(addresses)}.1")
        answer = client.post(
            f"{APP}/auth/password/reset", body, content_type="application/json", headers=headers
        )
        return str(answer.json()["errors"][0]["code"])

    answers = at_once(20, 3, guess)

    # After the fifth the process is over, and what comes is taken for the key of a link, which it is not.
    assert answers["incorrect_code"] == 5
    assert set(answers) <= {"incorrect_code", "invalid_password_reset", "rate_limited"}


def test_an_attempt_behind_a_stuck_one_is_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "_WAIT_MILLISECONDS", 50)
    _app, response = sign_up()
    token = response.json()["meta"]["session_token"]
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            codes._lock(token)
            held.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        page = Client()
        page.cookies["parlor_session"] = token
        answers = (
            confirm("auth/code/confirm", token, "123456"),
            page.post("/accounts/login/code/confirm/").status_code,
        )
    finally:
        done.set()
        holder.join()

    assert answers == (429, 429)


def test_a_password_still_opens_nothing_by_code_paths() -> None:
    make_user("ada@example.com")

    assert confirm("auth/code/confirm", "", PASSWORD) == 409
