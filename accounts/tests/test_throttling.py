"""Guessing passwords is limited per account, per real address and for the whole site."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD, make_user
from common.testing.fixtures import RedisServer

LOGIN = "/_allauth/app/v1/auth/login"


def try_login(email: str, password: str, **headers: str) -> Any:
    body = json.dumps({"email": email, "password": password})
    return Client().post(LOGIN, body, content_type="application/json", headers=headers)


def is_throttled(response: Any) -> bool:
    if response.status_code == 429:
        return True
    return [error["code"] for error in response.json().get("errors", [])] == ["too_many_login_attempts"]


def random_address() -> str:
    return ".".join(str(random.randrange(1, 255)) for _part in range(4))


@pytest.mark.django_db
def test_x17_made_up_forwarding_headers_do_not_lift_the_limit_of_an_account() -> None:
    user = make_user()

    answers = [
        try_login(
            user.email or "",
            "wrong-guess",
            **{
                "X-Forwarded-For": f"{random_address()}, {random_address()}",
                "X-Real-IP": random_address(),
                "Forwarded": f"for={random_address()}",
                "CF-Connecting-IP": random_address(),
                "Host": random.choice(["localhost", "127.0.0.1", "testserver"]),
            },
        )
        for _attempt in range(500)
    ]

    evaluated = [response for response in answers if not is_throttled(response)]
    assert len(evaluated) == 5
    assert is_throttled(try_login(user.email or "", PASSWORD)), "even the right password has to wait"


@pytest.mark.django_db
def test_x17_guessing_many_accounts_from_one_address_is_limited_whatever_it_claims_to_be() -> None:
    answers = [
        try_login(f"user-{number}@example.com", "wrong-guess", **{"X-Forwarded-For": random_address()})
        for number in range(60)
    ]

    assert sum(not is_throttled(response) for response in answers) == 30


@pytest.mark.django_db
def test_behind_a_trusted_proxy_each_caller_has_an_allowance_of_their_own(settings: Any) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    for number in range(30):
        try_login(f"user-{number}@example.com", "wrong-guess", **{"X-Forwarded-For": "198.51.100.1"})

    same = try_login("eve@example.com", "wrong-guess", **{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"})
    other = try_login("eve@example.com", "wrong-guess", **{"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})

    assert is_throttled(same)
    assert not is_throttled(other)


@pytest.mark.django_db
def test_failures_of_the_whole_site_are_limited(settings: Any) -> None:
    settings.ACCOUNTS_FAILED_LOGINS_PER_MINUTE = 4

    answers = [try_login(f"user-{number}@example.com", "wrong-guess") for number in range(6)]

    assert [is_throttled(response) for response in answers] == [False] * 4 + [True] * 2


@pytest.mark.django_db
def test_right_passwords_use_nothing_of_the_allowance_up() -> None:
    user = make_user()

    answers = [try_login(user.email or "", PASSWORD).status_code for _attempt in range(12)]

    assert answers == [200] * 12


@pytest.mark.django_db
def test_a_reset_password_lifts_the_limit_for_its_owner() -> None:
    from accounts.tests.test_sign_in import app_post, link_in_last_mail

    user = make_user()
    for _attempt in range(6):
        try_login(user.email or "", "wrong-guess")
    app_post("auth/password/request", {"email": user.email})
    key = link_in_last_mail().rstrip("/").rpartition("/")[2]
    app_post("auth/password/reset", {"key": key, "password": "another-passphrase"})

    assert try_login(user.email or "", "another-passphrase").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_are_counted_before_they_are_tried() -> None:
    user = make_user()
    barrier = threading.Barrier(30)

    def guess(_number: int) -> bool:
        barrier.wait()
        try:
            return is_throttled(try_login(user.email or "", "wrong-guess"))
        finally:
            connection.close()

    with ThreadPoolExecutor(30) as pool:
        throttled = list(pool.map(guess, range(30)))

    assert throttled.count(False) <= 5


@pytest.mark.django_db
def test_the_limit_is_kept_in_redis_where_there_is_one(redis_server: RedisServer, settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "common.cache.RedisCache", "LOCATION": redis_server.url},
    }
    user = make_user()
    for _attempt in range(5):
        try_login(user.email or "", "wrong-guess")

    assert is_throttled(try_login(user.email or "", PASSWORD))
    cache.clear()
    assert try_login(user.email or "", PASSWORD).status_code == 200


@pytest.mark.django_db
def test_f4_signing_in_works_and_stays_limited_while_redis_is_away(
    redis_server: RedisServer, settings: Any
) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "common.cache.RedisCache", "LOCATION": redis_server.url},
    }
    user, victim = make_user(), make_user()
    redis_server.stop()

    assert try_login(user.email or "", PASSWORD).status_code == 200
    answers = [try_login(victim.email or "", "wrong-guess") for _attempt in range(8)]
    assert [is_throttled(response) for response in answers] == [False] * 5 + [True] * 3
    assert User.objects.count() == 2
