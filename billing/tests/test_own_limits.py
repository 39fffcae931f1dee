"""Limits people set for themselves: read strictly, kept by the ledger."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.tests.factories import make_user
from billing.errors import OwnDayLimit, OwnMessageLimit, SpendingPaused
from billing.models import Hold, Wallet
from billing.services import holds
from billing.tests.factories import capture, make_wallet, reserve
from common.credits import MICRO

pytestmark = pytest.mark.django_db
PATH = "/api/v1/wallet/limits/"
NONE = {"paused": False, "per_message": None, "per_day": None, "low_balance": None}
ApiClient = Callable[..., Any]


def patch(client: Any, body: Any) -> Any:
    return client.patch(PATH, body, format="json")


def test_limits_are_set_one_by_one_and_taken_away_with_null(api_client: ApiClient) -> None:
    client = api_client(make_user())
    first = patch(client, {"per_message": "0.5", "per_day": "20"})
    assert (first.status_code, first.json()["limits"]) == (
        200,
        {**NONE, "per_message": "0.5", "per_day": "20"},
    )
    second = patch(client, {"per_message": None, "low_balance": "11"}).json()
    assert second["limits"] == {**NONE, "per_day": "20", "low_balance": "11"}
    assert second["is_low"] is True
    assert patch(client, {}).json() == client.get("/api/v1/wallet/").json() == second


def test_pausing_again_keeps_its_first_moment(api_client: ApiClient) -> None:
    user = make_user()
    client = api_client(user)
    assert patch(client, {"paused": True}).json()["limits"] == {**NONE, "paused": True}
    since = Wallet.objects.get(pk=user.pk).paused_at
    patch(client, {"paused": True})
    assert Wallet.objects.get(pk=user.pk).paused_at == since
    assert patch(client, {"paused": False}).json()["limits"] == NONE


@pytest.mark.parametrize("field", ["per_message", "per_day", "low_balance"])
@pytest.mark.parametrize(
    "value",
    [
        -1,
        0,
        1,
        1.5,
        1e308,
        2**63,
        True,
        "-1",
        "0",
        "0.0000000",
        "0.0000001",
        "1.5e3",
        "1e308",
        "9223372036854775808",
        "1000000000.000001",
        "１２",
        "0x10",
        " 1",
        "1_0",
        "+1",
        "NaN",
        "Infinity",
        "",
        [],
        {},
        ["1"],
    ],
)
def test_m40_what_is_no_amount_is_refused_and_nothing_written(
    api_client: ApiClient, field: str, value: Any
) -> None:
    user = make_user()
    client = api_client(user)
    patch(client, {"per_message": "3", "per_day": "4", "low_balance": "5"})
    answer = patch(client, {"paused": True, field: value})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.paused_at, wallet.message_cap, wallet.day_cap, wallet.low_balance) == (
        None,
        3 * MICRO,
        4 * MICRO,
        5 * MICRO,
    )


@pytest.mark.parametrize("name", ["balance", "bonus", "debt", "message_cap", "paused_at", "tier"])
def test_m40_fields_that_are_not_limits_are_refused(api_client: ApiClient, name: str) -> None:
    answer = patch(api_client(make_user()), {"per_day": "1", name: "1000"})
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(name, "unknown_field")]
    assert not Wallet.objects.exclude(day_cap=None).exists()


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"paused": True}, SpendingPaused),
        ({"per_message": "4.999999"}, OwnMessageLimit),
        ({"per_day": "7"}, OwnDayLimit),
    ],
)
def test_the_ledger_keeps_them(api_client: ApiClient, limits: dict[str, Any], error: type[Exception]) -> None:
    user = make_user()
    make_wallet(user=user)
    capture(reserve(user.pk, 3).hold_id, 3)
    patch(api_client(user), limits)
    with pytest.raises(error):
        reserve(user.pk, 5)
    assert Hold.objects.filter(state="held").count() == 0


def test_held_and_spent_count_together_against_the_day(api_client: ApiClient) -> None:
    user = make_user()
    make_wallet(user=user)
    patch(api_client(user), {"per_day": "7"})
    capture(reserve(user.pk, 3).hold_id, 3)
    reserve(user.pk, 2)
    with pytest.raises(OwnDayLimit):
        reserve(user.pk, 3)
    holds.reserve_credits(user_id=user.pk, amount=2 * MICRO, reference="r", key="k")


def test_strangers_have_no_limits_to_set(api_client: ApiClient) -> None:
    answer = patch(api_client(), {"paused": True})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
