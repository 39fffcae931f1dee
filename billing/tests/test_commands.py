from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import StaffAction
from accounts.selectors import has_verified_email
from accounts.tests.factories import make_user
from billing import selectors
from billing.models import LedgerTransaction
from billing.tests.factories import assert_ledger_holds, buckets
from common.credits import MICRO

pytestmark = pytest.mark.django_db


def grant(*arguments: str) -> str:
    out = StringIO()
    call_command("grant", *arguments, stdout=out)
    return out.getvalue().strip()


def test_support_gives_a_tier_credits_and_a_proved_address() -> None:
    user = make_user("ada@example.com", verified=False)
    said = grant(
        "Ada@Example.com", "--tier", "vip", "--credits", "1000", "--verified", "--reason", "Launch guest"
    )
    assert said == "Ada@Example.com: tier vip, 1520 credits"
    assert buckets(user.pk) == {"daily": (500, 0), "bonus": (1020, 0), "purchased": (0, 0)}
    assert has_verified_email(user.pk)
    adjustment = LedgerTransaction.objects.get(kind="adjustment")
    assert (adjustment.amount, adjustment.reason, adjustment.actor_id) == (1000 * MICRO, "Launch guest", None)
    actions = StaffAction.objects.filter(target_id=str(user.pk)).values_list("action", "reason")
    assert sorted(actions) == [("adjust_credits", "Launch guest"), ("set_tier", "Launch guest")]
    assert_ledger_holds()


def test_proving_an_address_twice_gives_the_welcome_gift_once() -> None:
    user = make_user("ada@example.com", verified=False)
    grant("ada@example.com", "--verified")
    grant("ada@example.com", "--verified")
    assert buckets(user.pk)["bonus"] == (20, 0)


def test_fractions_of_credits_are_exact() -> None:
    user = make_user("ada@example.com")
    grant("ada@example.com", "--credits", "0.000001")
    assert selectors.get_wallet(user.pk).bonus == 1


def test_the_same_token_gives_once() -> None:
    user = make_user("ada@example.com")
    for _ in range(3):
        grant("ada@example.com", "--credits", "5", "--token", "ticket-17")
    assert buckets(user.pk)["bonus"] == (5, 0)


@pytest.mark.parametrize(
    "amount",
    [
        "-1",
        "0",
        "1e308",
        str(2**63),
        "１２",
        "0x10",
        "null",
        "[]",
        "1.0000001",
        "",
        " 5",
        "NaN",
        "1000000001",
    ],
)
def test_m40_amounts_that_are_no_plain_credits_are_refused(amount: str) -> None:
    make_user("ada@example.com")
    with pytest.raises(CommandError):
        grant("ada@example.com", f"--credits={amount}")
    assert not LedgerTransaction.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eve@example.com", "--credits", "5"], "There is no user"),
        (["ada@example.com", "--tier", "platinum", "--credits", "5"], "There is no such tier"),
        (["ada@example.com", "--credits", "5", "--reason", " "], "need a reason"),
    ],
)
def test_a_refused_grant_writes_nothing(arguments: list[str], message: str) -> None:
    make_user("ada@example.com")
    with pytest.raises(CommandError, match=message):
        grant(*arguments)
    assert not LedgerTransaction.objects.exists()
    assert not StaffAction.objects.exists()
