"""The process dies before each statement of the path of money, one after the other, and is started again."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from accounts.models import User
from billing.models import (
    Dispute,
    LedgerTransaction,
    Order,
    Payment,
    Refund,
    StoreEvent,
    Subscription,
    Wallet,
)
from billing.services import checkout, inbox
from billing.tests import faults
from billing.tests.factories import assert_ledger_holds
from billing.tests.shop import Shop, make_buyer, open_shop

pytestmark = pytest.mark.django_db(transaction=True)


class Died(BaseException):
    """kill -9: nothing of ours runs any more."""


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    # What is promised waits for the restart.
    current_app.conf.task_always_eager = False
    with open_shop(settings) as opened:
        yield opened
    current_app.conf.task_always_eager = True


@pytest.fixture
def struck(transactional_db: None) -> Iterator[faults.Faults]:
    with faults.installed() as installed:
        yield installed
    connection.close()


def _dying_at(number: int, struck: faults.Faults) -> Any:
    seen = 0

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == number:
            struck.terminate(connection.connection.info.backend_pid)
            raise Died
        return run(sql, params, many, context)

    return execute


def _money(user: User) -> Any:
    wallet = Wallet.objects.filter(pk=user.pk).values().first()
    moments = ("opened_at", "next_day_at", "created_at", "tier_until", "day", "used_on")
    return (
        {name: value for name, value in (wallet or {}).items() if name not in moments},
        list(
            LedgerTransaction.objects.filter(wallet_id=user.pk)
            .order_by("number")
            .values_list("kind", "amount")
        ),
        list(Payment.objects.values_list("external_id", "returned", "credits_returned")),
        list(Refund.objects.values_list("external_id", "counted")),
        list(Dispute.objects.values_list("state", "frozen_bonus", "frozen_purchased")),
        list(Subscription.objects.values_list("state", "plan")),
        list(Order.objects.values_list("state", flat=True)),
    )


def _die_everywhere(user: User, event: StoreEvent, struck: faults.Faults) -> int:
    """Apply the event, dying before its first statement, then its second, until it gets through."""
    before = _money(user)
    for number in range(1, 500):
        try:
            with connection.execute_wrapper(_dying_at(number, struck)):
                inbox.apply_event(event.id)
        except (Died, OperationalError, InterfaceError):
            connection.close()
            assert _money(user) == before, f"half done after dying before statement {number}"
            assert StoreEvent.objects.get(id=event.id).state != "applied"
            continue
        assert StoreEvent.objects.get(id=event.id).state == "applied"
        return number
    raise AssertionError("it never got through")


def _kept(shop: Shop, kind: str) -> StoreEvent:
    for event in list(shop.fake.events):
        if event["id"] not in shop.told:
            assert shop.post(event) == [200]
    return StoreEvent.objects.filter(kind=kind).latest("created_at")


@pytest.mark.parametrize(
    "what", [{"pack": "credits_100"}, {"plan": "premium_monthly"}, {"plan": "premium_lifetime"}]
)
def test_m21_dying_before_any_statement_of_a_sale(
    shop: Shop, struck: faults.Faults, what: dict[str, str]
) -> None:
    user = make_buyer()
    page = checkout.begin_checkout(user_id=user.pk, **what)
    shop.fake.pay(page.session_id)
    survived = _die_everywhere(user, _kept(shop, "checkout.session.completed"), struck)
    assert survived > 12
    once = _money(user)
    shop.apply()
    assert _money(user) == once
    assert [row.state for row in Order.objects.all()] == ["paid"]
    assert_ledger_holds()


def test_m21_dying_before_any_statement_of_a_refund_and_a_dispute(shop: Shop, struck: faults.Faults) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    intent = Payment.objects.get().external_id
    shop.fake.refund(intent, 400)
    assert _die_everywhere(user, _kept(shop, "charge.refunded"), struck) > 10
    dispute = shop.fake.open_dispute(intent, 499)
    assert _die_everywhere(user, _kept(shop, "charge.dispute.created"), struck) > 10
    shop.fake.close_dispute(dispute["id"], "lost")
    assert _die_everywhere(user, _kept(shop, "charge.dispute.closed"), struck) > 10
    shop.apply()
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.purchased_balance, wallet.frozen, wallet.debt) == (0, 0, 0)
    assert Refund.objects.count() == 2
    assert_ledger_holds()


def test_m21_the_sweep_applies_what_a_dead_process_had_kept(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="vip_monthly", tell=False)
    _kept(shop, "checkout.session.completed")
    assert not Payment.objects.exists()
    while inbox.apply_waiting(now=timezone.now() + inbox.RETRY_AFTER):
        pass
    assert Payment.objects.get().credits == 1_000_000_000
    assert Wallet.objects.get(pk=user.pk).tier_id == "vip"
    assert_ledger_holds()
