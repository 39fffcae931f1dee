"""Buying through the fake Stripe: what is paid is there once, whatever way the news comes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Order, Payment, Plan, Refund, StoreEvent, Subscription, Wallet
from billing.services import checkout, management, renewals
from billing.tests.factories import assert_ledger_holds, buckets, capture, in_parallel, reserve
from billing.tests.shop import Shop, make_buyer, open_shop
from common.credits import MICRO

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def test_a_pack_paid_for_is_in_the_wallet(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    payment = Payment.objects.get()
    assert (payment.amount, payment.currency, payment.credits) == (899, "USD", 100 * MICRO)
    assert buckets(user.pk)["purchased"] == (100, 0)
    assert Order.objects.get().state == "paid"
    assert set(StoreEvent.objects.values_list("state", flat=True)) <= {"applied", "ignored"}


def test_a_declined_card_buys_nothing(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100", card="4000000000000002")
    assert not Payment.objects.exists()
    assert Order.objects.get().state == "open"


def test_coming_back_before_the_webhook_books_the_payment_once(shop: Shop) -> None:
    user = make_buyer()
    session_id = shop.buy(user, pack="credits_10", tell=False)
    assert checkout.confirm_checkout(user_id=user.pk, session_id=session_id).state == "paid"
    shop.tell()
    assert buckets(user.pk)["purchased"] == (10, 0)
    assert Payment.objects.count() == 1


def test_a_plan_gives_its_tier_and_its_bonus_each_period(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    assert (row.state, row.plan_id, row.tier_id, row.price) == ("active", "premium_monthly", "premium", 999)
    assert Wallet.objects.get(pk=user.pk).tier_id == "premium"
    assert buckets(user.pk)["bonus"] == (200, 0)
    shop.fake.clock.advance(days=32)
    shop.tell()
    assert buckets(user.pk)["bonus"] == (400, 0)
    assert Payment.objects.count() == 2


def test_an_upgrade_charges_the_difference_and_a_smaller_plan_waits(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    change = management.preview_change(user_id=user.pk, plan="vip_monthly")
    assert change.is_immediate
    assert 1990 <= change.due <= 2000
    row = management.change(user_id=user.pk, plan="vip_monthly", prorated_at=change.prorated_at)
    assert (row.plan_id, row.tier_id, row.state) == ("vip_monthly", "vip", "active")
    payment = Payment.objects.order_by("-id").first()
    assert payment is not None
    assert payment.amount == change.due
    assert payment.credits == 1000 * MICRO * change.due // 2999
    row = management.change(user_id=user.pk, plan="premium_monthly")
    assert (row.plan_id, row.next_plan_id) == ("vip_monthly", "premium_monthly")
    shop.fake.clock.advance(days=32)
    shop.tell()
    row.refresh_from_db()
    assert (row.plan_id, row.next_plan_id, row.tier_id) == ("premium_monthly", None, "premium")


def test_cancelling_resuming_and_the_end(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    assert management.cancel(user_id=user.pk).state == "cancelled"
    assert management.resume(user_id=user.pk).state == "active"
    row = management.cancel(user_id=user.pk)
    assert row.period_end is not None
    later = row.period_end + timedelta(seconds=1)
    renewals.look_at_due(now=later)
    row.refresh_from_db()
    assert row.state == "expired"
    assert Wallet.objects.get(pk=user.pk).tier_id == "free"


def test_m28_a_refund_after_spending_leaves_a_debt(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    hold = reserve(user.pk, 40)
    capture(hold.hold_id, 40)
    shop.fake.refund(Payment.objects.get().external_id)
    shop.tell()
    refund = Refund.objects.get()
    wallet = Wallet.objects.get(pk=user.pk)
    assert (refund.counted, refund.credits, refund.debt) == (899, 100 * MICRO, 30 * MICRO)
    assert (wallet.purchased_balance, wallet.debt, wallet.available) == (0, 30 * MICRO, 0)
    shop.buy(user, pack="credits_50")
    wallet.refresh_from_db()
    assert (wallet.purchased_balance, wallet.debt) == (20 * MICRO, 0)


def test_m29_a_dispute_freezes_and_a_lost_one_takes(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    dispute = shop.fake.open_dispute(Payment.objects.get().external_id)
    shop.tell()
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.purchased_balance, wallet.frozen) == (0, 100 * MICRO)
    shop.fake.close_dispute(dispute["id"], "lost")
    shop.tell()
    wallet.refresh_from_db()
    assert (wallet.purchased_balance, wallet.frozen, wallet.debt) == (0, 0, 0)
    assert timezone.now() - Refund.objects.get().refunded_at < timedelta(minutes=5)


def test_m29_a_won_dispute_gives_everything_back_once(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    dispute = shop.fake.open_dispute(Payment.objects.get().external_id)
    shop.tell()
    shop.fake.close_dispute(dispute["id"], "won")
    shop.tell()
    for event in list(shop.fake.events):
        shop.post({**event, "id": event["id"] + "again"})
    shop.apply()
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.purchased_balance, wallet.frozen, wallet.debt) == (100 * MICRO, 0, 0)
    assert not Refund.objects.exists()


def test_m28_refunds_in_parts_never_exceed_the_payment(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    intent = Payment.objects.get().external_id
    for amount in (300, 299, 300):
        shop.fake.refund(intent, amount)
        shop.tell()
    payment = Payment.objects.get()
    assert (payment.returned, payment.credits_returned) == (899, 100 * MICRO)
    assert [refund.counted for refund in payment.refunds.order_by("id")] == [300, 299, 300]
    assert buckets(user.pk)["purchased"] == (0, 0)


def test_m34_a_renewal_looked_at_twice_at_once_gives_its_bonus_once(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    assert row.period_end is not None
    shop.fake.clock.advance(days=32)
    later = row.period_end + timedelta(days=1)
    results = in_parallel(*[lambda: renewals.look_at_due(now=later) for _ in range(4)])
    assert not [result for result in results if isinstance(result, Exception)]
    assert buckets(user.pk)["bonus"] == (400, 0)
    assert Payment.objects.count() == 2


def test_a_renewal_that_fails_has_grace_then_is_put_on_hold_and_ends(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly", card="4000000000000341")
    row = Subscription.objects.get()
    assert row.period_end is not None
    shop.fake.clock.advance(days=31)
    due = row.period_end
    renewals.look_at_due(now=due + timedelta(hours=1))
    row.refresh_from_db()
    assert row.state == "grace"
    assert Wallet.objects.get(pk=user.pk).tier_id == "premium"
    renewals.look_at_due(now=due + timedelta(days=4))
    row.refresh_from_db()
    assert row.state == "on_hold"
    assert Wallet.objects.get(pk=user.pk).tier_id == "free"
    shop.fake.clock.advance(days=12)
    shop.tell()
    row.refresh_from_db()
    assert row.state == "expired"
    assert buckets(user.pk)["bonus"] == (200, 0)


def test_a_trial_costs_nothing_and_comes_once_in_a_life(shop: Shop) -> None:
    Plan.objects.filter(slug="premium_monthly").update(trial_days=7)
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    assert (row.state, Wallet.objects.get(pk=user.pk).tier_id) == ("trialing", "premium")
    assert buckets(user.pk)["bonus"] == (0, 0)
    management.cancel(user_id=user.pk, at_period_end=False)
    page = checkout.begin_checkout(user_id=user.pk, plan="premium_monthly")
    shop.fake.pay(page.session_id)
    shop.tell()
    row = Subscription.objects.latest("id")
    assert (row.state, row.price) == ("active", 999)
    assert buckets(user.pk)["bonus"] == (200, 0)


def test_a_promotion_code_lowers_the_price_and_not_the_bonus(shop: Shop) -> None:
    shop.fake.create_promotion_code("HALF", percent_off=50)
    user = make_buyer()
    shop.buy(user, pack="credits_100", promotion_code="HALF")
    payment = Payment.objects.get()
    assert (payment.amount, payment.credits) == (449, 100 * MICRO)
    assert buckets(user.pk)["purchased"] == (100, 0)


def test_a_plan_for_life_is_one_payment_and_ends_when_it_is_paid_back(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_lifetime")
    row = Subscription.objects.get()
    assert (row.state, row.period_end) == ("active", None)
    assert buckets(user.pk)["bonus"] == (2500, 0)
    shop.fake.refund(Payment.objects.get().external_id)
    shop.tell()
    row.refresh_from_db()
    assert row.state == "expired"
    assert Wallet.objects.get(pk=user.pk).tier_id == "free"
    assert buckets(user.pk)["bonus"] == (0, 0)


def test_going_up_and_down_gives_no_bonus_that_was_not_paid_for(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_yearly")
    paid = 9999
    for plan in ("vip_monthly", "premium_yearly", "vip_monthly"):
        management.change(user_id=user.pk, plan=plan)
        shop.fake.clock.advance(days=32)
        shop.tell()
    paid = sum(Payment.objects.values_list("amount", flat=True))
    bonus = sum(Payment.objects.values_list("credits", flat=True)) // MICRO
    # The best any plan gives for a dollar is VIP's for a year: 13,000 credits for 299.99.
    assert bonus <= paid * 13_000 // 29_999 + 1
