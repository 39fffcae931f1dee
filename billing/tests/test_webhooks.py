"""What stores tell: believed only when it is signed for us, kept before it is applied, and applied once."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from billing.models import Order, Payment, StoreEvent, Subscription
from billing.services import checkout, inbox
from billing.stores.stripe.webhooks import MAX_BYTES
from billing.tests.factories import assert_ledger_holds, buckets, in_parallel, make_wallet
from billing.tests.shop import WEBHOOK_SECRET, Shop, make_buyer, open_shop
from common.models import OutboxMessage

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/webhooks/stripe/"


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_worker() -> Iterator[None]:
    """Promises are kept when a test says so."""
    current_app.conf.task_always_eager = False
    yield
    current_app.conf.task_always_eager = True


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def mac(body: str, secret: str = WEBHOOK_SECRET, *, offset: int = 0) -> tuple[int, str]:
    at = int(time.time()) + offset
    return at, hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()


def signature(body: str, secret: str = WEBHOOK_SECRET, *, offset: int = 0) -> str:
    at, digest = mac(body, secret, offset=offset)
    return f"t={at},v1={digest}"


def deliver(body: str, header: str | None = None) -> Any:
    headers = {} if header is None else {"stripe-signature": header}
    return Client(raise_request_exception=False).post(
        PATH, body, content_type="application/json", headers=headers
    )


def deliver_signed(event: dict[str, Any]) -> Any:
    body = json.dumps(event)
    return deliver(body, signature(body))


def assert_refused(answer: Any) -> None:
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "invalid_webhook"
    assert not StoreEvent.objects.exists()
    assert not OutboxMessage.objects.exists()


def paid_pack(shop: Shop, pack: str = "credits_100") -> tuple[UUID, dict[str, Any]]:
    """Somebody who paid, and the news of it that has not come yet."""
    user = make_buyer()
    make_wallet(user=user)
    shop.buy(user, pack=pack, tell=False)
    OutboxMessage.objects.all().delete()
    return user.pk, next(event for event in shop.fake.events if event["type"] == "checkout.session.completed")


# --- M24: signatures ------------------------------------------------------------------------------

FORGERIES: dict[str, Callable[[str], str | None]] = {
    "absent": lambda body: None,
    "empty": lambda body: "",
    "nonsense": lambda body: "t=abc,v1=abc",
    "no time": lambda body: f"v1={mac(body)[1]}",
    "no signature": lambda body: f"t={mac(body)[0]}",
    "wrong": lambda body: f"t={mac(body)[0]},v1={'0' * 64}",
    "empty secret": lambda body: signature(body, ""),
    "another endpoint": lambda body: signature(body, "whsec_of_another_endpoint"),
    "the API's key": lambda body: signature(body, "sk_test_parlor_tests"),
    "five minutes and a second old": lambda body: signature(body, offset=-301),
    "five minutes and a bit ahead": lambda body: signature(body, offset=+302),
    "of another moment": lambda body: f"t={mac(body)[0] - 1},v1={mac(body)[1]}",
    "of another body": lambda body: signature(body + " "),
    "only the test scheme": lambda body: signature(body).replace("v1=", "v0="),
    "two wrong ones": lambda body: f"{signature(body, 'one')},v1={mac(body, 'two')[1]}",
    "two times": lambda body: f"t={mac(body)[0] + 9999},{signature(body)}",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_m24_what_is_not_signed_for_us_is_refused_and_not_kept(shop: Shop, name: str) -> None:
    _user_id, event = paid_pack(shop)
    body = json.dumps(event)
    assert_refused(deliver(body, FORGERIES[name](body)))
    assert deliver(body, signature(body)).status_code == 200


def test_m24_a_body_written_anew_is_another_body(shop: Shop) -> None:
    _user_id, event = paid_pack(shop)
    signed = signature(json.dumps(event))
    for body in (
        json.dumps(event, indent=2),
        json.dumps(event, sort_keys=True),
        json.dumps(event, separators=(",", ":")),
    ):
        assert_refused(deliver(body, signed))


def test_one_right_signature_of_two_is_enough_while_a_secret_is_changed(shop: Shop) -> None:
    """Stripe signs with the old and the new secret for a day."""
    user_id, event = paid_pack(shop)
    body = json.dumps(event)
    answer = deliver(body, f"{signature(body, 'whsec_old')},v1={mac(body)[1]}")
    assert (answer.status_code, answer.json()) == (200, {"received": True, "new": True})
    shop.apply()
    assert buckets(user_id)["purchased"] == (100, 0)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "not json",
        "null",
        "[]",
        '"text"',
        "1e999",
        "[" * 200_000,
        '{"a":' * 50_000,
        '{"object": "event"}',
        '{"object": "event", "data": {"object": []}, "livemode": false}',
    ],
    ids=str.__len__,
)
def test_m24_what_is_signed_but_no_event_is_refused(shop: Shop, body: str) -> None:
    assert_refused(deliver(body, signature(body)))


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 5 * MAX_BYTES])
def test_m24_a_huge_body_is_refused(shop: Shop, size: int) -> None:
    body = json.dumps({"object": "event", "padding": "x" * size})
    answer = deliver(body, signature(body))
    assert answer.status_code in (400, 413)
    assert not StoreEvent.objects.exists()


def test_m24_text_that_is_no_text(shop: Shop) -> None:
    answer = Client().post(
        PATH, b"\xff\xfe\x00", content_type="application/json", headers={"stripe-signature": "t=1,v1=1"}
    )
    assert_refused(answer)


def test_m24_without_a_secret_nothing_is_believed(shop: Shop, settings: Any) -> None:
    _user_id, event = paid_pack(shop)
    settings.STRIPE_WEBHOOK_SECRET = ""
    body = json.dumps(event)
    for secret in ("", WEBHOOK_SECRET):
        assert_refused(deliver(body, signature(body, secret)))


def test_only_posts_and_only_where_there_is_a_shop(db: None) -> None:
    assert Client().get(PATH).status_code == 405
    assert deliver("{}", signature("{}")).status_code == 404


def check_settings(**env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRIPE_", "BILLING_"))}
    return subprocess.run(
        [sys.executable, "-c", "import config.settings.base"],
        env={**kept, "PARLOR_ENV_FILE": os.devnull, **env},
        cwd=Path(django_settings.BASE_DIR),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"STRIPE_SECRET_KEY": "sk_test_x"}, "STRIPE_WEBHOOK_SECRET must be set"),
        (
            {"STRIPE_SECRET_KEY": "sk_live_x", "STRIPE_WEBHOOK_SECRET": ""},
            "STRIPE_WEBHOOK_SECRET must be set",
        ),
        (
            {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": "whsec_x", "BILLING_SANDBOX": "true"},
            "BILLING_SANDBOX and STRIPE_SECRET_KEY exclude each other",
        ),
        (
            {"STRIPE_SECRET_KEY": "sk_live_x", "STRIPE_WEBHOOK_SECRET": "whsec_x", "BILLING_SANDBOX": "1"},
            "BILLING_SANDBOX and STRIPE_SECRET_KEY exclude each other",
        ),
    ],
)
def test_m24_b13_it_does_not_start_half_set_up(env: dict[str, str], words: str) -> None:
    refused = check_settings(**env)
    assert refused.returncode != 0
    assert words in refused.stderr


def test_m24_it_starts_with_key_and_secret() -> None:
    started = check_settings(STRIPE_SECRET_KEY="sk_test_x", STRIPE_WEBHOOK_SECRET="whsec_x")
    assert started.returncode == 0, started.stderr


# --- M25, M26: whose, and of what -----------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"livemode": True},
        {"livemode": None},
        {"livemode": "false"},
        {"livemode": 0},
        {"account": "acct_of_somebody_else"},
        {"object": "charge"},
        {"created": 1e300},
        {"created": None},
        {"data": None},
    ],
)
def test_m25_an_event_of_another_mode_or_account_is_refused(shop: Shop, change: dict[str, Any]) -> None:
    _user_id, event = paid_pack(shop)
    assert_refused(deliver_signed({**event, **change}))


def test_m25_a_live_shop_refuses_what_was_only_tried(shop: Shop, settings: Any) -> None:
    _user_id, event = paid_pack(shop)
    settings.STRIPE_SECRET_KEY = "sk_live_x"
    assert_refused(deliver_signed(event))
    assert deliver_signed({**event, "livemode": True}).status_code == 200


def test_who_paid_is_not_kept(shop: Shop) -> None:
    _user_id, event = paid_pack(shop)
    event["data"]["object"]["customer_details"] = {"email": "ada@example.org", "name": "Ada"}
    event["data"]["object"]["receipt_email"] = "ada@example.org"
    deliver_signed(event)
    kept = json.dumps(StoreEvent.objects.get().payload)
    assert "ada@example.org" not in kept
    assert "client_secret" not in kept


def tampered(shop: Shop, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> UUID:
    user_id, event = paid_pack(shop)
    with shop.fake.changing() as world:
        session = world.get("checkout.session", event["data"]["object"]["id"])
        change(session, world.get("payment_intent", session["payment_intent"]))
    return user_id


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda session, intent: session.update(amount_subtotal=1), id="amount"),
        pytest.param(lambda session, intent: intent.update(currency="jpy"), id="currency"),
        pytest.param(
            lambda session, intent: intent["metadata"].update(parlor_pack="credits_1000"), id="pack"
        ),
        pytest.param(
            lambda session, intent: intent["metadata"].update(
                parlor_user="0199f5a6-0000-7000-8000-000000000000"
            ),
            id="user",
        ),
    ],
)
def test_m26_what_contradicts_the_order_is_put_aside_for_staff(shop: Shop, change: Any) -> None:
    user_id = tampered(shop, change)
    shop.tell()
    aside = StoreEvent.objects.filter(state="quarantined")
    assert set(aside.values_list("kind", flat=True)) >= {"checkout.session.completed"}
    assert not Payment.objects.exists()
    assert Order.objects.get().state == "open"
    assert buckets(user_id)["purchased"] == (0, 0)
    told = OutboxMessage.objects.filter(task="billing.tell_staff_of_event")
    assert sorted(message.kwargs["event_id"] for message in told) == sorted(str(event.pk) for event in aside)
    assert shop.apply() == []


def test_m26_a_payment_sheet_over_another_amount(shop: Shop) -> None:
    user = make_buyer()
    sheet, _customer = checkout.begin_payment(user_id=user.pk, pack="credits_10")
    with shop.fake.changing() as world:
        world.get("payment_intent", sheet.intent_id)["amount"] = 1
    shop.fake.confirm_payment_intent(sheet.intent_id)
    shop.tell()
    assert StoreEvent.objects.get(kind="payment_intent.succeeded").state == "quarantined"
    assert not Payment.objects.exists()


# --- M19 to M23: once, whatever happens -----------------------------------------------------------


def in_threads(operation: Callable[[], Any], times: int) -> list[Any]:
    def run(_number: int) -> Any:
        try:
            return operation()
        finally:
            connection.close()

    with ThreadPoolExecutor(25) as pool:
        return list(pool.map(run, range(times)))


def test_m19_a_hundred_deliveries_at_once_and_more_later(shop: Shop) -> None:
    user_id, event = paid_pack(shop)
    answers = in_threads(lambda: deliver_signed(event), 100)
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["new"] for answer in answers) == 1
    row = StoreEvent.objects.get()
    assert OutboxMessage.objects.filter(task="billing.apply_store_event").count() == 1
    assert set(in_threads(lambda: inbox.apply_event(row.pk), 20)) == {"applied"}
    # Four days later the same event is signed anew, and perhaps what was kept of it is gone.
    StoreEvent.objects.update(created_at=timezone.now() - timedelta(days=4))
    assert deliver_signed(event).json() == {"received": True, "new": False}
    StoreEvent.objects.all().delete()
    assert deliver_signed(event).json() == {"received": True, "new": True}
    assert shop.apply() == ["applied"]
    assert inbox.apply_event(StoreEvent.objects.get().pk, again=True) == "applied"
    assert Payment.objects.count() == 1
    assert buckets(user_id)["purchased"] == (100, 0)


def test_m20_one_invoice_under_two_event_ids(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    (event,) = [event for event in shop.fake.events if event["type"] == "invoice.paid"]
    for number in range(2):
        assert deliver_signed({**event, "id": f"evt_other_{number}"}).json()["new"] is True
    assert shop.apply() == ["applied", "applied"]
    assert Payment.objects.count() == Subscription.objects.count() == 1
    assert buckets(user.pk)["bonus"] == (200, 0)


def given(name: str, credits: int) -> dict[str, tuple[int, int]]:
    return {"bonus": (0, 0), "purchased": (0, 0), name: (credits, 0)}


@pytest.mark.parametrize("what", [{"pack": "credits_100"}, {"plan": "premium_monthly"}])
def test_m20_the_webhook_and_the_page_of_success_at_once(shop: Shop, what: dict[str, str]) -> None:
    user = make_buyer()
    session_id = shop.buy(user, tell=False, **what)
    for event in shop.fake.events:
        deliver_signed(event)
    rows = list(StoreEvent.objects.values_list("id", flat=True))
    results = in_parallel(
        *[lambda: checkout.confirm_checkout(user_id=user.pk, session_id=session_id)] * 4,
        *[lambda row=row: inbox.apply_event(row) for row in rows],
        *[lambda row=row: inbox.apply_event(row) for row in rows],
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    shop.apply()
    assert Payment.objects.count() == 1
    assert Order.objects.get().state == "paid"
    held = buckets(user.pk)
    assert (held["purchased"], held["bonus"]) == (
        ((100, 0), (0, 0)) if "pack" in what else ((0, 0), (200, 0))
    )


def test_m21_an_event_whose_hand_over_was_lost_is_applied_by_the_sweep(shop: Shop) -> None:
    user_id, event = paid_pack(shop)
    deliver_signed(event)
    OutboxMessage.objects.all().delete()
    assert inbox.apply_waiting() == 0, "it may still be on its way"
    assert inbox.apply_waiting(now=timezone.now() + timedelta(minutes=3)) == 1
    assert StoreEvent.objects.get().state == "applied"
    assert buckets(user_id)["purchased"] == (100, 0)
    assert inbox.apply_waiting(now=timezone.now() + timedelta(minutes=6)) == 0


@pytest.mark.parametrize("fault", ["500", "reset", "timeout_after"])
def test_m21_a_store_that_is_away_leaves_the_event_for_later(shop: Shop, fault: Any) -> None:
    user_id, event = paid_pack(shop)
    deliver_signed(event)
    shop.fake.fail_next("GET", "/v1/", fault, times=3)
    assert shop.apply() == ["failed"]
    assert buckets(user_id)["purchased"] == (0, 0)
    assert inbox.apply_waiting(now=timezone.now() + timedelta(minutes=3)) == 1
    row = StoreEvent.objects.get()
    assert (row.state, row.attempts, row.detail) == ("applied", 2, "")
    assert buckets(user_id)["purchased"] == (100, 0)


@pytest.mark.parametrize(("outcome", "bought", "state"), [("succeeded", 100, "paid"), ("failed", 0, "open")])
def test_m23_a_bank_transfer_counts_when_it_arrives(
    shop: Shop, outcome: Any, bought: int, state: str
) -> None:
    user = make_buyer()
    make_wallet(user=user)
    session_id = shop.buy(user, pack="credits_100", card="sepa")
    completed = StoreEvent.objects.get(kind="checkout.session.completed")
    assert completed.payload["data"]["object"]["payment_status"] == "unpaid"
    assert buckets(user.pk)["purchased"] == (0, 0)
    assert checkout.confirm_checkout(user_id=user.pk, session_id=session_id).state == "open"
    assert not Payment.objects.exists()
    shop.fake.settle_async(session_id, outcome)
    assert f"checkout.session.async_payment_{outcome}" in shop.tell()
    assert buckets(user.pk)["purchased"] == (bought, 0)
    assert Order.objects.get().state == state
    assert Payment.objects.count() == (1 if bought else 0)


def test_m23_a_plan_by_bank_transfer_begins_when_it_arrives(shop: Shop) -> None:
    user = make_buyer()
    session_id = shop.buy(user, plan="premium_monthly", card="sepa")
    assert buckets(user.pk)["bonus"] == (0, 0)
    assert not Payment.objects.exists()
    shop.fake.settle_async(session_id, "succeeded")
    shop.tell()
    assert Subscription.objects.get().state == "active"
    assert buckets(user.pk)["bonus"] == (200, 0)
