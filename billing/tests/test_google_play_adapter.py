"""The Google Play adapter against a real HTTP server that speaks Google's wire format."""

import base64
import hashlib
import hmac
import json
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from billing.stores import google_play, google_play_api, google_play_push
from billing.stores.base import PaymentStanding, Standing, StoreError, UnknownObject
from billing.stores.fake_google_play import FakeGooglePlay
from billing.stores.fake_google_play.records import after, money
from billing.stores.fake_google_play.server import KEY_ID, PUSHER, private_key

USER = UUID("0f1e2d3c-4b5a-4968-8776-655443322110")
AUDIENCE = "https://parlor.example/api/v1/billing/google-play/push"
ACTIVE = "SUBSCRIPTION_STATE_ACTIVE"
PLAN = google_play.PlaySubscription(
    external_id="token",
    standing=Standing.ACTIVE,
    plan="premium_monthly",
    user_id=USER,
    product_id="premium_monthly",
)


@pytest.fixture
def play(settings: Any) -> Iterator[FakeGooglePlay]:
    with FakeGooglePlay(package="app.parlor") as fake:
        settings.GOOGLE_PLAY_PACKAGE = "app.parlor"
        settings.GOOGLE_PLAY_CREDENTIALS = fake.credentials
        settings.GOOGLE_PLAY_API_BASE = fake.api_base
        settings.GOOGLE_PLAY_PUSH_AUDIENCE = AUDIENCE
        settings.GOOGLE_PLAY_PUSH_EMAIL = PUSHER
        settings.GOOGLE_PLAY_CERTS_URL = fake.certs_url
        yield fake


def fetch(token: str) -> google_play.PlaySubscription:
    return google_play.fetch_subscription(purchase_token=token)[0]


def payments(token: str) -> list[Any]:
    return google_play.fetch_subscription(purchase_token=token)[1]


def paths(play: FakeGooglePlay) -> list[tuple[str, str]]:
    prefix = "/androidpublisher/v3/applications/app.parlor/"
    return [(each.method, each.path.removeprefix(prefix)) for each in play.requests]


def test_is_configured_only_with_package_and_key(play: FakeGooglePlay, settings: Any) -> None:
    assert google_play.is_configured()
    settings.GOOGLE_PLAY_CREDENTIALS = ""
    assert not google_play.is_configured()


# Subscriptions


def test_active_subscription_and_its_payment(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly", (1189, "EUR"), account=USER, tax=190)
    now = play.clock.now()
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    order_id = play.subscriptions[token].orders[0].order_id
    assert facts == google_play.PlaySubscription(
        external_id=token,
        standing=Standing.ACTIVE,
        plan="premium_monthly",
        user_id=USER,
        price=1189,
        currency="EUR",
        started_at=now,
        period_start=now,
        period_end=after(now, "month"),
        product_id="premium_monthly",
    )
    assert len(paid) == 1
    assert paid[0].external_id == order_id
    assert paid[0].standing == PaymentStanding.PAID
    assert (paid[0].amount, paid[0].tax, paid[0].earned, paid[0].currency) == (1189, 190, 1189, "EUR")
    assert (paid[0].plan, paid[0].pack) == ("premium_monthly", "")
    assert (paid[0].user_id, paid[0].subscription_id) == (USER, token)
    assert (paid[0].paid_at, paid[0].period_start, paid[0].period_end) == (now, now, after(now, "month"))
    assert paid[0].refunds == ()
    assert paid[0].is_live


def test_pending_subscription_is_not_paid(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly", pending=True)
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    assert (facts.standing, facts.period_end, facts.user_id) == (Standing.PENDING, None, None)
    assert [(each.standing, each.earned, each.paid_at) for each in paid] == [
        (PaymentStanding.PENDING, 0, None)
    ]
    play.settle_pending(token)
    assert fetch(token).standing == Standing.ACTIVE
    assert [each.standing for each in payments(token)] == [PaymentStanding.PAID]


def test_pending_subscription_that_failed_has_ended(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly", pending=True)
    play.settle_pending(token, ok=False)
    assert fetch(token).standing == Standing.ENDED
    assert [each.standing for each in payments(token)] == [PaymentStanding.FAILED]
    play.orders.clear()
    assert payments(token) == []


def test_trial_earns_nothing_and_then_renews(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly", trial_days=7)
    google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=token)
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    assert (facts.standing, facts.price) == (Standing.TRIALING, 999)
    assert [(each.amount, each.earned) for each in paid] == [(0, 0)]
    play.clock.advance(days=7)
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    assert facts.standing == Standing.ACTIVE
    assert [(each.amount, each.earned) for each in paid] == [(999, 999)]


def test_cancelled_runs_to_its_end_and_then_has_ended(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=token)
    end = fetch(token).period_end
    play.cancel(token)
    facts = fetch(token)
    assert (facts.standing, facts.ends_at_period_end) == (Standing.ACTIVE, True)
    late, _ = google_play.fetch_subscription(purchase_token=token, now=end)
    assert (late.standing, late.ended_at) == (Standing.ENDED, end)
    play.resume(token)
    assert not fetch(token).ends_at_period_end
    play.cancel(token)
    play.clock.advance(days=40)
    assert (fetch(token).standing, fetch(token).ended_at) == (Standing.ENDED, end)


def test_failed_renewal_is_past_due_then_on_hold_then_recovers(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=token)
    play.clock.advance(days=2)
    play.fail_renewal(token)
    due = play.clock.now()
    facts = fetch(token)
    assert (facts.standing, facts.past_due_since) == (Standing.PAST_DUE, due)
    play.clock.advance(days=3)
    facts = fetch(token)
    assert (facts.standing, facts.past_due_since) == (Standing.ON_HOLD, due)
    play.recover(token)
    facts = fetch(token)
    assert (facts.standing, facts.past_due_since) == (Standing.ACTIVE, None)
    assert payments(token)[0].external_id.endswith("..0")


def test_hold_without_recovery_ends(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=token)
    play.fail_renewal(token)
    play.clock.advance(days=33)
    assert fetch(token).standing == Standing.ENDED


def test_paused_is_on_hold_without_being_past_due(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=token)
    play.pause(token)
    assert (fetch(token).standing, fetch(token).past_due_since) == (Standing.ON_HOLD, None)
    play.resume(token)
    assert fetch(token).standing == Standing.ACTIVE


def test_expired_has_ended(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    play.expire(token)
    assert (fetch(token).standing, fetch(token).ended_at) == (Standing.ENDED, play.clock.now())


def test_renewals_have_orders_of_their_own(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=token)
    first = payments(token)[0].external_id
    play.clock.advance(days=63)
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    assert [each.external_id for each in paid] == [f"{first}..1"]
    assert (paid[0].period_start, paid[0].period_end) == (facts.period_start, facts.period_end)


def test_upgrade_names_what_it_replaces(play: FakeGooglePlay) -> None:
    old = play.buy_subscription("premium_monthly", account=USER)
    new = play.buy_subscription("vip_monthly", (2999, "USD"), account=USER, replaces=old)
    assert (fetch(new).replaces, fetch(new).plan) == (old, "vip_monthly")
    assert (fetch(old).standing, fetch(old).replaces) == (Standing.ENDED, "")


def test_deferred_replacement_is_the_next_plan(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("vip_monthly")
    document = play.subscriptions[token].document()
    document["lineItems"][0]["deferredItemReplacement"] = {"productId": "premium_monthly"}
    document["lineItems"].insert(0, {"productId": "premium_monthly"})
    play.next_answer = (200, json.dumps(document).encode())
    facts = fetch(token)
    assert (facts.plan, facts.next_plan) == ("vip_monthly", "premium_monthly")


def test_test_purchase_is_not_live(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly", is_test=True)
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    assert (facts.is_live, [each.is_live for each in paid]) == (False, [False])


@pytest.mark.parametrize("account", [None, "someone", "0f1e2d3c"])
def test_account_that_is_no_uuid_is_nobody(play: FakeGooglePlay, account: str | None) -> None:
    assert fetch(play.buy_subscription("premium_monthly", account=account)).user_id is None


def test_unacknowledged_subscription_is_refunded_after_three_days(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    assert not fetch(token).is_acknowledged
    play.clock.advance(days=3)
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    assert facts.standing == Standing.ENDED
    assert [(refund.amount, refund.refunded_at) for refund in paid[0].refunds] == [(999, play.clock.now())]


def test_order_that_is_not_there_yet_can_be_asked_again(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    play.orders.clear()
    with pytest.raises(StoreError) as caught:
        fetch(token)
    assert (type(caught.value), caught.value.is_passing) == (StoreError, True)


@pytest.mark.parametrize(
    "change",
    [
        {"subscriptionState": "SUBSCRIPTION_STATE_NEW"},
        {"subscriptionState": 5},
        {"lineItems": []},
        {"lineItems": [{}]},
        {"lineItems": "x"},
        {"startTime": "yesterday"},
        {"startTime": "2026-01-01T00:00:00"},
        {"externalAccountIdentifiers": []},
    ],
)
def test_answer_that_makes_no_sense_is_refused(play: FakeGooglePlay, change: dict[str, Any]) -> None:
    token = play.buy_subscription("premium_monthly")
    play.next_answer = (200, json.dumps({**play.subscriptions[token].document(), **change}).encode())
    with pytest.raises(StoreError) as caught:
        fetch(token)
    assert not caught.value.is_passing


# Products


def test_product_is_paid(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_100", (1798, "USD"), quantity=2, account=USER, tax=100)
    facts = google_play.fetch_product(product_id="credits_100", purchase_token=token)
    order = play.products[token].order
    assert order is not None
    assert facts == google_play.PlayProduct(
        external_id=order.order_id,
        standing=PaymentStanding.PAID,
        user_id=USER,
        pack="credits_100",
        amount=1798,
        tax=100,
        currency="USD",
        earned=1798,
        quantity=2,
        paid_at=play.clock.now(),
        product_id="credits_100",
        purchase_token=token,
    )


def test_pending_product_grants_nothing_until_it_is_settled(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_100", (899, "USD"), pending=True)
    facts = google_play.fetch_product(product_id="credits_100", purchase_token=token)
    assert (facts.standing, facts.amount, facts.paid_at) == (PaymentStanding.PENDING, 0, None)
    play.settle_pending(token)
    facts = google_play.fetch_product(product_id="credits_100", purchase_token=token)
    assert (facts.standing, facts.amount) == (PaymentStanding.PAID, 899)


def test_cancelled_product_has_failed(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_100", (899, "USD"), pending=True)
    play.settle_pending(token, ok=False)
    facts = google_play.fetch_product(product_id="credits_100", purchase_token=token)
    assert (facts.standing, facts.refunds) == (PaymentStanding.FAILED, ())


def test_cancelled_product_whose_money_came_was_voided(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"))
    play.products[token].state = 1
    facts = google_play.fetch_product(product_id="credits_10", purchase_token=token)
    assert facts.standing == PaymentStanding.PAID
    assert [refund.amount for refund in facts.refunds] == [99]


def test_voided_order_of_a_subscription_all_came_back(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    order_id = play.subscriptions[token].orders[0].order_id
    for is_voided, refunds in ((False, []), (True, [999])):
        payment = google_play.fetch_plan_payment(
            order_id=order_id, subscription=fetch(token), is_voided=is_voided
        )
        assert [refund.amount for refund in payment.refunds] == refunds
    goods = google_play.fetch_goods(order_id=order_id)
    assert goods == google_play.Goods("premium_monthly", token, is_subscription=True)


def test_earlier_orders_by_their_numbers() -> None:
    assert google_play.earlier_orders("GPA.1-2") == []
    assert google_play.earlier_orders("GPA.1-2..0") == ["GPA.1-2"]
    assert google_play.earlier_orders("GPA.1-2..2") == ["GPA.1-2..1", "GPA.1-2..0", "GPA.1-2"]


def test_taxes_on_top_of_the_price_earn_nothing(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    order = play.subscriptions[token].orders[0]
    document = order.document()
    document["total"], document["tax"] = money(1080, "USD"), money(81, "USD")
    play.next_answer = (200, json.dumps(document).encode())
    payment = google_play.fetch_plan_payment(order_id=order.order_id, subscription=PLAN)
    assert (payment.amount, payment.tax, payment.earned) == (1080, 81, 999)


def test_refunded_product_was_paid_and_all_came_back(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_100", (899, "USD"))
    play.refund_partly(token, 300)
    facts = google_play.fetch_product(product_id="credits_100", purchase_token=token)
    assert [refund.amount for refund in facts.refunds] == [300]
    play.refund(token)
    facts = google_play.fetch_product(product_id="credits_100", purchase_token=token)
    assert facts.standing == PaymentStanding.PAID
    assert [refund.amount for refund in facts.refunds] == [300, 599]
    assert len({refund.external_id for refund in facts.refunds}) == 2


def test_token_of_another_product_is_unknown(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"))
    with pytest.raises(UnknownObject):
        google_play.fetch_product(product_id="credits_1000", purchase_token=token)
    play.next_answer = (200, json.dumps({"productId": "credits_10", "purchaseState": 0}).encode())
    with pytest.raises(UnknownObject):
        google_play.fetch_product(product_id="credits_1000", purchase_token=token)


def test_promotional_product_has_no_order(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"))
    play.next_answer = (200, json.dumps({"purchaseState": 0, "purchaseType": 1}).encode())
    facts = google_play.fetch_product(product_id="credits_10", purchase_token=token)
    external_id = f"token:{hashlib.sha256(token.encode()).hexdigest()}"
    assert (facts.external_id, facts.amount, facts.is_live) == (external_id, 0, True)


def test_test_product_is_not_live(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"), is_test=True)
    assert not google_play.fetch_product(product_id="credits_10", purchase_token=token).is_live


def test_product_without_a_state_is_refused(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"))
    play.next_answer = (200, b"{}")
    with pytest.raises(StoreError):
        google_play.fetch_product(product_id="credits_10", purchase_token=token)


# What may be asked of Google


def test_consuming_acknowledges_and_may_be_repeated(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"))
    for _ in range(2):
        google_play.consume_product(product_id="credits_10", purchase_token=token)
    facts = google_play.fetch_product(product_id="credits_10", purchase_token=token)
    assert (facts.is_acknowledged, facts.is_consumed) == (True, True)
    play.clock.advance(timedelta(days=4))
    assert google_play.fetch_product(product_id="credits_10", purchase_token=token).refunds == ()


def test_acknowledging_may_be_repeated(play: FakeGooglePlay) -> None:
    product = play.buy_product("credits_10", (99, "USD"))
    plan = play.buy_subscription("premium_monthly")
    for _ in range(2):
        google_play.acknowledge_product(product_id="credits_10", purchase_token=product)
        google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=plan)
    facts = google_play.fetch_product(product_id="credits_10", purchase_token=product)
    assert (facts.is_acknowledged, facts.is_consumed) == (True, False)
    assert fetch(plan).is_acknowledged


def test_pending_purchases_cannot_be_acknowledged(play: FakeGooglePlay) -> None:
    product = play.buy_product("credits_10", (99, "USD"), pending=True)
    plan = play.buy_subscription("premium_monthly", pending=True)
    with pytest.raises(StoreError):
        google_play.consume_product(product_id="credits_10", purchase_token=product)
    with pytest.raises(StoreError):
        google_play.acknowledge_subscription(product_id="premium_monthly", purchase_token=plan)


def test_cancelling_may_be_repeated(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    for _ in range(2):
        google_play.cancel_subscription(product_id="premium_monthly", purchase_token=token)
    assert fetch(token).ends_at_period_end


def test_refund_ends_the_subscription_once(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    order_id = payments(token)[0].external_id
    for _ in range(2):
        google_play.refund_order(order_id=order_id)
    facts, paid = google_play.fetch_subscription(purchase_token=token)
    assert facts.standing == Standing.ENDED
    assert [refund.amount for refund in paid[0].refunds] == [999]
    assert len(play.voided) == 1


def test_unknown_order_cannot_be_refunded(play: FakeGooglePlay) -> None:
    with pytest.raises(UnknownObject):
        google_play.refund_order(order_id="GPA.0000-0000-0000-00000")


def test_change_whose_answer_was_lost_is_done_once(play: FakeGooglePlay, monkeypatch: Any) -> None:
    monkeypatch.setattr(google_play_api, "_TIMEOUT_SECONDS", (1, 0.2))
    token = play.buy_subscription("premium_monthly")
    order_id = payments(token)[0].external_id
    play.fail_next("POST", "/orders", "timeout_after")
    with pytest.raises(StoreError) as caught:
        google_play.refund_order(order_id=order_id)
    assert caught.value.is_passing
    google_play.refund_order(order_id=order_id)
    assert len(play.voided) == 1


# Voided purchases


def test_voided_purchases_are_listed_page_by_page(play: FakeGooglePlay) -> None:
    tokens = [play.buy_product("credits_10", (99, "USD")) for _ in range(4)]
    tokens.append(play.buy_subscription("premium_monthly"))
    for token in tokens[:-1]:
        play.refund(token)
    play.charge_back(tokens[-1])
    play.page_size = 2
    voided = list(google_play.list_voided(start=play.clock.now() - timedelta(hours=1)))
    assert [each.purchase_token for each in voided] == tokens
    assert {each.voided_at for each in voided} == {play.clock.now()}
    assert [(each.source, each.reason) for each in voided] == [(1, 0)] * 4 + [(0, 7)]
    assert all(each.order_id in play.orders and each.quantity is None for each in voided)
    asked = [each.query for each in play.requests if each.path.endswith("voidedpurchases")]
    assert [query.get("token") for query in asked] == [None, "2", "4"]
    assert {query["type"] for query in asked} == {"1"}


def test_voided_purchases_before_the_start_are_left_out(play: FakeGooglePlay) -> None:
    play.refund(play.buy_product("credits_10", (99, "USD")))
    assert list(google_play.list_voided(start=play.clock.now() + timedelta(seconds=1))) == []
    assert len(list(google_play.list_voided(start=datetime(2020, 1, 1, tzinfo=UTC)))) == 1
    oldest = int(play.requests[-1].query["startTime"]) / 1000
    assert time.time() - oldest < 30 * 86_400


def test_page_that_leads_to_itself_is_refused(play: FakeGooglePlay) -> None:
    listed = google_play.list_voided(start=play.clock.now())
    page = {
        "voidedPurchases": [{"purchaseToken": "t", "voidedTimeMillis": "1", "voidedQuantity": 2}],
        "tokenPagination": {"nextPageToken": "again"},
    }
    play.next_answer = (200, json.dumps(page).encode())
    assert next(listed).quantity == 2
    play.next_answer = (200, json.dumps(page).encode())
    next(listed)
    with pytest.raises(StoreError):
        next(listed)


# Money


@pytest.mark.parametrize(
    ("money", "expected"),
    [
        ({"currencyCode": "USD", "units": "9", "nanos": 990_000_000}, (999, "USD")),
        ({"currencyCode": "USD", "nanos": 10_000_000}, (1, "USD")),
        ({"currencyCode": "USD"}, (0, "USD")),
        ({}, (0, "")),
        ({"currencyCode": "JPY", "units": "1200"}, (1200, "JPY")),
        ({"currencyCode": "KWD", "units": "3", "nanos": 125_000_000}, (3125, "KWD")),
        (
            {"currencyCode": "USD", "units": "90071992547409931", "nanos": 70_000_000},
            (9007199254740993107, "USD"),
        ),
    ],
)
def test_money_is_exact(money: dict[str, Any], expected: tuple[int, str]) -> None:
    assert google_play_api.money(money) == expected


@pytest.mark.parametrize(
    "money",
    [
        {"currencyCode": "USD", "nanos": 1},
        {"currencyCode": "JPY", "nanos": 500_000_000},
        {"currencyCode": "USD", "units": "-1"},
        {"currencyCode": "USD", "units": 1.5},
        {"currencyCode": "USD", "units": "1e3"},
        {"currencyCode": "USD", "units": "１２"},
        {"currencyCode": "USD", "units": True},
        {"units": "1"},
    ],
)
def test_money_that_is_not_whole_is_refused(money: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as caught:
        google_play_api.money(money)
    assert not caught.value.is_passing


@pytest.mark.parametrize("price", [(1500, "JPY"), (3125, "KWD"), (1, "USD")])
def test_money_survives_the_wire(play: FakeGooglePlay, price: tuple[int, str]) -> None:
    facts, paid = google_play.fetch_subscription(purchase_token=play.buy_subscription("p", price))
    assert (facts.price, facts.currency) == price
    assert (paid[0].amount, paid[0].currency) == price


def test_nanoseconds_are_read() -> None:
    moment = google_play_api.time_of({"at": "2014-10-02T15:01:23.045123456Z"}, "at")
    assert moment == datetime(2014, 10, 2, 15, 1, 23, 45123, tzinfo=UTC)


# Signing in at Google, and errors


def test_one_sign_in_serves_many_calls(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"))
    for _ in range(3):
        google_play.fetch_product(product_id="credits_10", purchase_token=token)
    assert [path for _, path in paths(play)].count("/token") == 1


def test_access_token_that_ran_out_is_renewed_once(play: FakeGooglePlay) -> None:
    token = play.buy_product("credits_10", (99, "USD"))
    google_play.fetch_product(product_id="credits_10", purchase_token=token)
    play.access_tokens.clear()
    google_play.fetch_product(product_id="credits_10", purchase_token=token)
    assert [path for _, path in paths(play)].count("/token") == 2


def test_key_of_a_stranger_is_refused(play: FakeGooglePlay, settings: Any) -> None:
    stranger = json.loads(play.credentials)
    key = generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    stranger["private_key"] = key.private_bytes(*form).decode()
    settings.GOOGLE_PLAY_CREDENTIALS = json.dumps(stranger)
    with pytest.raises(StoreError) as caught:
        fetch(play.buy_subscription("premium_monthly"))
    assert not caught.value.is_passing


def test_key_file_is_read(play: FakeGooglePlay, settings: Any, tmp_path: Any) -> None:
    file = tmp_path / "key.json"
    file.write_text(play.credentials)
    settings.GOOGLE_PLAY_CREDENTIALS = str(file)
    assert fetch(play.buy_subscription("premium_monthly")).standing == Standing.ACTIVE


@pytest.mark.parametrize("text", ["/nowhere/key.json", "{}", "{", '{"type": "service_account"}'])
def test_broken_key_is_refused(play: FakeGooglePlay, settings: Any, text: str) -> None:
    settings.GOOGLE_PLAY_CREDENTIALS = text
    with pytest.raises(StoreError) as caught:
        fetch(play.buy_subscription("premium_monthly"))
    assert not caught.value.is_passing


def test_sign_in_that_fails_may_be_repeated(play: FakeGooglePlay) -> None:
    token = play.buy_subscription("premium_monthly")
    play.fail_next("POST", "/token", "reset")
    with pytest.raises(StoreError) as caught:
        fetch(token)
    assert caught.value.is_passing
    assert fetch(token).standing == Standing.ACTIVE


@pytest.mark.parametrize("kind", ["500", "reset"])
def test_failure_of_google_passes(play: FakeGooglePlay, kind: Any) -> None:
    token = play.buy_subscription("premium_monthly")
    play.fail_next("GET", "/purchases/subscriptionsv2", kind)
    with pytest.raises(StoreError) as caught:
        fetch(token)
    assert caught.value.is_passing
    assert fetch(token).standing == Standing.ACTIVE


def test_silence_of_google_passes(play: FakeGooglePlay, monkeypatch: Any) -> None:
    monkeypatch.setattr(google_play_api, "_TIMEOUT_SECONDS", (1, 0.2))
    token = play.buy_subscription("premium_monthly")
    play.fail_next("GET", "/purchases", "timeout_after")
    with pytest.raises(StoreError) as caught:
        fetch(token)
    assert caught.value.is_passing


_QUOTA = json.dumps({"error": {"errors": [{"reason": "quotaExceeded"}]}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "is_passing"),
    [
        (400, b"{}", UnknownObject, False),
        (404, b"", UnknownObject, False),
        (410, b"{}", UnknownObject, False),
        (403, b"{}", StoreError, False),
        (403, b"<html>", StoreError, False),
        (403, _QUOTA, StoreError, True),
        (429, b"{}", StoreError, True),
        (503, b"<html>", StoreError, True),
        (302, b"", StoreError, False),
        (200, b"<html>", StoreError, True),
        (200, b"[" * 100_000, StoreError, True),
        (200, b"[]", StoreError, False),
        (200, b" " * 2_000_001, StoreError, False),
    ],
)
def test_answers_that_are_refused(
    play: FakeGooglePlay, status: int, body: bytes, kind: type[StoreError], is_passing: bool
) -> None:
    token = play.buy_subscription("premium_monthly")
    play.next_answer = (status, body)
    with pytest.raises(StoreError) as caught:
        fetch(token)
    assert (type(caught.value), caught.value.is_passing) == (kind, is_passing)


@pytest.mark.parametrize("token", ["", "..", "a/b", "../orders/x", "a?b", "a%2fb", "é", "a b", "x" * 2_000])
def test_token_that_leads_elsewhere_never_leaves(play: FakeGooglePlay, token: str) -> None:
    with pytest.raises(UnknownObject):
        fetch(token)
    with pytest.raises(UnknownObject):
        google_play.fetch_product(product_id=token, purchase_token="good")
    assert play.requests == []


def test_unknown_and_malformed_tokens(play: FakeGooglePlay) -> None:
    for token in ("short", "x" * 100):
        with pytest.raises(UnknownObject):
            fetch(token)


def test_token_of_another_package_is_unknown(play: FakeGooglePlay, settings: Any) -> None:
    settings.GOOGLE_PLAY_PACKAGE = "app.other"
    with pytest.raises(UnknownObject):
        fetch(play.buy_subscription("premium_monthly"))


# Pushes


def receive(play: FakeGooglePlay, token: str, body: bytes | None = None) -> google_play_push.Notification:
    content = play.envelope(play.add_test_notification()) if body is None else body
    return google_play_push.verify_push(authorization_header=f"Bearer {token}", body=content)


def test_pushes_are_understood(play: FakeGooglePlay) -> None:
    plan = play.buy_subscription("premium_monthly")
    product = play.buy_product("credits_10", (99, "USD"))
    play.refund(product)
    play.add_test_notification()
    said = [receive(play, play.push_token(AUDIENCE), play.envelope(each)) for each in play.notifications]
    order = play.products[product].order
    assert order is not None
    assert [
        (each.kind, each.purchase_token, each.product_id, each.order_id, each.notification_type)
        for each in said
    ] == [
        ("subscription", plan, "premium_monthly", "", 4),
        ("product", product, "credits_10", "", 1),
        ("voided", product, "", order.order_id, 2),
        ("test", "", "", "", 0),
    ]
    assert len({each.message_id for each in said}) == 4
    assert said[0].event_time == play.clock.now()


def test_kind_made_up_later_is_other(play: FakeGooglePlay) -> None:
    content = {**play.add_test_notification(), "newNotification": {}}
    del content["testNotification"]
    assert receive(play, play.push_token(AUDIENCE), play.envelope(content)).kind == "other"


def test_same_push_has_the_same_message_id(play: FakeGooglePlay) -> None:
    body = play.envelope(play.add_test_notification())
    said = [receive(play, play.push_token(AUDIENCE), body) for _ in range(2)]
    assert said[0] == said[1]


def test_without_an_account_every_push_is_refused(play: FakeGooglePlay, settings: Any) -> None:
    settings.GOOGLE_PLAY_PUSH_EMAIL = ""
    for email in ("other@example.com", "", PUSHER):
        with pytest.raises(google_play_push.InvalidPush):
            receive(play, play.push_token(AUDIENCE, email=email))


def test_issuer_without_scheme_is_google_too(play: FakeGooglePlay) -> None:
    assert receive(play, play.push_token(AUDIENCE, iss="accounts.google.com")).kind == "test"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"},
        {"aud": [AUDIENCE, "https://other.example"]},
        {"aud": None},
        {"iss": "https://accounts.evil.example"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"iat": 32503680000},
        {"azp": "another-party"},
        {"email": "other@example.com"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"sub": None},
        {"sub": 5},
    ],
)
def test_wrong_claim_is_refused(play: FakeGooglePlay, claims: dict[str, Any]) -> None:
    assert receive(play, play.push_token(AUDIENCE)).kind == "test"
    with pytest.raises(google_play_push.InvalidPush):
        receive(play, play.push_token(**{"audience": AUDIENCE, **claims}))


def test_other_key_is_refused(play: FakeGooglePlay) -> None:
    with pytest.raises(google_play_push.InvalidPush):
        receive(play, play.push_token(AUDIENCE, key=private_key("other")))


def _encode(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_other_algorithms_are_refused(play: FakeGooglePlay, algorithm: str) -> None:
    claims = play.push_token(AUDIENCE).split(".")[1]
    signed = f"{_encode({'alg': algorithm, 'typ': 'JWT', 'kid': KEY_ID})}.{claims}"
    public = private_key().public_key()
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hmac.new(public.public_bytes(*form), signed.encode(), hashlib.sha256).digest()
    signature = "" if algorithm == "none" else base64.urlsafe_b64encode(digest).decode().rstrip("=")
    with pytest.raises(google_play_push.InvalidPush):
        receive(play, f"{signed}.{signature}")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a.b.c", "Bearer " + "x" * 9_000]
)
def test_push_without_a_token_is_refused(play: FakeGooglePlay, header: str) -> None:
    body = play.envelope(play.add_test_notification())
    with pytest.raises(google_play_push.InvalidPush):
        google_play_push.verify_push(authorization_header=header, body=body)


def test_without_an_audience_every_push_is_refused(play: FakeGooglePlay, settings: Any) -> None:
    settings.GOOGLE_PLAY_PUSH_AUDIENCE = ""
    for token in (play.push_token(""), play.push_token(AUDIENCE)):
        with pytest.raises(google_play_push.InvalidPush):
            receive(play, token)


def test_stranger_learns_nothing_about_the_body(play: FakeGooglePlay) -> None:
    with pytest.raises(google_play_push.InvalidPush):
        receive(play, play.push_token("https://other.example"), b"{")


def _body(data: Any, **message: Any) -> bytes:
    text = data if isinstance(data, str) else base64.b64encode(json.dumps(data).encode()).decode()
    return json.dumps({"message": {"data": text, "messageId": "1", **message}}).encode()


_GOOD = {"packageName": "app.parlor", "eventTimeMillis": "1", "testNotification": {}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 60_000,
        b" " * 70_000,
        b"{}",
        b'{"message": 1}',
        _body("not base64!"),
        _body("é"),
        _body(base64.b64encode(b"{").decode()),
        _body(base64.b64encode(b"\xff\xfe").decode()),
        _body([]),
        _body({**_GOOD, "packageName": "app.other"}),
        _body({**_GOOD, "packageName": None}),
        _body({**_GOOD, "eventTimeMillis": "soon"}),
        _body({**_GOOD, "eventTimeMillis": "9" * 19}),
        _body({**_GOOD, "eventTimeMillis": 10**30}),
        _body({**_GOOD, "eventTimeMillis": None}),
        _body({**_GOOD, "subscriptionNotification": {"notificationType": 4}}),
        _body({**_GOOD, "subscriptionNotification": {"purchaseToken": "../x"}}),
        _body({**_GOOD, "subscriptionNotification": {"purchaseToken": "x" * 2_000}}),
        _body({**_GOOD, "subscriptionNotification": {"purchaseToken": 5}}),
        _body({**_GOOD, "oneTimeProductNotification": []}),
        _body({**_GOOD, "voidedPurchaseNotification": {"purchaseToken": "x", "orderId": "\x00"}}),
        _body(_GOOD, messageId=""),
        _body(_GOOD, messageId=5),
        _body(_GOOD, messageId="9" * 300),
    ],
)
def test_malformed_body_is_refused(play: FakeGooglePlay, body: bytes) -> None:
    token = play.push_token(AUDIENCE)
    assert receive(play, token, _body(_GOOD)).kind == "test"
    with pytest.raises(google_play_push.MalformedPush):
        receive(play, token, body)


def test_huge_push_is_refused_unread(play: FakeGooglePlay) -> None:
    body = b"[" * 20_000_000
    receive(play, play.push_token(AUDIENCE))
    tracemalloc.start()
    with pytest.raises(google_play_push.MalformedPush):
        receive(play, play.push_token(AUDIENCE), body)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_fake_pushes_over_http(play: FakeGooglePlay) -> None:
    url = f"{play.api_base}/androidpublisher/nowhere"
    assert play.push(url, play.add_test_notification(), copies=2) == [404, 404]
    assert play.push(url, play.add_test_notification(), signed=False) == [404]
