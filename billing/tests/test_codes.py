"""M32: a code gives as often as it says, once to each person, whoever races for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from accounts.tests.factories import make_user
from billing.models import LedgerTransaction, Redemption, RedemptionCode
from billing.services import codes
from billing.tests.factories import assert_ledger_holds, buckets, in_parallel
from common.credits import MICRO
from common.errors import Conflict, NotFound

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/wallet/redeem/"
ApiClient = Callable[..., Any]


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def make_code(code: str = "WELCOME2026", **fields: Any) -> RedemptionCode:
    return RedemptionCode.objects.create(code=code, **{"credits": 5 * MICRO, **fields})


def trace() -> tuple[int, int, int]:
    used = sum(RedemptionCode.objects.values_list("used", flat=True))
    return used, Redemption.objects.count(), LedgerTransaction.objects.filter(kind="code").count()


def test_a_code_gives_its_credits_once(api_client: ApiClient) -> None:
    make_code(uses=3)
    user = make_user()
    client = api_client(user)
    first = client.post(PATH, {"code": "WELCOME2026"})
    again = client.post(PATH, {"code": "WELCOME2026"})
    assert (first.status_code, first.json()) == (201, {"credits": "5", "available": "15"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert buckets(user.pk)["bonus"] == (5, 0)
    assert trace() == (1, 1, 1)
    row = client.get("/api/v1/wallet/transactions/").json()["results"][0]
    assert (row["kind"], row["amount"], row["description"]) == ("code", "5", "Code redeemed")


@pytest.mark.parametrize("typed", ["welcome2026", " WelCome-2026 ", "WEL COME 20 26", "--welcome--2026"])
def test_m32_case_spaces_and_dashes_make_no_difference(api_client: ApiClient, typed: str) -> None:
    make_code()
    assert api_client(make_user()).post(PATH, {"code": typed}).status_code == 201


@pytest.mark.parametrize(
    ("typed", "status", "error"),
    [
        ("WЕLCOME2026", 422, "invalid"),  # a Cyrillic letter
        ("ＷＥＬＣＯＭＥ２０２６", 422, "invalid"),
        ("welcome２０２６", 422, "invalid"),
        ("ſELCOME2026", 422, "invalid"),
        ("WELCOME2O26", 404, "not_found"),
        ("WE1COME2026", 404, "not_found"),
        ("WELCOME_2026", 422, "invalid"),
        ("WELCOME2026'--", 422, "invalid"),
        ("WELCOME2026\u200b", 422, "invalid"),
        ("WELCOME2026\n1", 422, "invalid"),
        ("abc", 422, "invalid"),
        ("A" * 41, 422, "invalid"),
        ("A" * 5000, 422, "invalid"),
        ("", 422, "invalid"),
        (None, 422, "invalid"),
        ([], 422, "invalid"),
    ],
)
def test_m32_look_alikes_and_oddities_are_no_code(
    api_client: ApiClient, typed: Any, status: int, error: str
) -> None:
    make_code()
    answer = api_client(make_user()).post(PATH, {"code": typed}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, error)
    assert trace() == (0, 0, 0)


def test_unknown_expired_and_used_up_codes_are_told_alike(api_client: ApiClient) -> None:
    make_code("EXPIRED1", expires_at=timezone.now() - timedelta(seconds=1))
    make_code("USEDUP11")
    codes.redeem_code(user_id=make_user().pk, code="USEDUP11")
    client = api_client(make_user())
    answers = [client.post(PATH, {"code": code}) for code in ("NOSUCH11", "EXPIRED1", "USEDUP11")]
    told = {(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in answers}
    assert told == {(404, "not_found", "This code is not valid, or no longer.")}
    assert trace() == (1, 1, 1)


def test_m32_a_code_ends_with_its_second() -> None:
    end = timezone.now() + timedelta(days=1)
    make_code(uses=9, expires_at=end)
    early, late, later = (make_user().pk for _ in range(3))
    assert codes.redeem_code(user_id=early, code="WELCOME2026", now=end - timedelta(seconds=1)).credits
    for user_id, moment in ((late, end), (later, end + timedelta(seconds=1))):
        with pytest.raises(NotFound):
            codes.redeem_code(user_id=user_id, code="WELCOME2026", now=moment)
    assert trace() == (1, 1, 1)


def test_m32_a_hundred_people_at_once_on_a_code_for_one() -> None:
    make_code()
    users = [make_user().pk for _ in range(100)]

    def redeem(user_id: UUID) -> str:
        try:
            codes.redeem_code(user_id=user_id, code="welcome2026")
        except NotFound:
            return "refused"
        finally:
            connection.close()
        return "redeemed"

    with ThreadPoolExecutor(40) as pool:
        results = list(pool.map(redeem, users))
    assert sorted(results) == ["redeemed"] + ["refused"] * 99
    assert trace() == (1, 1, 1)


def test_m32_one_person_eight_times_at_once() -> None:
    make_code(uses=100)
    user_id = make_user().pk
    results = in_parallel(*[lambda: codes.redeem_code(user_id=user_id, code="WELCOME2026")] * 8)
    assert sum(isinstance(result, codes.Redeemed) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7
    assert buckets(user_id)["bonus"] == (5, 0)
    assert trace() == (1, 1, 1)


def test_guessing_is_limited_and_the_right_code_waits_too(api_client: ApiClient) -> None:
    make_code()
    client = api_client(make_user())
    answers = [client.post(PATH, {"code": f"GUESS{number:04d}"}) for number in range(10)]
    assert [answer.status_code for answer in answers] == [404] * 10
    assert [int(answer.headers["RateLimit-Remaining"]) for answer in answers] == list(range(9, -1, -1))
    refused = client.post(PATH, {"code": "WELCOME2026"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["RateLimit-Limit"] == "10"
    assert trace() == (0, 0, 0)
    assert api_client(make_user()).post(PATH, {"code": "WELCOME2026"}).status_code == 201


def test_parallel_guesses_are_counted_before_they_are_tried() -> None:
    user_id = make_user().pk
    results = in_parallel(
        *[lambda n=n: codes.redeem_code(user_id=user_id, code=f"GUESS{n:04d}") for n in range(30)]
    )
    assert sum(isinstance(result, NotFound) for result in results) == 10


def test_an_idempotency_key_gives_the_first_answer_again(api_client: ApiClient) -> None:
    make_code()
    client = api_client(make_user())
    first, again = (
        client.post(PATH, {"code": "WELCOME2026"}, headers={"Idempotency-Key": "one"}) for _ in range(2)
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    cache.clear()
    assert trace() == (1, 1, 1)
