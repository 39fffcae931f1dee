"""X21: neither the answer nor its time tells who has an account."""

import gc
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.test import Client

from accounts.models import User
from accounts.tests.texts import use_mailbox

APP = "/_allauth/app/v1"
PASSWORD = "not-the-password-of-anybody"


class QuickHasher(PBKDF2PasswordHasher):
    """The real thing with fewer rounds: dear enough to be missed in the time of an answer."""

    iterations = 20_000


def _to_app(path: str, **body: str) -> Callable[[Client, str], Any]:
    def ask(client: Client, address: str) -> Any:
        filled = {name: value.format(address) for name, value in body.items()}
        return client.post(f"{APP}/{path}", json.dumps(filled), content_type="application/json")

    return ask


def _to_page(path: str, **body: str) -> Callable[[Client, str], Any]:
    def ask(client: Client, address: str) -> Any:
        return client.post(path, {name: value.format(address) for name, value in body.items()})

    return ask


BY_MAIL = {
    "log in": _to_app("auth/login", email="{}", password=PASSWORD),
    "log in on the page": _to_page("/accounts/login/", login="{}", password=PASSWORD),
    "ask for a code": _to_app("auth/code/request", email="{}"),
    "ask for a code on the page": _to_page("/accounts/login/code/", email="{}"),
    "reset": _to_app("auth/password/request", email="{}"),
    "reset on the page": _to_page("/accounts/password/reset/", email="{}"),
}
BY_PHONE = {
    "log in": _to_app("auth/login", phone="{}"),
    "come in on the page": _to_page("/accounts/login/phone/", phone="{}"),
    "reset": _to_app("auth/password/request", phone="{}"),
}


@pytest.fixture
def pairs(pytestconfig: pytest.Config, settings: Any, db: None) -> Iterator[int]:
    settings.PASSWORD_HASHERS = [f"{__name__}.QuickHasher"]
    settings.ACCOUNTS_FAILED_LOGINS_PER_MINUTE = 1_000_000
    settings.ACCOUNTS_ANSWER_STEP_SECONDS = 0.02
    use_mailbox(settings)
    gc.collect()
    gc.disable()
    yield pytestconfig.getoption("timing_pairs")
    gc.enable()


def make_people(count: int, *, phone: bool) -> list[str]:
    password = make_password("the-right-passphrase")
    users = [
        User(
            email=None if phone else f"known-{number}@example.com",
            phone=f"+417913{number:05}" if phone else None,
            password=password,
        )
        for number in range(count)
    ]
    User.objects.bulk_create(users)
    if phone:
        return [str(user.phone) for user in users]
    addresses = [EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users]
    EmailAddress.objects.bulk_create(addresses)
    return [address.email for address in addresses]


@pytest.mark.parametrize("name", BY_MAIL)
def test_x21_addresses(name: str, pairs: int) -> None:
    known = make_people(pairs, phone=False)
    unknown = [address.replace("known", "other") for address in known]
    assert_alike(BY_MAIL[name], known, unknown)


@pytest.mark.parametrize("name", BY_PHONE)
def test_x21_numbers(name: str, pairs: int, settings: Any) -> None:
    settings.ACCOUNTS_SMS_PER_PREFIX = settings.ACCOUNTS_SMS_PER_DAY = 1_000_000
    known = make_people(pairs, phone=True)
    unknown = [number.replace("+417913", "+417924") for number in known]
    assert_alike(BY_PHONE[name], known, unknown)


def assert_alike(ask: Callable[[Client, str], Any], known: list[str], unknown: list[str]) -> None:
    addresses = (f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in itertools.count(1))
    times: dict[bool, list[float]] = {True: [], False: []}
    answers: dict[bool, set[str]] = {True: set(), False: set()}
    order = random.Random(21)
    for pair in zip(known, unknown, strict=True):
        for is_known in order.sample((True, False), 2):
            address = pair[0] if is_known else pair[1]
            client = Client(REMOTE_ADDR=next(addresses))
            started = time.perf_counter()
            answer = ask(client, address)
            times[is_known].append(time.perf_counter() - started)
            answers[is_known].add(shape(answer, address))
    assert answers[True] == answers[False]
    assert len(answers[True]) == 1
    # Few pairs show what is gross; a thousand are the proof (`--timing-pairs 1000`).
    limit = 0.01 if len(known) >= 1000 else 0.0001
    chance = chance_of_one_source(times[True], times[False])
    assert chance > limit


def shape(answer: Any, address: str) -> str:
    """All of an answer but the tokens that are new each time."""
    body = answer.content.decode()
    if answer.headers["Content-Type"].startswith("application/json"):
        content = json.loads(body)
        content.get("meta", {}).pop("session_token", None)
        body = json.dumps(content)
    headers = sorted(answer.headers.keys() - {"Content-Length"})
    return f"{answer.status_code} {answer.get('Location')} {headers} {_without_tokens(body, address)}"


def _without_tokens(body: str, address: str) -> str:
    lines = [line for line in body.splitlines() if "csrf" not in line.lower() and "nonce" not in line]
    return "\n".join(lines).replace(address, "ADDRESS")


def chance_of_one_source(first: list[float], second: list[float]) -> float:
    """The two-sided p of the Mann-Whitney U test by its normal approximation; clock readings have no ties."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_value, group) in enumerate(ranked, 1) if group == 0)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    deviation = (n * m * (n + m + 1) / 12) ** 0.5
    return 2 * (1 - NormalDist().cdf(abs(u - n * m / 2) / deviation))
