"""What is not paid is not given: payments that went back, came back, or were for something else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Order, Payment, Plan, Refund, StoreCustomer, StoreEvent, Subscription, Wallet
from billing.services import inbox, management, payments, renewals, subscriptions
from billing.stores.stripe import connection, facts
from billing.tests.factories import assert_ledger_holds, buckets, capture, reserve
from billing.tests.shop import Shop, buyer_id, make_buyer, open_shop
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


def _intent() -> str:
    return str(connection.connect().api.payment_intents.list().data[0].id)


def _tier(user: Any) -> str:
    return Wallet.objects.get(pk=user.pk).tier_id


@pytest.mark.parametrize("how", ["refund", "chargeback"])
def test_a_plan_paid_back_whole_ends_here_and_at_the_store(shop: Shop, how: str) -> None:
    user = make_buyer()
    shop.buy(user, plan="vip_yearly")
    row = Subscription.objects.get()
    assert _tier(user) == "vip"
    if how == "refund":
        shop.fake.refund(_intent())
    else:
        dispute = shop.fake.open_dispute(_intent())
        shop.fake.close_dispute(dispute["id"], "lost")
    shop.tell()
    row.refresh_from_db()
    assert (row.state, _tier(user)) == ("expired", "free")
    assert shop.fake.get(row.external_id)["status"] == "canceled"


def test_a_part_paid_back_leaves_the_plan(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="vip_monthly")
    shop.fake.refund(_intent(), 1000)
    shop.tell()
    assert (Subscription.objects.get().state, _tier(user)) == ("active", "vip")


def test_a_refund_that_fails_in_the_end_gives_everything_back(shop: Shop) -> None:
    user = make_buyer()
    session_id = shop.buy(user, pack="credits_100")
    capture(reserve(user.pk, 40).hold_id, 40)
    shop.fake.refund(Payment.objects.get().external_id)
    shop.tell()
    assert Wallet.objects.get(pk=user.pk).debt == 30 * MICRO
    told = inbox.ask_stripe("checkout.session.completed", session_id)
    for _ in range(2):
        inbox.apply_told(replace(told, payments=[replace(told.payments[0], refunds=())]))
    payment = Payment.objects.get()
    assert (payment.returned, payment.credits_returned) == (0, 0)
    assert sorted(Refund.objects.values_list("kind", flat=True)) == ["refund", "reversed"]
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.purchased_balance, wallet.debt) == (70 * MICRO, 0)


def test_an_answer_from_before_the_refund_reverses_nothing(shop: Shop) -> None:
    user = make_buyer()
    session_id = shop.buy(user, pack="credits_100")
    before = inbox.ask_stripe("checkout.session.completed", session_id)
    shop.fake.refund(Payment.objects.get().external_id)
    shop.tell()
    inbox.apply_told(before)
    assert Payment.objects.get().returned == 899


def test_m26_a_plan_that_costs_something_else_than_ordered_gives_nothing(shop: Shop) -> None:
    user = make_buyer()
    session_id = shop.buy(user, plan="premium_monthly", tell=False)
    Order.objects.filter(session_id=session_id).update(price=99_999)
    shop.tell()
    assert not Payment.objects.exists()
    assert not Subscription.objects.exists()
    assert not Wallet.objects.filter(pk=user.pk, tier_id="premium").exists()
    fates = dict(StoreEvent.objects.values_list("kind", "state"))
    assert fates["customer.subscription.created"] == fates["invoice.paid"] == "quarantined"


def test_a_customer_of_somebody_else_gives_neither_a_tier_nor_credits(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="vip_monthly", tell=False)
    StoreCustomer.objects.update(user=make_buyer())
    shop.tell()
    assert not Subscription.objects.exists()
    assert not Payment.objects.exists()


def test_what_time_ended_comes_back_with_the_stores_word_and_what_the_store_ended_does_not(
    shop: Shop,
) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row = management.cancel(user_id=user.pk)
    assert row.period_end is not None
    # Taken back in the portal while we could not be told, nor ask.
    connection.connect().api.subscriptions.update(row.external_id, {"cancel_at_period_end": False})
    shop.fake.fail_next("GET", "/v1/subscriptions", "500", times=3)
    renewals.look_at_due(now=row.period_end + timedelta(minutes=1))
    row.refresh_from_db()
    assert (row.state, row.standing, _tier(user)) == ("expired", "active", "free")
    shop.fake.clock.advance(days=32)
    shop.tell()
    row.refresh_from_db()
    assert (row.state, row.ended_at, _tier(user)) == ("active", None, "premium")


def test_one_broken_subscription_does_not_stop_the_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = [make_buyer() for _ in range(3)]
    for user in owners:
        shop.buy(user, plan="premium_monthly")
        management.cancel(user_id=user.pk)
    first = Subscription.objects.order_by("due_at", "id")[0]
    asked = []
    really = facts.about_subscription

    def ask(found: Any, external_id: str) -> Any:
        asked.append(external_id)
        if external_id == first.external_id:
            raise KeyError("nobody thought of this")
        return really(found, external_id)

    monkeypatch.setattr(facts, "about_subscription", ask)
    assert first.period_end is not None
    renewals.look_at_due(now=first.period_end + timedelta(days=1))
    assert len(asked) == 3
    assert set(Subscription.objects.values_list("state", flat=True)) == {"expired"}


def test_a_product_that_is_none_of_our_plans_may_follow(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    told = facts.about_subscription(connection.connect(), row.external_id).subscriptions[0]
    asked_at = timezone.now() + timedelta(seconds=1)
    subscriptions.apply_facts(
        store=connection.connect().store, facts=replace(told, next_plan="something_else"), asked_at=asked_at
    )
    row.refresh_from_db()
    assert (row.state, row.next_plan_id) == ("active", None)


def test_b6_a_plan_changed_while_its_checkout_is_open_is_sold_as_it_was(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly", tell=False)
    Plan.objects.filter(slug="premium_monthly").update(bonus_credits=1)
    shop.tell()
    assert buckets(user.pk)["bonus"] == (200, 0)
    shop.fake.clock.advance(days=32)
    shop.tell()
    assert buckets(user.pk)["bonus"] == (400, 0)


def test_nothing_is_booked_of_a_telling_that_contradicts_itself(shop: Shop) -> None:
    stranger = buyer_id()
    user = make_buyer()
    session_id = shop.buy(user, pack="credits_10", tell=False)
    told = inbox.ask_stripe("checkout.session.completed", session_id)
    forged = replace(told.payments[0], user_id=stranger)
    with pytest.raises(Exception, match="said to be"):
        payments.apply_facts(store=told.store, facts=forged, asked_at=told.asked_at)
    assert not Payment.objects.exists()
