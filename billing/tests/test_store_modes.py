"""Test shops beside live ones: what costs nothing never mixes with what costs money."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.tests.factories import make_user
from billing import receipts, selectors, statistics
from billing.models import (
    STRIPE_LIKE,
    TEST_STORES,
    Bucket,
    Payment,
    Refund,
    Store,
    StoreCustomer,
    StoreEvent,
    StorePrice,
    Subscription,
    Wallet,
)
from billing.services import (
    adjustments,
    app_store,
    closing,
    google_play,
    inbox,
    management,
    payments,
    renewals,
)
from billing.services.leaving import forget_customer
from billing.stores import fake_app_store, modes
from billing.stores.base import PaymentFacts, PaymentStanding
from billing.stores.fake_app_store import FakeAppStore, chain
from billing.stores.fake_google_play import FakeGooglePlay
from billing.stores.fake_google_play.server import PUSHER
from billing.stores.stripe.connection import ShopClosed, connect
from billing.tests.factories import assert_ledger_holds, buckets, make_payment
from billing.tests.shop import Shop, make_buyer, open_shop
from common.credits import MICRO

pytestmark = pytest.mark.django_db(transaction=True)
LIVE_KEY = "sk_live_parlor_tests"
AUDIENCE = "https://parlor.example/webhooks/google-play/"


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def go_live(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = LIVE_KEY
    settings.STRIPE_WEBHOOK_SECRET = "whsec_live"
    settings.BILLING_SANDBOX = False


# --- Stripe's test mode is a store of its own -----------------------------------------------------


@pytest.mark.parametrize(
    ("key", "store"),
    [
        ("sk_test_1", Store.STRIPE_TEST),
        ("rk_test_1", Store.STRIPE_TEST),
        ("sk_live_1", Store.STRIPE),
        ("rk_live_1", Store.STRIPE),
    ],
)
def test_the_key_tells_the_store(settings: Any, key: str, store: Store) -> None:
    settings.STRIPE_SECRET_KEY = key
    assert (connect().store, modes.store_in_use()) == (store, store)
    assert connect().is_live is (store == Store.STRIPE)


def test_everything_that_speaks_like_stripe_is_asked() -> None:
    assert TEST_STORES < STRIPE_LIKE
    assert set(inbox._askers) >= STRIPE_LIKE
    assert set(renewals._askers) >= STRIPE_LIKE


def test_after_the_switch_nothing_of_the_test_mode_is_used_again(shop: Shop, settings: Any) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    assert set(StoreCustomer.objects.values_list("store", flat=True)) == {"stripe_test"}
    assert set(StorePrice.objects.values_list("store", flat=True)) == {"stripe_test"}
    assert Payment.objects.get().store == "stripe_test"
    assert selectors.is_customer(user.pk)
    go_live(settings)
    assert not selectors.is_customer(user.pk)
    live = connect()
    assert not StoreCustomer.objects.filter(store=live.store).exists()
    assert not StorePrice.objects.filter(store=live.store).exists()
    assert management.list_invoices(user_id=user.pk) == []


def test_what_test_mode_told_is_not_asked_of_the_live_one(shop: Shop, settings: Any) -> None:
    shop.buy(make_buyer(), pack="credits_100")
    StoreEvent.objects.update(state="pending", applied_at=None)
    go_live(settings)
    assert set(shop.apply()) == {"ignored"}


def test_a_plan_of_the_test_mode_can_be_changed_there(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    assert management.change(user_id=user.pk, plan="vip_monthly").plan_id == "vip_monthly"


def test_an_erased_customer_of_a_closed_test_mode_waits_for_nobody(settings: Any) -> None:
    go_live(settings)
    forget_customer(store=Store.STRIPE_TEST, external_id="cus_1")
    settings.STRIPE_SECRET_KEY = "sk_test_1"
    with pytest.raises(ShopClosed):
        forget_customer(store=Store.STRIPE, external_id="cus_1")


@pytest.mark.parametrize("store", sorted(TEST_STORES))
def test_test_purchases_are_no_revenue_and_say_so(settings: Any, store: Store) -> None:
    payment = book(store, "credits_100", 899)
    later = timezone.now() + timedelta(minutes=1)
    settings.BILLING_SANDBOX = store == Store.SANDBOX
    settings.STRIPE_SECRET_KEY = "" if store == Store.SANDBOX else "sk_test_1"
    assert statistics.revenue(later).month == {"USD": 899}
    go_live(settings)
    assert statistics.revenue(later).month == {}
    assert receipts.Receipt(payment, []).is_test
    assert "no money moved" in receipts.way_of_payment(payment)


def book(store: Store, pack: str, amount: int, **fields: Any) -> Payment:
    facts = PaymentFacts(
        **{
            "external_id": f"pi_{store}_{Payment.objects.count()}",
            "standing": PaymentStanding.PAID,
            "user_id": make_buyer().pk,
            "pack": pack,
            "amount": amount,
            "earned": amount,
            "currency": "USD",
            "paid_at": timezone.now(),
            **fields,
        }
    )
    payment = payments.apply_facts(store=store, facts=facts, asked_at=timezone.now())
    assert payment is not None
    return payment


# --- Closing the test shop ------------------------------------------------------------------------


def close(**options: Any) -> str:
    out = StringIO()
    call_command("close_test_shop", stdout=out, **options)
    return out.getvalue()


def test_closing_ends_plans_and_takes_what_is_left(shop: Shop, settings: Any) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    shop.buy(user, pack="credits_100")
    assert (buckets(user.pk)["bonus"], buckets(user.pk)["purchased"]) == ((200, 0), (100, 0))
    go_live(settings)
    written = len(mail.outbox)
    assert "1 subscriptions would be ended" in close(dry_run=True)
    assert Subscription.objects.get().state == "active"
    assert close() == "1 subscriptions were ended.\n2 payments were taken back.\n"
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.tier_id, wallet.bonus_balance, wallet.purchased_balance, wallet.debt) == ("free", 0, 0, 0)
    row = Subscription.objects.get()
    assert (row.state, row.events.last().reason) == ("expired", "test shop closed")  # type: ignore[union-attr]
    assert not closing.test_business()
    assert close() == "0 subscriptions were ended.\n0 payments were taken back.\n"
    assert (Refund.objects.count(), len(mail.outbox)) == (2, written)


def test_closing_leaves_no_debt_and_takes_nothing_that_was_paid_for(settings: Any) -> None:
    test = book(Store.SANDBOX, "credits_100", 899)
    user_id = test.user_id
    spend(user_id, 60)
    make_payment(user_id)
    go_live(settings)
    before = buckets(user_id)["purchased"][0]
    closing.close_test_shops()
    wallet = Wallet.objects.get(pk=user_id)
    real = Payment.objects.get(store="stripe")
    assert (wallet.purchased_balance, wallet.debt) == (real.credits, 0)
    assert before - wallet.purchased_balance // MICRO == 40
    test.refresh_from_db()
    assert (test.returned, test.credits_returned) == (899, 40 * MICRO)


def spend(user_id: Any, credits: int) -> None:
    adjustments.adjust_credits(
        user_id=user_id,
        amount=-credits * MICRO,
        reason="spent",
        actor_id=None,
        token="spent",
        bucket=Bucket.PURCHASED,
    )


def test_closing_gives_back_what_nobody_decides_any_more(shop: Shop, settings: Any) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    shop.fake.open_dispute(Payment.objects.get().external_id)
    shop.tell()
    assert Wallet.objects.get(pk=user.pk).frozen > 0
    go_live(settings)
    closing.close_test_shops()
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.frozen, wallet.purchased_balance, wallet.debt) == (0, 0, 0)


def test_a_test_shop_that_sells_is_not_closed(shop: Shop, settings: Any) -> None:
    shop.buy(make_buyer(), plan="premium_monthly")
    with pytest.raises(CommandError, match="in use"):
        close()
    settings.STRIPE_SECRET_KEY = ""
    settings.BILLING_SANDBOX = True
    with pytest.raises(CommandError, match="in use"):
        close()
    assert Subscription.objects.get().state == "active"


def test_staff_are_told_while_test_purchases_still_count(shop: Shop, settings: Any) -> None:
    def warnings() -> list[str]:
        found = run_checks(tags=["database"], databases=["default"])
        return [str(each.msg) for each in found if each.id == "billing.W001"]

    boss = Client()
    boss.force_login(make_user(superuser=True))
    shop.buy(make_buyer(), plan="premium_monthly")
    assert (warnings(), bool(closing.test_business())) == ([], False)
    assert b"close_test_shop" not in boss.get("/admin/money/").content
    go_live(settings)
    assert warnings() == ["1 subscriptions and 1 payments of a test shop still count."]
    assert b"close_test_shop" in boss.get("/admin/money/").content
    closing.close_test_shops()
    assert warnings() == []


# --- Settings -------------------------------------------------------------------------------------


def check_settings(**env: str) -> subprocess.CompletedProcess[str]:
    """Start the settings in a process of its own."""
    prefixes = ("STRIPE_", "GOOGLE_PLAY_", "APP_STORE_", "BILLING_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefixes)
        and name not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL"}
    }
    words = "import config.settings.base as base; print(base.BILLING_SANDBOX)"
    return subprocess.run(
        [sys.executable, "-c", words],
        env={**kept, "PARLOR_ENV_FILE": os.devnull, **env},
        cwd=Path(django_settings.BASE_DIR),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


STORES = [
    {"GOOGLE_PLAY_PACKAGE": "app.parlor", "GOOGLE_PLAY_CREDENTIALS": "key.json"},
    {"APP_STORE_BUNDLE_ID": "app.parlor", "APP_STORE_APP_ID": "1"},
    {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": "whsec_x"},
]


@pytest.mark.parametrize("env", STORES)
def test_b13_the_test_shop_never_stands_beside_a_real_store(env: dict[str, str]) -> None:
    started = check_settings(**env)
    assert (started.returncode, started.stdout.strip()) == (0, "False"), started.stderr
    refused = check_settings(**env, BILLING_SANDBOX="true")
    assert refused.returncode != 0
    assert "BILLING_SANDBOX and" in refused.stderr


def test_b13_without_a_store_there_is_the_test_shop() -> None:
    assert check_settings().stdout.strip() == "True"


def test_pushes_need_the_account_that_sends_them() -> None:
    refused = check_settings(GOOGLE_PLAY_PUSH_AUDIENCE=AUDIENCE)
    assert refused.returncode != 0
    assert "GOOGLE_PLAY_PUSH_EMAIL must be set" in refused.stderr
    assert check_settings(GOOGLE_PLAY_PUSH_AUDIENCE=AUDIENCE, GOOGLE_PLAY_PUSH_EMAIL=PUSHER).returncode == 0


# --- The App Store --------------------------------------------------------------------------------


@pytest.fixture
def apple(settings: Any, tmp_path: Path) -> Iterator[FakeAppStore]:
    (tmp_path / "root.cer").write_bytes(chain().root)
    with FakeAppStore() as fake:
        settings.APP_STORE_BUNDLE_ID = fake_app_store.BUNDLE_ID
        settings.APP_STORE_APP_ID = fake_app_store.APP_ID
        settings.APP_STORE_ISSUER_ID = fake_app_store.ISSUER_ID
        settings.APP_STORE_KEY_ID = fake_app_store.KEY_ID
        settings.APP_STORE_PRIVATE_KEY = fake.private_key
        settings.APP_STORE_ROOT_CERTIFICATES = [str(tmp_path)]
        settings.APP_STORE_API_BASE = fake.api_base
        yield fake


def show(apple: FakeAppStore, user_id: Any, transaction_id: str) -> None:
    app_store.verify_purchase(user_id=user_id, signed_transaction=apple.signed(transaction_id))


@pytest.mark.parametrize(("days", "returned", "credits"), [(0, 999, 200), (10, 666, 133), (29, 33, 6)])
def test_an_upgrade_takes_the_unused_part_of_the_old_bonus(
    apple: FakeAppStore, days: int, returned: int, credits: int
) -> None:
    user = make_user()
    bought = apple.subscribe("premium_monthly", 999, account=user.pk)
    show(apple, user.pk, bought)
    apple.now += timedelta(days=days, seconds=1 if not days else 0)
    better = apple.upgrade(bought, "vip_monthly", 2999)
    for _ in range(3):
        show(apple, user.pk, better)
    old = Payment.objects.get(external_id=bought)
    assert abs(old.returned - returned) <= 1
    assert abs(old.credits_returned // MICRO - credits) <= 1
    refund = Refund.objects.get()
    assert (refund.external_id, refund.refunded_at) == (f"{bought}:upgraded", apple.now)
    new = Payment.objects.get(external_id=better)
    wallet = Wallet.objects.get(pk=user.pk)
    assert wallet.bonus_balance == new.credits + old.credits - old.credits_returned
    assert wallet.tier_id == "vip"


def test_an_upgrade_of_an_earlier_period_counts_from_its_own_end(apple: FakeAppStore) -> None:
    user = make_user()
    bought = apple.subscribe("premium_monthly", 999, account=user.pk)
    apple.now += timedelta(days=30)
    renewed = apple.renew(bought)
    apple.now += timedelta(days=15)
    apple.upgrade(bought, "vip_monthly", 2999)
    apple.now += timedelta(days=30)
    apple.renew(bought)
    show(apple, user.pk, bought)
    assert Refund.objects.get().payment.external_id == renewed
    assert Refund.objects.get().amount == 499


def test_a_refund_after_an_upgrade_gives_back_no_more_than_was_paid(apple: FakeAppStore) -> None:
    user = make_user()
    bought = apple.subscribe("premium_monthly", 999, account=user.pk)
    apple.now += timedelta(days=10)
    better = apple.upgrade(bought, "vip_monthly", 2999)
    apple.now += timedelta(days=1)
    apple.refund(bought)
    show(apple, user.pk, better)
    old = Payment.objects.get(external_id=bought)
    assert (old.returned, old.credits_returned) == (999, old.credits)


@pytest.mark.parametrize("is_plan", [False, True])
def test_a_refund_apple_takes_back_is_told_no_more(apple: FakeAppStore, is_plan: bool) -> None:
    user = make_user()
    buy, product_id = (apple.subscribe, "premium_monthly") if is_plan else (apple.buy, "credits_100")
    bought = buy(product_id, account=user.pk)
    show(apple, user.pk, bought)
    given = buckets(user.pk)
    apple.refund(bought)
    show(apple, user.pk, bought)
    assert (buckets(user.pk)["bonus"], buckets(user.pk)["purchased"]) == ((0, 0), (0, 0))
    assert Wallet.objects.get(pk=user.pk).tier_id == "free"
    apple.reverse_refund(bought)
    for _ in range(2):
        show(apple, user.pk, bought)
    payment = Payment.objects.get()
    assert (payment.returned, buckets(user.pk)) == (0, given)
    assert Wallet.objects.get(pk=user.pk).tier_id == ("premium" if is_plan else "free")


# --- Google Play ----------------------------------------------------------------------------------


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


def test_a_push_alone_takes_nothing_back(play: FakeGooglePlay, push: Callable[[dict[str, Any]], int]) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk)
    google_play.verify_purchase(user_id=user.pk, product_id="premium_monthly", purchase_token=token)
    order_id = play.subscriptions[token].orders[0].order_id
    said = {"purchaseToken": token, "orderId": order_id, "productType": 1, "refundType": 1}
    assert push({**play.add_test_notification(), "voidedPurchaseNotification": said}) == 200
    assert StoreEvent.objects.get(kind="voided.1").state == "applied"
    assert not Refund.objects.exists()
    assert buckets(user.pk)["bonus"] == (200, 0)


def test_a_push_of_what_google_lists_takes_it_back_for_good(
    play: FakeGooglePlay, push: Callable[[dict[str, Any]], int]
) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk)
    google_play.verify_purchase(user_id=user.pk, product_id="premium_monthly", purchase_token=token)
    order_id = play.subscriptions[token].orders[0].order_id
    moment = str(int(play.clock.now().timestamp() * 1000))
    play.voided.append({"purchaseToken": token, "orderId": order_id, "voidedTimeMillis": moment})
    said = {"purchaseToken": token, "orderId": order_id, "productType": 1, "refundType": 1}
    assert push({**play.add_test_notification(), "voidedPurchaseNotification": said}) == 200
    assert buckets(user.pk)["bonus"] == (0, 0)
    # The order itself never says so, and the list forgets.
    play.voided.clear()
    renewals._askers[Store.GOOGLE_PLAY](token)
    inbox.apply_told(renewals._askers[Store.GOOGLE_PLAY](token))
    assert (Refund.objects.count(), buckets(user.pk)["bonus"]) == (1, (0, 0))


@pytest.fixture
def push(play: FakeGooglePlay) -> Callable[[dict[str, Any]], int]:
    """Deliver a notification as Pub/Sub does, and apply it."""

    def deliver(notification: dict[str, Any]) -> int:
        notification.pop("testNotification", None)
        answer = Client().post(
            "/webhooks/google-play/",
            play.envelope(notification),
            content_type="application/json",
            headers={"authorization": f"Bearer {play.push_token(AUDIENCE)}"},
        )
        for event_id in StoreEvent.objects.filter(state="pending").values_list("id", flat=True):
            inbox.apply_event(event_id)
        return answer.status_code

    return deliver
