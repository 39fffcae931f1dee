"""M22: whatever order a store's news comes in, however often, the end is the same.

A story is told at the fake Stripe step by step. After each step somebody asks what is true then; these
answers, each as old as its step, are applied in every order: stale ones too, doubled ones too.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from billing import database
from billing.models import Dispute, Payment, Refund, StoreEvent, Subscription, Wallet
from billing.services import checkout, inbox
from billing.stores.stripe import connection, facts
from billing.tests.factories import assert_ledger_holds, capture, reserve
from billing.tests.shop import Shop, make_buyer, open_shop
from common.testing.database import as_superuser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


def _ask(subscription_id: str) -> inbox.Told:
    asked_at = database.clock()
    found = facts.about_subscription(connection.connect(), subscription_id)
    return inbox.Told(connection.connect().store, asked_at, found.subscriptions, found.payments)


def _story(shop: Shop, user_id: UUID) -> list[inbox.Told]:
    """created, paid, updated, deleted, refunded, disputed: what the store answers after each."""
    page = checkout.begin_checkout(user_id=user_id, plan="premium_monthly")
    shop.fake.pay(page.session_id)
    subscription_id = shop.fake.get(page.session_id)["subscription"]
    paid = _ask(subscription_id)
    created = replace(paid, payments=[])
    api = connection.connect().api
    api.subscriptions.update(subscription_id, {"cancel_at_period_end": True})
    updated = _ask(subscription_id)
    api.subscriptions.cancel(subscription_id)
    deleted = _ask(subscription_id)
    intent = next(row for row in api.payment_intents.list().data)
    shop.fake.refund(intent.id, 300)
    refunded = _ask(subscription_id)
    shop.fake.open_dispute(intent.id)
    return [created, paid, updated, deleted, refunded, _ask(subscription_id)]


def _state(user_id: UUID) -> Any:
    wallet = Wallet.objects.get(pk=user_id)
    return (
        list(
            Subscription.objects.values_list(
                "state", "standing", "plan", "entitled_until", "ends_at_period_end"
            )
        ),
        list(Payment.objects.values_list("amount", "credits", "returned", "credits_returned")),
        list(Refund.objects.values_list("kind", "counted", "credits", "debt")),
        list(Dispute.objects.values_list("state", "frozen_bonus", "frozen_purchased")),
        (wallet.bonus_balance, wallet.purchased_balance, wallet.debt, wallet.frozen, wallet.tier_id),
    )


def test_m22_every_order_of_six_answers_ends_alike(shop: Shop) -> None:
    user = make_buyer()
    told = _story(shop, user.pk)
    ends = set()
    for order in permutations(told):
        with transaction.atomic():
            for answer in order:
                inbox.apply_told(answer)
            ends.add(repr(_state(user.pk)))
            transaction.set_rollback(True)
    assert len(ends) == 1
    assert "'expired'" in ends.pop()


def test_m22_orders_doubled_and_with_credits_spent_in_between(shop: Shop) -> None:
    user = make_buyer()
    told = _story(shop, user.pk)
    ends = set()
    for order in random.Random(22).sample(list(permutations(told)), 60):
        with transaction.atomic():
            inbox.apply_told(told[1])
            capture(reserve(user.pk, 190).hold_id, 190)
            for answer in order:
                inbox.apply_told(answer)
                inbox.apply_told(answer)
            ends.add(repr(_state(user.pk)))
            transaction.set_rollback(True)
    assert len(ends) == 1


def test_m22_events_twice_under_different_ids_and_after_a_restart(shop: Shop) -> None:
    user = make_buyer()
    _story(shop, user.pk)
    events = list(shop.fake.events)
    for event in reversed(events):
        assert shop.post(event, times=2) == [200, 200]
    assert StoreEvent.objects.count() == len(events)
    # The process died with all of it kept and nothing applied; what it had promised is lost.
    with as_superuser() as admin:
        admin.execute("DELETE FROM common_outboxmessage")
    later = timezone.now() + inbox.RETRY_AFTER
    while inbox.apply_waiting(now=later):
        pass
    once = _state(user.pk)
    for number, event in enumerate(events):
        assert shop.post({**event, "id": f"evt_other_{number}"}) == [200]
    shop.apply()
    assert _state(user.pk) == once
    assert Subscription.objects.get().state == "expired"
    assert_ledger_holds()


def test_m22_news_that_comes_while_the_story_goes_on(shop: Shop) -> None:
    """Each event is applied twice: at once, and again when everything is over, in the other direction."""
    user = make_buyer()
    page = checkout.begin_checkout(user_id=user.pk, plan="premium_monthly")
    shop.fake.pay(page.session_id)
    shop.tell()
    shop.fake.clock.advance(days=31)
    shop.tell()
    shop.fake.refund(_intents(shop)[0])
    shop.tell()
    once = _state(user.pk)
    for event_id in StoreEvent.objects.order_by("-id").values_list("id", flat=True):
        inbox.apply_event(event_id, again=True)
    assert _state(user.pk) == once
    assert_ledger_holds()


def _intents(shop: Shop) -> list[str]:
    rows = connection.connect().api.payment_intents.list().data
    return [row.id for row in reversed(rows)]
