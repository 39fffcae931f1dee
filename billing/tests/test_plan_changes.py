"""Plans that are changed, given, bought for life, or not paid: each is charged once, for what it gives."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing import selectors
from billing.errors import PaymentRefused
from billing.models import Order, Payment, Plan, StoreCustomer, Subscription, Wallet
from billing.services import checkout, management, staff_subscriptions
from billing.services.adjustments import set_tier
from billing.services.management import Way
from billing.tests.factories import assert_ledger_holds, buckets, in_parallel
from billing.tests.shop import Shop, make_buyer, open_shop
from common.errors import Conflict, Invalid, NotFound

pytestmark = pytest.mark.django_db(transaction=True)
FAILS_LATER = "4000000000000341"


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


@pytest.fixture
def user() -> User:
    return make_buyer()


def amounts() -> list[int]:
    """What was paid, in the order in which it was; a trial's nothing is left out."""
    return list(Payment.objects.filter(amount__gt=0).order_by("id").values_list("amount", flat=True))


def extend(row: Subscription, staff: User) -> None:
    staff_subscriptions.extend_subscription(
        subscription_id=row.pk, days=60, reason="An outage", actor_id=staff.pk, token="once"
    )


def set_card(shop: Shop, user: User, card: str) -> None:
    shop.fake.set_default_card(StoreCustomer.objects.get(user=user).external_id, card)


def give_vip(user: User) -> None:
    set_tier(user_id=user.pk, tier="vip", reason="Thanks")


def plan_named(slug: str) -> Plan:
    return Plan.objects.select_related("tier").get(slug=slug)


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def words(client: Client, path: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", client.get(path).content.decode()).split())


# --- During a trial -------------------------------------------------------------------------------


@pytest.mark.parametrize(("plan", "price"), [("vip_monthly", 2999), ("premium_yearly", 9999)])
def test_a_better_plan_ends_the_trial_and_is_paid_now(shop: Shop, user: User, plan: str, price: int) -> None:
    Plan.objects.filter(slug="premium_monthly").update(trial_days=7)
    shop.buy(user, plan="premium_monthly")
    preview = management.preview_change(user_id=user.pk, plan=plan)
    assert (preview.is_immediate, preview.due, preview.credit) == (True, price, 0)
    assert (preview.ends_trial, preview.prorated_at) == (True, 0)
    row = management.change(user_id=user.pk, plan=plan)
    shop.tell()
    assert (row.plan_id, row.state) == (plan, "active")
    assert amounts() == [price]
    assert buckets(user.pk)["bonus"][0] == plan_named(plan).bonus_credits // 1_000_000


def test_what_staff_gave_is_for_the_old_plan_only(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    extend(row, make_buyer())
    row.refresh_from_db()
    assert row.state == "trialing"
    assert management.preview_change(user_id=user.pk, plan="vip_monthly").due == 2999
    row = management.change(user_id=user.pk, plan="vip_monthly")
    shop.tell()
    assert (row.state, row.tier_id) == ("active", "vip")
    assert row.period_end is not None
    assert row.period_end < timezone.now() + timedelta(days=32)
    assert amounts() == [999, 2999]


def test_what_was_shown_before_a_trial_is_not_charged_in_it(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_monthly")
    shown = management.preview_change(user_id=user.pk, plan="vip_monthly")
    extend(Subscription.objects.get(), make_buyer())
    with pytest.raises(Invalid):
        management.change(user_id=user.pk, plan="vip_monthly", prorated_at=shown.prorated_at)
    assert amounts() == [999]


def test_a_declined_card_leaves_the_trial(shop: Shop, user: User) -> None:
    Plan.objects.filter(slug="premium_monthly").update(trial_days=7)
    shop.buy(user, plan="premium_monthly", card=FAILS_LATER)
    with pytest.raises(PaymentRefused):
        management.change(user_id=user.pk, plan="vip_monthly")
    shop.tell()
    assert Subscription.objects.get().state == "trialing"
    assert amounts() == []


def test_two_clicks_at_once_end_a_trial_once(shop: Shop, user: User) -> None:
    Plan.objects.filter(slug="premium_monthly").update(trial_days=7)
    shop.buy(user, plan="premium_monthly")
    in_parallel(*[lambda: management.change(user_id=user.pk, plan="vip_monthly") for _ in range(3)])
    shop.tell()
    assert amounts() == [2999]


def test_a_smaller_plan_comes_after_the_trial_which_goes_on(shop: Shop, user: User) -> None:
    Plan.objects.filter(slug="vip_monthly").update(trial_days=7)
    shop.buy(user, plan="vip_monthly")
    row = management.change(user_id=user.pk, plan="premium_monthly")
    assert (row.state, row.plan_id, row.next_plan_id) == ("trialing", "vip_monthly", "premium_monthly")
    assert amounts() == []
    shop.fake.clock.advance(days=8)
    shop.tell()
    row.refresh_from_db()
    assert (row.state, row.plan_id) == ("active", "premium_monthly")
    assert amounts() == [999]


def test_the_plan_page_says_that_the_free_time_ends(shop: Shop, user: User) -> None:
    Plan.objects.filter(slug="premium_monthly").update(trial_days=7)
    shop.buy(user, plan="premium_monthly")
    text = words(browser_of(user), "/wallet/plan/?to=vip_monthly")
    assert "You pay 29.99 USD now" in text.replace("\xa0", " ")
    assert "it ends with the change" in text


# --- Beside a gift --------------------------------------------------------------------------------


def test_a_gift_does_not_hide_what_is_paid(shop: Shop, user: User, api_client: Any) -> None:
    shop.buy(user, plan="premium_monthly")
    give_vip(user)
    shown = api_client(user).get("/api/v1/subscription/").json()
    assert (shown["plan"], shown["tier"]) == ("premium_monthly", "vip")
    assert shown["provider"] != "given"
    with pytest.raises(Conflict):
        checkout.begin_checkout(user_id=user.pk, plan="vip_monthly")
    assert management.cancel(user_id=user.pk).state == "cancelled"
    assert management.resume(user_id=user.pk).state == "active"
    ended = api_client(user).post("/api/v1/subscription/cancel/", {"at_period_end": False}, format="json")
    assert (ended.json()["state"], ended.json()["tier"]) == ("expired", "vip")
    assert api_client(user).get("/api/v1/subscription/").json()["provider"] == "given"


def test_the_plan_page_shows_what_is_paid_and_what_was_given(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_monthly")
    give_vip(user)
    client = browser_of(user)
    text = words(client, "/wallet/plan/")
    assert "Premium monthly" in text
    assert "Cancel the plan" in text
    assert "Beside it you were given VIP." in text
    assert 'href="/wallet/plan/?to=vip_monthly"' in client.get("/pricing/").content.decode()


def test_a_renewal_that_failed_can_be_ended_beside_a_gift(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_monthly", card=FAILS_LATER)
    give_vip(user)
    shop.fake.clock.advance(days=31)
    shop.tell()
    Subscription.objects.exclude(store="given").update(state="on_hold", entitled_until=None)
    with pytest.raises(Conflict):
        checkout.begin_checkout(user_id=user.pk, plan="vip_monthly")
    assert management.cancel(user_id=user.pk, at_period_end=False).state == "expired"


def test_who_was_only_given_a_tier_has_nothing_to_cancel(shop: Shop, user: User) -> None:
    give_vip(user)
    with pytest.raises(NotFound):
        management.cancel(user_id=user.pk)
    assert checkout.begin_checkout(user_id=user.pk, plan="premium_monthly").url


# --- After a declined card ------------------------------------------------------------------------


def test_another_card_can_pay_for_the_change_that_was_declined(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_monthly")
    for card in (FAILS_LATER, "4000000000009995"):
        set_card(shop, user, card)
        with pytest.raises(PaymentRefused):
            management.change(user_id=user.pk, plan="vip_monthly")
    set_card(shop, user, "4242424242424242")
    assert management.change(user_id=user.pk, plan="vip_monthly").plan_id == "vip_monthly"
    assert len(amounts()) == 2
    assert "The payment for changing to VIP monthly was refused" in words(browser_of(user), "/wallet/plan/")


def test_two_clicks_at_once_are_refused_once_and_charged_once(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    set_card(shop, user, FAILS_LATER)
    clicks = [lambda: management.change(user_id=user.pk, plan="vip_monthly")] * 3
    assert {type(result) for result in in_parallel(*clicks)} == {PaymentRefused}
    numbers = list(row.events.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    set_card(shop, user, "4242424242424242")
    in_parallel(*clicks)
    shop.tell()
    assert len(amounts()) == 2
    assert Wallet.objects.get(pk=user.pk).tier_id == "vip"


def test_a_declined_card_leaves_a_change_that_was_planned(shop: Shop, user: User) -> None:
    shop.buy(user, plan="vip_monthly")
    management.change(user_id=user.pk, plan="premium_monthly")
    set_card(shop, user, FAILS_LATER)
    with pytest.raises(PaymentRefused):
        management.change(user_id=user.pk, plan="vip_yearly")
    shop.tell()
    row = Subscription.objects.get()
    assert (row.plan_id, row.next_plan_id) == ("vip_monthly", "premium_monthly")


# --- For life -------------------------------------------------------------------------------------


def test_beside_a_smaller_plan_for_life_a_better_one_is_sold_and_managed(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_lifetime")
    for_life = selectors.get_bought_subscription(user.pk)
    assert management.way_to(for_life, plan_named("vip_monthly")) == Way.BUY
    assert management.way_to(for_life, plan_named("premium_yearly")) is None
    with pytest.raises(Conflict):
        checkout.begin_checkout(user_id=user.pk, plan="premium_yearly")
    shop.buy(user, plan="vip_monthly")
    management.end_beside_lifetime(user_id=user.pk)
    assert Wallet.objects.get(pk=user.pk).tier_id == "vip"
    for plan in ("vip_yearly", "premium_lifetime", "premium_monthly"):
        with pytest.raises(Conflict):
            checkout.begin_checkout(user_id=user.pk, plan=plan)
    row = management.cancel(user_id=user.pk, at_period_end=False)
    assert (row.plan_id, row.state) == ("vip_monthly", "expired")
    assert Wallet.objects.get(pk=user.pk).tier_id == "premium"


# --- Smaller, and smaller again -------------------------------------------------------------------


def test_a_smaller_plan_two_months_in_a_row(shop: Shop, user: User) -> None:
    shop.buy(user, plan="vip_monthly")
    management.change(user_id=user.pk, plan="premium_monthly")
    shop.fake.clock.advance(days=32)
    shop.tell()
    row = management.change(user_id=user.pk, plan="premium_daily")
    assert (row.plan_id, row.next_plan_id) == ("premium_monthly", "premium_daily")
    shop.fake.clock.advance(days=30)
    shop.tell()
    row.refresh_from_db()
    assert (row.plan_id, row.next_plan_id) == ("premium_daily", None)
    assert amounts()[:3] == [2999, 999, 99]


def test_another_smaller_plan_takes_the_place_of_the_first(shop: Shop, user: User) -> None:
    shop.buy(user, plan="vip_yearly")
    for plan in ("premium_monthly", "vip_monthly", "premium_yearly"):
        row = management.change(user_id=user.pk, plan=plan)
        assert (row.plan_id, row.next_plan_id) == ("vip_yearly", plan)
    assert management.change(user_id=user.pk, plan="vip_yearly").next_plan_id is None
    assert amounts() == [29999]


# --- Taxes ----------------------------------------------------------------------------------------


def test_a_payment_sheet_is_refused_where_tax_is_added(shop: Shop, user: User, settings: Any) -> None:
    settings.STRIPE_TAX_ENABLED = True
    with pytest.raises(Conflict, match="browser"):
        checkout.begin_payment(user_id=user.pk, pack="credits_10")
    assert not Order.objects.exists()
    assert checkout.begin_checkout(user_id=user.pk, pack="credits_10").url


# --- Unpaid ---------------------------------------------------------------------------------------


def test_a_plan_for_a_day_is_not_sold_again_after_it_ended_unpaid(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_daily", card=FAILS_LATER)
    shop.fake.clock.advance(days=1, hours=1)
    shop.tell()
    assert Subscription.objects.get().state == "grace"
    for plan in ("premium_daily", "premium_monthly"):
        with pytest.raises(Conflict):
            checkout.begin_checkout(user_id=user.pk, plan=plan)
    management.cancel(user_id=user.pk, at_period_end=False)
    with pytest.raises(Conflict, match="unpaid"):
        checkout.begin_checkout(user_id=user.pk, plan="premium_daily")
    shop.buy(user, plan="premium_monthly")
    assert amounts() == [99, 999]


def test_a_plan_for_a_day_that_ended_in_order_is_sold_again(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_daily")
    management.cancel(user_id=user.pk, at_period_end=False)
    shop.buy(user, plan="premium_daily")
    assert amounts() == [99, 99]


def test_an_unpaid_period_is_no_credit_for_a_better_plan(shop: Shop, user: User) -> None:
    shop.buy(user, plan="premium_yearly")
    set_card(shop, user, FAILS_LATER)
    shop.fake.clock.advance(days=366)
    shop.tell()
    set_card(shop, user, "4242424242424242")
    row = Subscription.objects.get()
    assert row.standing == "past_due"
    assert management.way_to(row, plan_named("vip_monthly")) is None
    with pytest.raises(Conflict):
        management.preview_change(user_id=user.pk, plan="vip_monthly")
    Subscription.objects.update(standing="active")
    with pytest.raises(PaymentRefused):
        management.change(user_id=user.pk, plan="vip_monthly")
    assert amounts() == [9999]
