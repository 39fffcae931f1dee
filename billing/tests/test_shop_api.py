"""Buying, changing and ending over the API, with the fake Stripe behind it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_user
from billing.models import Order, Payment, Plan, Store, StoreCustomer, Subscription
from billing.services import renewals, subscriptions
from billing.services.adjustments import set_tier
from billing.stores.base import Standing, SubscriptionFacts
from billing.tests.factories import assert_ledger_holds, buckets, capture, in_parallel, make_payment, reserve
from billing.tests.shop import Shop, make_buyer, open_shop
from common.ids import uuid7
from common.models import IdempotentAnswer

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1/"
DECLINED, ASKS_THE_BANK = "4000000000000002", "4000002500003155"
ApiClient = Callable[..., Any]


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


@pytest.fixture
def buyer() -> User:
    return make_buyer()


@pytest.fixture
def client(api_client: ApiClient, buyer: User) -> Any:
    return api_client(buyer)


def post(client: Any, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
    return client.post(API + path, body or {}, format="json", headers=headers)


def get(client: Any, path: str) -> Any:
    answer = client.get(API + path)
    assert answer.status_code == 200, answer.content
    return answer.json()


def refusal(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["field"] for error in body["errors"]]


def subscribe(client: Any, shop: Shop, plan: str = "premium_monthly") -> None:
    answer = post(client, "billing/checkout/", {"plan": plan})
    assert answer.status_code == 201, answer.content
    shop.fake.pay(answer.json()["id"])
    shop.tell()


def keys_sent(shop: Shop, path: str) -> list[str | None]:
    return [
        request.idempotency_key
        for request in shop.fake.requests
        if (request.method, request.path) == ("POST", path)
    ]


# --- Buying ---------------------------------------------------------------------------------------


def test_a_pack_is_bought(client: Any, shop: Shop, buyer: User) -> None:
    answer = post(client, "billing/checkout/", {"pack": "credits_100"})
    assert (answer.status_code, set(answer.json())) == (201, {"checkout_url", "id"})
    assert answer.json()["checkout_url"].startswith(shop.fake.api_base)
    order = Order.objects.get()
    assert (order.user_id, order.session_id, order.state) == (buyer.pk, answer.json()["id"], "open")
    assert not Payment.objects.exists()
    shop.fake.pay(answer.json()["id"])
    shop.tell()
    assert get(client, "wallet/")["purchased"] == "100"


def test_declined_then_paid_with_another_card_in_the_same_checkout(
    client: Any, shop: Shop, buyer: User
) -> None:
    page = post(client, "billing/checkout/", {"pack": "credits_10"}).json()
    shop.fake.pay(page["id"], card=DECLINED)
    shop.tell()
    assert get(client, "wallet/")["purchased"] == "0"
    shop.fake.pay(page["id"])
    shop.tell()
    assert get(client, "wallet/")["purchased"] == "10"
    assert Order.objects.get().state == "paid"


@pytest.mark.parametrize(("outcome", "bought"), [("complete", "10"), ("fail", "0"), (None, "0")])
def test_a_card_whose_bank_asks_its_owner(client: Any, shop: Shop, outcome: Any, bought: str) -> None:
    page = post(client, "billing/checkout/", {"pack": "credits_10"}).json()
    shop.fake.pay(page["id"], card=ASKS_THE_BANK, authenticate=outcome)
    shop.tell()
    assert get(client, "wallet/")["purchased"] == bought


def test_a_phone_pays_in_its_own_sheet(client: Any, shop: Shop, buyer: User) -> None:
    answer = post(client, "billing/payment-intents/", {"pack": "credits_50"})
    assert answer.status_code == 201
    sheet = answer.json()
    assert set(sheet) == {"client_secret", "customer", "ephemeral_key"}
    assert sheet["customer"] == StoreCustomer.objects.get(user=buyer).external_id
    intent_id = Order.objects.get().intent_id
    assert sheet["client_secret"].startswith(f"{intent_id}_secret")
    shop.fake.confirm_payment_intent(intent_id, card=DECLINED)
    shop.tell()
    assert get(client, "wallet/")["purchased"] == "0"
    shop.fake.confirm_payment_intent(intent_id)
    shop.tell()
    assert get(client, "wallet/")["purchased"] == "50"


@pytest.mark.parametrize("path", ["billing/checkout/", "billing/payment-intents/"])
def test_an_unproved_address_buys_nothing(api_client: ApiClient, shop: Shop, path: str) -> None:
    answer = post(api_client(make_user(verified=False)), path, {"pack": "credits_10"})
    assert refusal(answer) == (403, "email_not_verified", [])
    assert not Order.objects.exists()
    assert shop.fake.requests == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "pack"),
        ({"pack": "credits_10", "plan": "premium_monthly"}, "pack"),
        ({"pack": "nothing"}, "pack"),
        ({"plan": "nothing"}, "plan"),
        ({"pack": "credits_10", "success_url": "https://evil.example/"}, "success_url"),
        ({"pack": "credits_10", "success_url": "//evil.example/"}, "success_url"),
        ({"pack": "credits_10", "success_url": "http://localhost:8000@evil.example/"}, "success_url"),
        ({"pack": "credits_10", "success_url": "http://localhost:8000.evil.example/"}, "success_url"),
        ({"pack": "credits_10", "success_url": "javascript:alert(1)"}, "success_url"),
        ({"pack": "credits_10", "cancel_url": "evilapp://x"}, "cancel_url"),
        ({"pack": "credits_10", "promotion_code": "NOSUCH"}, "promotion_code"),
        ({"pack": ["credits_10"]}, "pack"),
        ({"pack": "credits_10", "price": 1}, "price"),
        ({"pack": "credits_10", "credits": "9999"}, "credits"),
        ({"pack": "credits_10", "quantity": -1}, "quantity"),
    ],
)
def test_what_cannot_be_sold_leaves_no_order(client: Any, shop: Shop, body: Any, field: str) -> None:
    assert refusal(post(client, "billing/checkout/", body)) == (422, "invalid", [field])
    assert not Order.objects.exists()


def test_things_taken_off_sale_cannot_be_bought(client: Any, shop: Shop) -> None:
    Plan.objects.filter(slug="premium_monthly").update(is_active=False)
    answer = post(client, "billing/checkout/", {"plan": "premium_monthly"})
    assert refusal(answer) == (422, "invalid", ["plan"])


def test_our_own_pages_and_apps_are_come_back_to(client: Any, shop: Shop, settings: Any) -> None:
    settings.BILLING_RETURN_SCHEMES = ["parlor"]
    ours = f"{settings.ALLOWED_ORIGINS[0]}/wallet/"
    body = {"pack": "credits_10", "success_url": ours, "cancel_url": "parlor://shop"}
    assert post(client, "billing/checkout/", body).status_code == 201
    asked = [request for request in shop.fake.requests if request.path == "/v1/checkout/sessions"][-1]
    assert (asked.params["success_url"], asked.params["cancel_url"]) == (ours, "parlor://shop")


def test_a_promotion_code_lowers_what_is_paid_and_not_what_is_given(
    client: Any, shop: Shop, buyer: User
) -> None:
    shop.fake.create_promotion_code("HALF", percent_off=50)
    page = post(client, "billing/checkout/", {"pack": "credits_100", "promotion_code": "HALF"}).json()
    shop.fake.pay(page["id"])
    shop.tell()
    payment = Payment.objects.get()
    assert payment.amount in (449, 450)
    assert buckets(buyer.pk)["purchased"] == (100, 0)


# --- The same wish twice --------------------------------------------------------------------------


def test_m22_a_double_submit_is_one_order_and_one_checkout(client: Any, shop: Shop) -> None:
    first, again = (
        post(client, "billing/checkout/", {"pack": "credits_10"}, **{"Idempotency-Key": "one"})
        for _ in range(2)
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == len(keys_sent(shop, "/v1/checkout/sessions")) == 1


def test_m4_the_same_key_for_another_pack_is_refused(client: Any, shop: Shop) -> None:
    post(client, "billing/checkout/", {"pack": "credits_10"}, **{"Idempotency-Key": "one"})
    other = post(client, "billing/checkout/", {"pack": "credits_1000"}, **{"Idempotency-Key": "one"})
    assert refusal(other) == (422, "idempotency_key_reused", [])
    assert Order.objects.get().pack_id == "credits_10"


def test_m5_the_same_key_while_the_first_is_in_flight(api_client: ApiClient, buyer: User, shop: Shop) -> None:
    clients = [api_client(buyer) for _ in range(6)]
    answers = in_parallel(
        *[
            lambda client=client: post(
                client, "billing/checkout/", {"pack": "credits_10"}, **{"Idempotency-Key": "one"}
            )
            for client in clients
        ]
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 409)
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert Order.objects.count() == 1


def test_two_checkouts_for_plans_at_once_leave_one_to_pay(
    api_client: ApiClient, buyer: User, shop: Shop
) -> None:
    clients = [api_client(buyer) for _ in range(4)]
    answers = in_parallel(
        *[
            lambda client=client: post(client, "billing/checkout/", {"plan": "premium_monthly"})
            for client in clients
        ]
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert Order.objects.filter(state="open").count() == 1
    for answer in answers:
        if answer.status_code == 201:
            shop.fake.pay(answer.json()["id"])
    shop.tell()
    assert Subscription.objects.count() == Payment.objects.count() == 1


def test_a_second_checkout_for_a_plan_closes_the_first(client: Any, shop: Shop) -> None:
    first = post(client, "billing/checkout/", {"plan": "premium_monthly"}).json()
    second = post(client, "billing/checkout/", {"plan": "vip_monthly"}).json()
    shop.fake.pay(first["id"])
    shop.tell()
    assert not Subscription.objects.exists()
    shop.fake.pay(second["id"])
    shop.tell()
    assert Subscription.objects.get().plan_id == "vip_monthly"


def test_who_has_a_plan_changes_it_instead(client: Any, shop: Shop) -> None:
    subscribe(client, shop)
    for plan in ("premium_monthly", "vip_monthly"):
        assert refusal(post(client, "billing/checkout/", {"plan": plan}))[:2] == (409, "conflict")
    assert post(client, "billing/checkout/", {"plan": "premium_lifetime"}).status_code == 201


def test_a_plan_that_was_paid_before_its_news_came_is_not_sold_again(client: Any, shop: Shop) -> None:
    page = post(client, "billing/checkout/", {"plan": "premium_monthly"}).json()
    shop.fake.pay(page["id"])
    again = post(client, "billing/checkout/", {"plan": "premium_monthly"})
    assert refusal(again)[:2] == (409, "conflict")
    shop.tell()
    assert Payment.objects.count() == 1


# --- The store is away ----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "reset", "timeout_after", "429"])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/prices", "/v1/products", "/v1/checkout/sessions"])
def test_m27_a_store_that_falters_is_asked_again_with_the_same_key(
    client: Any, shop: Shop, buyer: User, fault: Any, path: str
) -> None:
    shop.fake.fail_next("POST", path, fault)
    answer = post(client, "billing/checkout/", {"pack": "credits_10"})
    if answer.status_code == 503:
        # The library asks again by itself in most cases; what it leaves is for whoever called.
        assert answer.json()["code"] == "provider_unavailable"
        answer = post(client, "billing/checkout/", {"pack": "credits_10"})
    assert answer.status_code == 201
    shop.fake.pay(answer.json()["id"])
    shop.tell()
    assert buckets(buyer.pk)["purchased"] == (10, 0)
    assert StoreCustomer.objects.count() == 1
    assert len(set(keys_sent(shop, "/v1/customers"))) == 1
    assert Order.objects.filter(state="open").count() == 0


@pytest.mark.parametrize("fault", ["500", "reset", "timeout_after"])
def test_m27_a_store_that_is_away_is_503_and_trying_again_later_works(
    client: Any, shop: Shop, buyer: User, fault: Any
) -> None:
    shop.fake.fail_next("POST", "/v1/customers", fault, times=3)
    header = {"Idempotency-Key": "one"}
    away = post(client, "billing/checkout/", {"pack": "credits_10"}, **header)
    assert refusal(away) == (503, "provider_unavailable", [])
    assert int(away.headers["Retry-After"]) > 0
    assert not Order.objects.filter(state="open").exists()
    assert not IdempotentAnswer.objects.exists()
    answer = post(client, "billing/checkout/", {"pack": "credits_10"}, **header)
    assert answer.status_code == 201
    keys = keys_sent(shop, "/v1/customers")
    assert (len(keys), len(set(keys))) == (4, 1)
    assert keys[0].startswith(f"customer:{buyer.pk}:")
    shop.fake.pay(answer.json()["id"])
    shop.tell()
    assert buckets(buyer.pk)["purchased"] == (10, 0)


def test_m27_a_checkout_whose_answer_was_lost_is_made_once(client: Any, shop: Shop) -> None:
    shop.fake.fail_next("POST", "/v1/checkout/sessions", "timeout_after", times=2)
    answer = post(client, "billing/checkout/", {"pack": "credits_10"})
    assert answer.status_code == 201
    order = Order.objects.get()
    assert keys_sent(shop, "/v1/checkout/sessions") == [f"checkout:{order.pk}"] * 3
    with shop.fake.changing() as world:
        assert len(world.find("checkout.session")) == 1


def test_m27_a_charge_whose_answer_was_lost_is_made_once(client: Any, shop: Shop, buyer: User) -> None:
    subscribe(client, shop)
    row = Subscription.objects.get()
    prorated_at = post(client, "subscription/preview/", {"plan": "vip_monthly"}).json()["prorated_at"]
    shop.fake.fail_next("POST", f"/v1/subscriptions/{row.external_id}", "timeout_after", times=3)
    body = {"plan": "vip_monthly", "prorated_at": prorated_at}
    assert post(client, "subscription/change/", body).status_code == 503
    again = post(client, "subscription/change/", body)
    shop.tell()
    assert again.status_code in (200, 409)
    keys = [key for key in keys_sent(shop, f"/v1/subscriptions/{row.external_id}") if key]
    assert len([key for key in keys if key.startswith("change:")]) >= 3
    assert len({key for key in keys if key.startswith("change:")}) == 1
    assert Payment.objects.count() == 2
    assert get(client, "subscription/")["plan"] == "vip_monthly"


def test_without_a_shop_nothing_can_be_bought(client: Any) -> None:
    for path in ("billing/checkout/", "billing/payment-intents/"):
        assert refusal(post(client, path, {"pack": "credits_10"}))[:2] == (503, "provider_unavailable")
    assert not Order.objects.exists()


# --- Portal and papers ----------------------------------------------------------------------------


def test_the_portal_is_for_buyers_and_leads_back_to_us(client: Any, shop: Shop, settings: Any) -> None:
    assert refusal(post(client, "billing/portal/"))[:2] == (404, "not_found")
    post(client, "billing/checkout/", {"pack": "credits_10"})
    answer = post(client, "billing/portal/", {"return_url": f"{settings.ALLOWED_ORIGINS[0]}/wallet/plan/"})
    assert (answer.status_code, list(answer.json())) == (200, ["url"])
    for url in ("https://evil.example/", "//evil.example", "javascript:alert(1)", 1.5):
        refused = post(client, "billing/portal/", {"return_url": url})
        assert refusal(refused) == (422, "invalid", ["return_url"])


def test_invoices_are_what_was_paid_and_what_became_of_it(client: Any, shop: Shop, buyer: User) -> None:
    payments = [make_payment(buyer.pk, paid_at=timezone.now() - timedelta(days=day)) for day in (3, 2, 1)]
    make_payment(make_user().pk)
    Payment.objects.filter(pk=payments[0].pk).update(returned=0)
    rows = get(client, "billing/invoices/")["results"]
    assert [row["id"] for row in rows] == [str(payment.pk) for payment in reversed(payments)]
    assert rows[0] | {"paid_at": ""} == {
        "id": str(payments[2].pk),
        "number": payments[2].number,
        "name": "100 credits",
        "amount": "8.99",
        "currency": "USD",
        "status": "paid",
        "paid_at": "",
        "document_url": "",
        "receipt_url": f"http://testserver/wallet/receipts/{payments[2].pk}/",
    }


def test_invoices_come_in_cursor_pages(client: Any, buyer: User, django_assert_max_num_queries: Any) -> None:
    for day in range(5):
        make_payment(buyer.pk, paid_at=timezone.now() - timedelta(days=day // 2))
    seen: list[str] = []
    url = f"{API}billing/invoices/?page_size=2"
    while url:
        with django_assert_max_num_queries(2):
            page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == len(set(seen)) == 5


def test_a_payment_with_its_refunds(client: Any, shop: Shop, buyer: User, api_client: ApiClient) -> None:
    page = post(client, "billing/checkout/", {"pack": "credits_100"}).json()
    shop.fake.pay(page["id"])
    shop.tell()
    payment = Payment.objects.get()
    capture(reserve(buyer.pk, 70).hold_id, 70)
    shop.fake.refund(payment.external_id, 450)
    shop.tell()
    row = get(client, "billing/invoices/")["results"][0]
    assert (row["status"], row["amount"]) == ("partly_refunded", "8.99")
    shop.fake.refund(payment.external_id)
    shop.tell()
    detail = get(client, f"billing/payments/{payment.pk}/")
    assert (detail["status"], detail["returned"], detail["credits"], detail["credits_returned"]) == (
        "refunded",
        "8.99",
        "100",
        "100",
    )
    assert sorted(refund["amount"] for refund in detail["refunds"]) == ["4.49", "4.50"]
    assert {refund["kind"] for refund in detail["refunds"]} == {"refund"}
    wallet = get(client, "wallet/")
    assert (wallet["available"], wallet["debt"]) == ("0", "60")
    stranger = api_client(make_user())
    theirs = stranger.get(f"{API}billing/payments/{payment.pk}/")
    nobodys = stranger.get(f"{API}billing/payments/{uuid7()}/")
    assert (theirs.status_code, theirs.json()["detail"]) == (404, nobodys.json()["detail"])


# --- The subscription -----------------------------------------------------------------------------


def test_who_has_no_plan_has_a_tier(client: Any) -> None:
    assert get(client, "subscription/") == {
        "state": "none",
        "plan": None,
        "tier": "free",
        "provider": None,
        "current_period_end": None,
        "cancel_at_period_end": False,
        "grace_until": None,
        "next_plan": None,
        "started_at": None,
    }
    for path in ("cancel", "resume"):
        assert refusal(post(client, f"subscription/{path}/"))[:2] == (404, "not_found")
    for path in ("change", "preview"):
        answer = post(client, f"subscription/{path}/", {"plan": "vip_monthly"})
        assert refusal(answer)[:2] == (404, "not_found")


def test_a_given_tier_is_shown_and_cannot_be_changed_but_bought_over(client: Any, buyer: User) -> None:
    set_tier(user_id=buyer.pk, tier="vip", reason="Support")
    shown = get(client, "subscription/")
    assert (shown["state"], shown["plan"], shown["tier"], shown["provider"]) == (
        "active",
        None,
        "vip",
        "given",
    )
    assert refusal(post(client, "subscription/cancel/"))[:2] == (404, "not_found")
    assert {row["change"] for row in get(client, "subscription/plans/")["results"]} == {"buy"}


def test_the_life_of_a_subscription(client: Any, shop: Shop, buyer: User) -> None:
    subscribe(client, shop)
    shown = get(client, "subscription/")
    row = Subscription.objects.get()
    assert row.period_end is not None
    assert shown == {
        "state": "active",
        "plan": "premium_monthly",
        "tier": "premium",
        "provider": "stripe_test",
        "current_period_end": row.period_end.isoformat().replace("+00:00", "Z"),
        "cancel_at_period_end": False,
        "grace_until": None,
        "next_plan": None,
        "started_at": row.started_at.isoformat().replace("+00:00", "Z"),
    }
    cancelled = post(client, "subscription/cancel/").json()
    assert (cancelled["state"], cancelled["cancel_at_period_end"], cancelled["tier"]) == (
        "cancelled",
        True,
        "premium",
    )
    assert post(client, "subscription/cancel/", {"at_period_end": True}).json() == cancelled
    assert post(client, "subscription/resume/").json() == shown
    change = post(client, "subscription/preview/", {"plan": "vip_monthly"}).json()
    assert (change["plan"], change["change"], change["currency"]) == ("vip_monthly", "now", "USD")
    assert 19.9 <= float(change["due"]) <= 20
    better = post(
        client, "subscription/change/", {"plan": "vip_monthly", "prorated_at": change["prorated_at"]}
    )
    assert (better.json()["plan"], better.json()["tier"]) == ("vip_monthly", "vip")
    assert str(Payment.objects.order_by("-id")[0].amount) == change["due"].replace(".", "")
    later = post(client, "subscription/preview/", {"plan": "premium_monthly"}).json()
    assert (later["change"], later["due"], later["prorated_at"]) == ("at_period_end", "0.00", None)
    waiting = post(client, "subscription/change/", {"plan": "premium_monthly"}).json()
    assert (waiting["plan"], waiting["next_plan"]) == ("vip_monthly", "premium_monthly")
    assert post(client, "subscription/resume/").json()["next_plan"] is None
    ended = post(client, "subscription/cancel/", {"at_period_end": False}).json()
    assert (ended["state"], ended["tier"]) == ("expired", "free")
    assert get(client, "subscription/")["state"] == "none"
    history = get(client, "subscription/history/")["results"]
    assert (history[0]["to_state"], history[-1]["from_state"]) == ("expired", "")
    assert set(history[0]) == {
        "id",
        "subscription",
        "cause",
        "from_state",
        "to_state",
        "plan",
        "period_end",
        "created_at",
    }


def test_the_price_of_a_change_cannot_be_moved_in_time(client: Any, shop: Shop) -> None:
    """Unused time counts from a moment the store is told: near the period's end a change costs nothing."""
    subscribe(client, shop)
    period_end = Subscription.objects.get().period_end
    assert period_end is not None
    for moment in (int(period_end.timestamp()) - 5, int(timezone.now().timestamp()) - 3700, 0, -1, 1.5, "1"):
        answer = post(client, "subscription/change/", {"plan": "vip_monthly", "prorated_at": moment})
        assert refusal(answer) == (422, "invalid", ["prorated_at"])
    assert get(client, "subscription/")["plan"] == "premium_monthly"


def test_a_declined_card_leaves_the_plan_as_it_was(client: Any, shop: Shop, buyer: User) -> None:
    subscribe(client, shop)
    shop.fake.set_default_card(StoreCustomer.objects.get(user=buyer).external_id, "4000000000000341")
    answer = post(client, "subscription/change/", {"plan": "vip_monthly"})
    assert refusal(answer)[:2] == (402, "payment_refused")
    shop.tell()
    assert get(client, "subscription/")["plan"] == "premium_monthly"
    assert Payment.objects.count() == 1


def test_changing_to_what_one_has_or_what_is_not_there(client: Any, shop: Shop) -> None:
    subscribe(client, shop)
    for path in ("change", "preview"):
        same = post(client, f"subscription/{path}/", {"plan": "premium_monthly"})
        assert refusal(same)[:2] == (409, "conflict")
        for plan in ("nothing", "premium_lifetime", ""):
            answer = post(client, f"subscription/{path}/", {"plan": plan})
            assert refusal(answer) == (422, "invalid", ["plan"])


def test_grace_is_told_with_its_end(client: Any, shop: Shop, buyer: User) -> None:
    subscribe(client, shop)
    row = Subscription.objects.get()
    assert row.period_end is not None
    shop.fake.set_default_card(StoreCustomer.objects.get(user=buyer).external_id, "4000000000000341")
    subscriptions.advance(row.pk, now=row.period_end + timedelta(hours=7))
    shown = get(client, "subscription/")
    row.refresh_from_db()
    assert row.entitled_until is not None
    assert (shown["state"], shown["grace_until"]) == (
        "grace",
        row.entitled_until.isoformat().replace("+00:00", "Z"),
    )
    renewals.look_at_due()


def test_plans_say_how_one_gets_them(client: Any, shop: Shop, buyer: User) -> None:
    Plan.objects.update(trial_days=7)
    before = get(client, "subscription/plans/")["results"]
    assert {row["change"] for row in before} == {"buy"}
    assert {(row["is_current"], row["trial_days"]) for row in before} == {(False, 7)}
    Plan.objects.update(trial_days=0)
    subscribe(client, shop)
    Plan.objects.update(trial_days=7)
    after = get(client, "subscription/plans/")["results"]
    assert {row["slug"]: row["change"] for row in after} == {
        "premium_daily": "at_period_end",
        "premium_monthly": None,
        "premium_yearly": "now",
        "premium_lifetime": "buy",
        "vip_monthly": "now",
        "vip_yearly": "now",
    }
    assert [row["slug"] for row in after if row["is_current"]] == ["premium_monthly"]
    assert {row["trial_days"] for row in after} == {0}
    Plan.objects.update(trial_days=0)


def test_a_subscription_of_another_store_is_changed_there(client: Any, shop: Shop, buyer: User) -> None:
    get(client, "wallet/")
    now = timezone.now()
    subscriptions.apply_facts(
        store=Store.GOOGLE_PLAY,
        facts=SubscriptionFacts(
            external_id="token",
            standing=Standing.ACTIVE,
            plan="premium_monthly",
            user_id=buyer.pk,
            price=999,
            currency="USD",
            period_start=now,
            period_end=now + timedelta(days=30),
        ),
        asked_at=now,
    )
    assert get(client, "subscription/")["provider"] == "google_play"
    for path, body in (("cancel", {}), ("resume", {}), ("change", {"plan": "vip_monthly"})):
        assert refusal(post(client, f"subscription/{path}/", body))[:2] == (409, "conflict")
    changes = {row["slug"]: row["change"] for row in get(client, "subscription/plans/")["results"]}
    assert changes.pop("premium_lifetime") == "buy"
    assert set(changes.values()) == {None}
