import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import StaffAction, User
from accounts.tests.factories import make_user
from billing.models import (
    Gift,
    Hold,
    LedgerAccount,
    LedgerCheck,
    LedgerEntry,
    LedgerTransaction,
    Tier,
    Wallet,
)
from billing.services import grants
from billing.tests.factories import assert_ledger_holds, buckets, capture, make_wallet, reserve
from common.credits import MICRO

pytestmark = pytest.mark.django_db
ADMIN = "/admin/billing"


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(make_user(superuser=True))
    return client


def clerk(*permissions: str) -> tuple[User, Client]:
    staff = make_user(staff=True)
    staff.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(staff)
    return staff, client


def adjust(client: Client, user_id: Any, **fields: Any) -> Any:
    form = {
        "amount": "5",
        "bucket": "bonus",
        "reason": "Goodwill",
        "token": str(uuid4()),
        "_form_submitted": "on",
    }
    return client.post(f"{ADMIN}/wallet/{user_id}/adjust/", form | fields)


def test_m39_an_adjustment_is_a_transaction_with_name_and_reason() -> None:
    staff, client = clerk("view_wallet", "adjust_wallet")
    user_id = make_wallet()
    adjust(client, user_id, amount="2.5")
    row = LedgerTransaction.objects.get(kind="adjustment")
    assert (row.amount, row.actor_id, row.reason, row.wallet_id) == (2_500_000, staff.pk, "Goodwill", user_id)
    logged = StaffAction.objects.get()
    assert (logged.action, logged.actor_id, logged.reason) == ("adjust_credits", staff.pk, "Goodwill")
    assert_ledger_holds()


def test_m39_a_double_click_adjusts_once(boss: Client) -> None:
    user_id = make_wallet()
    token = str(uuid4())
    for _ in range(3):
        adjust(boss, user_id, token=token)
    assert buckets(user_id)["bonus"] == (5, 0)
    assert StaffAction.objects.count() == 1


def test_each_time_the_form_is_shown_it_has_a_new_token(boss: Client) -> None:
    url = f"{ADMIN}/wallet/{make_wallet()}/adjust/"
    tokens = [
        re.findall(r'name="token" value="([0-9a-f-]{36})"', boss.get(url).content.decode()) for _ in "ab"
    ]
    assert len(tokens[0]) == len(tokens[1]) == 1
    assert tokens[0] != tokens[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"reason": "   "},
        {"token": ""},
        {"token": "x"},
        {"bucket": "daily"},
        *(
            {"amount": amount}
            for amount in ("", "0", "1e308", "NaN", "0x10", "1.0000001", str(2**63), "null")
        ),
    ],
)
def test_m40_a_form_that_is_not_right_writes_nothing(boss: Client, wrong: dict[str, str]) -> None:
    user_id = make_wallet()
    adjust(boss, user_id, **wrong)
    assert buckets(user_id) == {"daily": (10, 0), "bonus": (0, 0), "purchased": (0, 0)}
    assert not StaffAction.objects.exists()


def test_no_more_is_taken_than_there_is(boss: Client) -> None:
    user_id = make_wallet(bonus=5)
    reserve(user_id, 12)
    adjust(boss, user_id, amount="-4")
    assert buckets(user_id)["bonus"] == (5, 2)
    adjust(boss, user_id, amount="-3")
    assert buckets(user_id)["bonus"] == (2, 2)
    assert_ledger_holds()


@pytest.mark.parametrize("action", ["adjust", "change_tier", "suspend", "resume"])
def test_wallet_actions_need_their_permission(action: str) -> None:
    _staff, client = clerk("view_wallet", "change_wallet")
    user_id = make_wallet()
    response = client.post(f"{ADMIN}/wallet/{user_id}/{action}/", {"reason": "x", "_form_submitted": "on"})
    assert response.status_code == 403
    _user, stranger = make_user(), Client()
    stranger.force_login(_user)
    assert stranger.post(f"{ADMIN}/wallet/{user_id}/{action}/").status_code == 302
    assert not StaffAction.objects.exists()


def test_x50_a_forged_post_from_another_site_does_nothing() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(superuser=True))
    user_id = make_wallet()
    assert adjust(client, user_id).status_code == 403
    assert buckets(user_id)["bonus"] == (0, 0)


def test_the_balance_is_no_field_of_a_form(boss: Client) -> None:
    user_id = make_wallet()
    forged = {"bonus_balance": "1000000000", "tier": "vip", "_save": "Save"}
    assert boss.post(f"{ADMIN}/wallet/{user_id}/change/", forged).status_code == 403
    assert boss.post(f"{ADMIN}/wallet/add/", forged).status_code == 403
    assert boss.post(f"{ADMIN}/wallet/{user_id}/delete/", {"post": "yes"}).status_code == 403
    assert buckets(user_id)["bonus"] == (0, 0)
    assert Wallet.objects.get(pk=user_id).tier_id == "free"


def test_the_ledger_is_read_only(boss: Client) -> None:
    user_id = make_wallet(bonus=5)
    capture(reserve(user_id, 12).hold_id, 11)
    rows = {
        "ledgertransaction": LedgerTransaction.objects.get(kind="charge").pk,
        "ledgeraccount": LedgerAccount.objects.first().pk,
        "hold": Hold.objects.get().pk,
        "wallet": user_id,
    }
    for model, pk in rows.items():
        assert boss.get(f"{ADMIN}/{model}/").status_code == 200
        assert boss.get(f"{ADMIN}/{model}/{pk}/change/").status_code == 200
        assert boss.post(f"{ADMIN}/{model}/{pk}/change/", {"_save": "x"}).status_code == 403
        assert boss.post(f"{ADMIN}/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403
        assert boss.get(f"{ADMIN}/{model}/add/").status_code == 403
    assert LedgerEntry.objects.count() == 7


@pytest.mark.parametrize("model", ["wallet", "ledgertransaction", "hold"])
def test_rows_are_found_by_address_and_id_without_scanning(boss: Client, model: str) -> None:
    user = make_user("ada@example.com")
    make_wallet(user=user)
    reserve(user.pk, 1)
    reserve(make_wallet(), 1)
    for term, count in (("ADA@example.com", 1), (str(user.pk), 1), ("eve@example.com", 0), ("nonsense", 0)):
        page = boss.get(f"{ADMIN}/{model}/", {"q": term})
        assert page.status_code == 200
        assert page.context["cl"].queryset.count() == count, term


@pytest.mark.parametrize("model", ["wallet", "ledgertransaction", "hold"])
def test_lists_need_as_many_queries_for_two_rows_as_for_twenty(boss: Client, model: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            boss.get(f"{ADMIN}/{model}/")
        return len(queries)

    for _ in range(2):
        reserve(make_wallet(), 1)
    count()
    few = count()
    for _ in range(18):
        reserve(make_wallet(), 1)
    assert count() == few


def test_staff_change_a_tier_suspend_and_resume(boss: Client) -> None:
    user_id = make_wallet()
    submitted = {"reason": "Partner", "_form_submitted": "on"}
    until = timezone.localtime() + timedelta(days=7)
    week = {"until": f"{until:%Y-%m-%dT%H:%M}", "token": str(uuid4())}
    boss.post(f"{ADMIN}/wallet/{user_id}/change_tier/", submitted | week | {"tier": "vip"})
    boss.post(f"{ADMIN}/wallet/{user_id}/suspend/", submitted)
    wallet = Wallet.objects.get(pk=user_id)
    assert (wallet.tier_id, wallet.daily_balance) == ("vip", 500 * MICRO)
    assert wallet.suspended_at is not None
    boss.post(f"{ADMIN}/wallet/{user_id}/resume/", submitted)
    assert Wallet.objects.get(pk=user_id).suspended_at is None
    actions = StaffAction.objects.order_by("created_at").values_list("action", flat=True)
    assert list(actions) == ["set_tier", "suspend_wallet", "resume_wallet"]


def test_staff_give_a_hold_back(boss: Client) -> None:
    user_id = make_wallet()
    hold = reserve(user_id, 4)
    url = f"{ADMIN}/hold/{hold.hold_id}/release/"
    for _ in range(2):
        boss.post(url, {"reason": "Stuck", "_form_submitted": "on"})
    assert buckets(user_id)["daily"] == (10, 0)
    assert StaffAction.objects.get().action == "release_hold"
    assert (
        boss.post(f"{ADMIN}/hold/nonsense/release/", {"reason": "x", "_form_submitted": "on"}).status_code
        == 404
    )


def test_b5_staff_refresh_the_allowances_on_a_button(boss: Client) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    user_id = make_wallet(now=yesterday)
    reserve(user_id, 1, now=yesterday)
    for _ in range(2):
        boss.post(reverse("admin:billing_wallet_refresh_allowances"), {"_form_submitted": "on"})
    assert LedgerTransaction.objects.filter(wallet_id=user_id, kind="allowance").count() == 2


def test_staff_run_the_check_and_read_its_findings(boss: Client) -> None:
    make_wallet()
    response = boss.post(reverse("admin:billing_ledgercheck_run"), {"_form_submitted": "on"}, follow=True)
    check = LedgerCheck.objects.get()
    assert check.is_clean
    assert "Nothing is wrong." in response.content.decode()
    check.results = {"balances_are_sums": {"count": 1, "rows": ['{"user_id": "u-17"}']}}
    check.save()
    page = boss.get(f"{ADMIN}/ledgercheck/{check.pk}/change/").content.decode()
    assert "u-17" in page
    assert "what it owes and what is frozen are sums of entries" in page


def test_catalogue_amounts_are_typed_in_credits_and_logged(boss: Client) -> None:
    url = f"{ADMIN}/gift/sign_up/change/"
    assert 'value="20"' in boss.get(url).content.decode()
    boss.post(url, {"name": "Welcome gift", "credits": "12.5"})
    assert Gift.objects.get(slug="sign_up").credits == 12_500_000
    logged = StaffAction.objects.get()
    assert (logged.action, logged.target_id) == ("change_gift", "sign_up")
    assert logged.details["changes"][0]["changed"]["values"] == {"credits": [20_000_000, 12_500_000]}
    assert grants.grant_sign_up_bonus(user_id=make_user().pk).available == 22_500_000


@pytest.mark.parametrize("credits", ["-1", "1e30", "x", "0.0000001"])
def test_catalogue_amounts_that_make_no_sense_are_refused(boss: Client, credits: str) -> None:
    boss.post(f"{ADMIN}/gift/sign_up/change/", {"name": "Welcome gift", "credits": credits})
    assert Gift.objects.get(slug="sign_up").credits == 20 * MICRO


@pytest.mark.parametrize("model", ["tier", "plan", "pack", "actionprice", "gift"])
def test_the_catalogue_can_be_opened_and_saved_as_it_is(boss: Client, model: str) -> None:
    page = boss.get(f"{ADMIN}/{model}/")
    row = page.context["cl"].queryset.first()
    url = f"{ADMIN}/{model}/{row.pk}/change/"
    form = boss.get(url).context["adminform"].form
    before = type(row).objects.values().get(pk=row.pk)
    data = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
    assert boss.post(url, data).status_code == 302
    assert type(row).objects.values().get(pk=row.pk) == before
    assert not StaffAction.objects.exists()


def test_m13_a_negative_price_cannot_be_saved(boss: Client) -> None:
    url = f"{ADMIN}/tier/free/change/"
    form = boss.get(url).context["adminform"].form
    data = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
    assert boss.post(url, data | {"token_price": "-1"}).status_code == 200
    assert Tier.objects.get(slug="free").token_price == 100
