from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.tests.factories import make_user
from billing import statistics
from billing.models import LedgerTransaction, Pack
from billing.services import adjustments, grants, holds
from billing.tests.factories import capture, make_wallet, reserve
from common.credits import MICRO

pytestmark = pytest.mark.django_db
ApiClient = Callable[..., Any]


def test_the_wallet_of_a_newcomer(api_client: ApiClient) -> None:
    response = api_client(make_user()).get("/api/v1/wallet/")
    assert response.status_code == 200
    midnight = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert response.json() == {
        "available": "10",
        "daily": {
            "granted": "10",
            "remaining": "10",
            "resets_at": midnight.isoformat().replace("+00:00", "Z"),
        },
        "bonus": "0",
        "purchased": "0",
        "held": "0",
        "tier": "free",
        "debt": "0",
        "frozen": "0",
        "limits": {"paused": False, "per_message": None, "per_day": None, "low_balance": None},
        "is_low": False,
    }


def test_the_wallet_tells_buckets_and_what_is_held(api_client: ApiClient) -> None:
    user = make_user()
    make_wallet(user=user, bonus=5, purchased=7)
    holds.reserve_credits(user_id=user.pk, amount=12 * MICRO + 23_400, reference="r", key="k")
    wallet = api_client(user).get("/api/v1/wallet/").json()
    assert (wallet["available"], wallet["held"]) == ("9.9766", "12.0234")
    assert (wallet["daily"]["remaining"], wallet["bonus"], wallet["purchased"]) == ("0", "2.9766", "7")


def test_times_are_utc_whatever_the_operators_zone(api_client: ApiClient, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    user = make_user()
    wallet = api_client(user).get("/api/v1/wallet/").json()
    assert wallet["daily"]["resets_at"].endswith("T15:00:00Z")
    row = api_client(user).get("/api/v1/wallet/transactions/").json()["results"][0]
    assert row["created_at"].endswith("Z")


def test_the_history_latest_first_with_buckets(api_client: ApiClient) -> None:
    user = make_user()
    make_wallet(user=user, bonus=5)
    hold = reserve(user.pk, 13)
    capture(hold.hold_id, 12)
    expired = reserve(user.pk, 1, ttl=timedelta(0))
    holds.expire_holds()
    capture(expired.hold_id, 1)
    response = api_client(user).get("/api/v1/wallet/transactions/")
    assert response.status_code == 200
    body = response.json()
    assert (body["next"], body["previous"]) == (None, None)
    charge = LedgerTransaction.objects.get(kind="charge")
    assert body["results"][0] == {
        "id": str(charge.id),
        "kind": "charge",
        "amount": "-12",
        "balance_after": "3",
        "buckets": {"daily": "-10", "bonus": "-2", "purchased": "0"},
        "reference": "test",
        "description": "Talk",
        "created_at": charge.created_at.isoformat(timespec="milliseconds").replace("+00:00", "000Z"),
    }
    assert [(row["kind"], row["amount"], row["description"]) for row in body["results"][1:]] == [
        ("grant", "5", "Credits given"),
        ("allowance", "10", "Daily allowance"),
    ]


def test_the_history_comes_in_cursor_pages_that_stay_put(api_client: ApiClient) -> None:
    user = make_user()
    make_wallet(user=user)
    for _ in range(6):
        capture(reserve(user.pk, 1).hold_id, 1)
    client = api_client(user)
    first = client.get("/api/v1/wallet/transactions/?page_size=3").json()
    capture(reserve(user.pk, 1).hold_id, 1)
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()
    balances = [row["balance_after"] for page in (first, second, third) for row in page["results"]]
    assert balances == ["4", "5", "6", "7", "8", "9", "10"]
    assert third["next"] is None


@pytest.mark.parametrize("rows", [2, 20])
def test_the_history_needs_as_many_queries_for_two_rows_as_for_twenty(
    api_client: ApiClient, django_assert_num_queries: Any, rows: int
) -> None:
    user = make_user()
    make_wallet(user=user, purchased=100)
    for _ in range(rows):
        capture(reserve(user.pk, 1).hold_id, 1)
    client = api_client(user)
    client.get("/api/v1/wallet/transactions/")
    with django_assert_num_queries(3):
        client.get("/api/v1/wallet/transactions/")


def test_nobody_sees_another_wallet(api_client: ApiClient) -> None:
    rich, poor = make_user(), make_user()
    make_wallet(user=rich, bonus=500)
    client = api_client(poor)
    assert client.get(f"/api/v1/wallet/?user={rich.pk}").json()["bonus"] == "0"
    assert client.get("/api/v1/wallet/transactions/").json()["results"][0]["amount"] == "10"
    for path in ("wallet/", "wallet/transactions/", "usage/current/"):
        refused = api_client().get(f"/api/v1/{path}")
        assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", ["wallet/", "wallet/transactions/", "billing/catalog/", "usage/current/"])
def test_x47_nothing_here_can_be_written(api_client: ApiClient, method: str, path: str) -> None:
    user = make_user()
    body = {"bonus": "1000", "available": "1000", "tier": "vip", "balance": 10**9}
    response = getattr(api_client(user), method)(f"/api/v1/{path}", body)
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert not LedgerTransaction.objects.exists()


def test_usage_is_today_against_the_limits(api_client: ApiClient) -> None:
    user = make_user()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    make_wallet(user=user, now=yesterday)
    capture(reserve(user.pk, 5, now=yesterday).hold_id, 5, now=yesterday)
    grants.grant_sign_up_bonus(user_id=user.pk)
    for amount in (1, 2):
        capture(reserve(user.pk, amount, counts_message=True).hold_id, amount)
    reserve(user.pk, 4, counts_message=True)
    usage = api_client(user).get("/api/v1/usage/current/").json()
    resets_at = usage.pop("resets_at")
    assert resets_at.endswith("T00:00:00Z")
    assert usage == {
        "day": datetime.now(UTC).date().isoformat(),
        "tier": "free",
        "credits": {"spent": "3", "available": "23", "daily_granted": "10", "daily_remaining": "3"},
        "messages": {"used": 3, "limit": 10},
        "requests_per_minute": 5,
    }


def test_paid_tiers_have_no_limit_of_messages_in_usage(api_client: ApiClient) -> None:
    user = make_user()
    make_wallet(user=user, tier="vip")
    usage = api_client(user).get("/api/v1/usage/current/").json()
    assert usage["messages"] == {"used": 0, "limit": None}
    assert usage["requests_per_minute"] == 100


def test_me_tells_the_tier(api_client: ApiClient) -> None:
    user = make_user()
    assert api_client(user).get("/api/v1/me/").json()["tier"] == "free"
    adjustments.set_tier(user_id=user.pk, tier="vip", reason="Support")
    assert api_client(user).get("/api/v1/me/").json()["tier"] == "vip"


def test_b6_the_catalogue_ships_with_the_published_numbers(api_client: ApiClient) -> None:
    catalog = api_client().get("/api/v1/billing/catalog/").json()
    assert list(catalog) == ["tiers", "plans", "packs", "actions"]
    free = catalog["tiers"][0]
    assert free == {
        "slug": "free",
        "name": "Free",
        "daily_credits": "10",
        "credits_per_1000_tokens": "0.1",
        "requests_per_minute": 5,
        "messages_per_day": 10,
        "max_output_tokens": 1024,
        "persona_limit": 2,
        "history_days": 7,
        "memory": "none",
        "storage_bytes": 100 * 1024 * 1024,
        "mentor_messages_per_day": 10,
    }
    paid = [
        (tier["slug"], tier["daily_credits"], tier["credits_per_1000_tokens"], tier["requests_per_minute"])
        for tier in catalog["tiers"][1:]
    ]
    assert paid == [("premium", "100", "0.07", 30), ("vip", "500", "0.05", 100)]
    assert {tier["messages_per_day"] for tier in catalog["tiers"][1:]} == {None}
    assert [(plan["slug"], plan["price"], plan["bonus_credits"]) for plan in catalog["plans"]] == [
        ("premium_daily", "0.99", "0"),
        ("premium_monthly", "9.99", "200"),
        ("premium_yearly", "99.99", "2500"),
        ("premium_lifetime", "249.99", "2500"),
        ("vip_monthly", "29.99", "1000"),
        ("vip_yearly", "299.99", "13000"),
    ]
    assert [
        (pack["slug"], pack["credits"], pack["price"], pack["currency"]) for pack in catalog["packs"]
    ] == [
        ("credits_10", "10", "0.99", "USD"),
        ("credits_50", "50", "4.99", "USD"),
        ("credits_100", "100", "8.99", "USD"),
        ("credits_500", "550", "39.99", "USD"),
        ("credits_1000", "1200", "69.99", "USD"),
    ]
    assert [pack["approximate_replies"] for pack in catalog["packs"]] == [65, 330, 660, 3600, 8000]
    assert {plan["trial_days"] for plan in catalog["plans"]} == {0}
    assert [(action["slug"], action["credits"]) for action in catalog["actions"]] == [
        ("short_chat", "5"),
        ("long_chat", "20"),
        ("image_analysis", "50"),
    ]


def test_the_dashboard_sums_charges_by_day() -> None:
    for amount in (2, 3):
        capture(reserve(make_wallet(purchased=1), amount).hold_id, amount)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert statistics.charged_by_day(today) == {today.date(): 5 * MICRO}
    assert statistics.charged_by_day(today + timedelta(days=1)) == {}
    assert statistics.outstanding_credits().total == 2 * MICRO


def test_what_is_not_on_sale_is_not_in_the_catalogue(api_client: ApiClient) -> None:
    Pack.objects.filter(slug="credits_50").update(is_active=False)
    packs = api_client().get("/api/v1/billing/catalog/").json()["packs"]
    assert "credits_50" not in [pack["slug"] for pack in packs]


def test_the_wallet_page_shows_what_is_there_and_how_it_went() -> None:
    user = make_user()
    make_wallet(user=user, bonus=5)
    for _ in range(3):
        capture(reserve(user.pk, 1).hold_id, 1)
    client = Client()
    assert client.get("/wallet/").status_code == 302
    client.force_login(user)
    page = client.get("/wallet/")
    assert page.status_code == 200
    assert page.context["wallet"].available == 12 * MICRO
    assert [(line.label, line.count, line.amount // MICRO) for line in page.context["page"].lines] == [
        ("Talk", 3, -3),
        ("Credits given", 1, 5),
        ("Daily allowance", 1, 10),
    ]
    # Three replies cost one credit each, and ten messages a day are free.
    assert page.context["replies_left"] == 10
    assert page.headers["Cache-Control"] == "private, no-store" or "no-store" in page.headers["Cache-Control"]


def test_the_wallet_pages_history_goes_on() -> None:
    user = make_user()
    make_wallet(user=user, purchased=100)
    for number in range(70):
        grants.grant_credits(user_id=user.pk, amount=1, key=f"many-{user.pk}-{number}")
    client = Client()
    client.force_login(user)
    first = client.get("/wallet/")
    assert len(first.context["page"].lines) == 60
    assert first.context["page"].older_than == 13
    more = client.get("/wallet/?before=13", headers={"HX-Request": "true"})
    assert len(more.context["page"].lines) == 12
    assert more.context["page"].older_than is None
    assert "wallet" not in more.context
    for hostile in ("-1", "x", "9" * 400, "１２", "1.5"):
        assert client.get("/wallet/", {"before": hostile}).status_code == 200
