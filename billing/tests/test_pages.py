"""The pages about money, as a browser without scripts sees them."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_user
from billing.models import Order, Payment, RedemptionCode, Subscription, Wallet
from billing.services import holds, subscriptions
from billing.tests.factories import capture, make_wallet, reserve
from billing.tests.shop import Shop, make_buyer, open_shop
from common.credits import MICRO

pytestmark = pytest.mark.django_db(transaction=True)
BUY = "/wallet/buy/"


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture
def buyer() -> User:
    return make_buyer()


@pytest.fixture
def browser(buyer: User) -> Client:
    client = Client()
    client.force_login(buyer)
    return client


def words(response: Any) -> str:
    """What the page says, without its markup."""
    main = re.search(r"<main.*?</main>", response.content.decode(), re.DOTALL)
    text = main[0] if main else response.content.decode()
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).replace("\xa0", " ").split())


def told(response: Any) -> list[str]:
    """What it says on the next page, without what earlier answers said."""
    return [str(message) for message in get_messages(response.wsgi_request)][-1:]


def session_of(response: Any) -> str:
    """The checkout a browser was sent to."""
    assert response.status_code == 302
    return str(urlsplit(response["Location"]).path.rsplit("/", 1)[1])


# --- Prices ---------------------------------------------------------------------------------------


def test_a_stranger_sees_what_everything_gives_and_is_sent_to_sign_up_and_back(shop: Shop) -> None:
    page = Client().get("/pricing/?every=year")
    text = words(page)
    assert page.status_code == 200
    assert "99.99 USD a year" in text
    assert "100 credits every day about 950 replies" in text
    assert "10 messages a day" in text
    assert "550 credits about 3,600 replies 7.27 USD for 100" in text
    assert "Screenshot 50 credits" in text
    assert "no real money moves" in text
    assert 'href="/accounts/signup/?next=%2Fpricing%2F%3Fevery%3Dyear"' in page.content.decode()
    assert 'name="plan"' not in page.content.decode()


def test_prices_need_no_shop() -> None:
    page = Client().get("/pricing/")
    assert "Nothing can be bought here yet" in words(page)
    assert "9.99 USD a month" in words(page)


def test_one_plan_is_yours_and_the_others_are_changes(shop: Shop, browser: Client, buyer: User) -> None:
    assert 'name="plan" value="premium_monthly"' in browser.get("/pricing/").content.decode()
    shop.buy(buyer, plan="premium_monthly")
    html = browser.get("/pricing/").content.decode()
    assert "Your plan" in html
    assert 'name="plan" value="premium_monthly"' not in html
    assert 'href="/wallet/plan/?to=vip_monthly"' in html


def test_the_policy_is_for_everybody() -> None:
    assert "For words you got" in words(Client().get("/what-you-pay-for/"))


# --- Buying ---------------------------------------------------------------------------------------


def test_buys_a_pack_and_comes_back_to_the_talk(shop: Shop, browser: Client, buyer: User) -> None:
    session_id = session_of(browser.post(BUY, {"pack": "credits_50", "back": "/chat/"}))
    ended_at = shop.fake.pay(session_id)
    assert parse_qs(urlsplit(ended_at).query) == {"session_id": [session_id], "back": ["/chat/"]}
    page = browser.get(ended_at)
    assert "50 credits came into your wallet" in words(page)
    assert 'href="/chat/"' in page.content.decode()
    assert "hx-get" not in page.content.decode()
    assert Wallet.objects.get(pk=buyer.pk).purchased_balance == 50 * MICRO


def test_an_unpaid_checkout_is_looked_at_again(shop: Shop, browser: Client) -> None:
    session_id = session_of(browser.post(BUY, {"pack": "credits_50"}))
    page = browser.get("/wallet/bought/", {"session_id": session_id})
    assert "Your payment is being processed" in words(page)
    assert "looks=1" in page.content.decode()
    late = browser.get("/wallet/bought/", {"session_id": session_id, "looks": "45"}, HTTP_HX_REQUEST="true")
    assert "longer than usual" in words(late)
    assert "hx-get" not in late.content.decode()
    Order.objects.update(state="expired", ended_at=timezone.now())
    over = browser.get("/wallet/bought/", {"session_id": session_id})
    assert "Nothing was paid" in words(over)


def test_somebody_elses_checkout_is_not_there(shop: Shop, browser: Client) -> None:
    session_id = session_of(browser.post(BUY, {"pack": "credits_50"}))
    stranger = Client()
    stranger.force_login(make_buyer())
    assert stranger.get("/wallet/bought/", {"session_id": session_id}).status_code == 404


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ({"pack": "credits_7"}, "This pack is not on sale."),
        ({}, "Name either a pack or a plan."),
        ({"pack": "credits_10", "promotion_code": "NOTHING"}, "This code is not valid."),
    ],
)
def test_a_refusal_is_said_where_the_wish_came_from(
    shop: Shop, browser: Client, wish: dict[str, str], refusal: str
) -> None:
    here = "/pricing/?every=year&code=NOTHING"
    answer = browser.post(BUY, {**wish, "back": here})
    assert answer["Location"] == here
    assert told(answer) == [refusal]
    assert "The code NOTHING will be used" in words(browser.get(here))
    assert not Order.objects.filter(state="open").exists()


def test_an_unproved_address_buys_nothing_and_is_told(shop: Shop) -> None:
    client = Client()
    client.force_login(make_user(verified=False))
    assert told(client.post(BUY, {"pack": "credits_10"})) == ["Verify your email address first"]
    assert "Before you buy" in words(client.get("/pricing/"))


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_nobody_is_sent_elsewhere(shop: Shop, browser: Client, back: str) -> None:
    assert browser.post(BUY, {"pack": "nothing", "back": back})["Location"] == "/pricing/"
    assert browser.get(BUY)["Location"] == "/pricing/"


# --- The wallet -----------------------------------------------------------------------------------


def test_the_wallet_says_what_it_buys_and_what_was_not_charged(
    shop: Shop, browser: Client, buyer: User
) -> None:
    make_wallet(user=buyer, purchased=100)
    capture(reserve(buyer.pk, 2).hold_id, 1)
    for reason in ("provider_unavailable", "provider_unavailable", "something new"):
        holds.release_hold(hold_id=reserve(buyer.pk, 2).hold_id, reason=reason)
    reserve(buyer.pk, 3)
    text = words(browser.get("/wallet/"))
    assert "106 credits" in text
    assert "about 10 replies left today" in text
    assert "6 of 10" in text
    assert "3 more are set aside for a reply" in text
    assert "A reply · not charged, the model did not answer (2 times) 0" in text
    assert "A reply · not charged 0" in text
    assert "Talk · 1 reply -1" in text


def test_debts_frozen_credits_and_low_balances_are_said(shop: Shop, browser: Client, buyer: User) -> None:
    make_wallet(user=buyer)
    Wallet.objects.filter(pk=buyer.pk).update(low_balance=50 * MICRO)
    assert "Less than 50 credits are left" in words(browser.get("/wallet/"))
    shop.buy(buyer, pack="credits_100")
    capture(reserve(buyer.pk, 40).hold_id, 40)
    dispute = shop.fake.open_dispute(Payment.objects.get().external_id)
    shop.tell()
    assert "70 more are set aside while your bank decides" in words(browser.get("/wallet/"))
    shop.fake.close_dispute(dispute["id"], "lost")
    shop.tell()
    text = words(browser.get("/wallet/"))
    assert "You owe 30 credits." in text
    assert "Less than" not in text


def test_the_wallet_needs_as_many_queries_for_twenty_lines_as_for_two(
    browser: Client, buyer: User, django_assert_num_queries: Any
) -> None:
    make_wallet(user=buyer, purchased=100)
    _talk(buyer, 1)
    browser.get("/wallet/")
    with django_assert_num_queries(15):
        assert browser.get("/wallet/").status_code == 200
    _talk(buyer, 10)
    with django_assert_num_queries(15):
        assert browser.get("/wallet/").status_code == 200


def _talk(user: User, times: int) -> None:
    for _each in range(times):
        capture(reserve(user.pk, 1).hold_id, 1)
        holds.release_hold(hold_id=reserve(user.pk, 1).hold_id, reason="interrupted")


def test_older_lines_come_with_what_was_given_back_between_them(browser: Client, buyer: User) -> None:
    make_wallet(user=buyer, purchased=100, tier="vip")
    holds.release_hold(hold_id=reserve(buyer.pk, 1).hold_id, reason="empty_reply")
    for number in range(61):
        hold = reserve(buyer.pk, 1)
        holds.capture_hold(
            hold_id=hold.hold_id, amount=1, reference="", description=f"Talk {number}", details={}
        )
    first = browser.get("/wallet/").content.decode()
    assert "answered with nothing" not in first
    before = re.search(r'hx-get="\?before=(\d+)"', first)
    assert before is not None
    older = browser.get(f"/wallet/?before={before[1]}", HTTP_HX_REQUEST="true")
    assert "answered with nothing" in words(older)
    assert "<main" not in older.content.decode()


def test_htmx_gets_only_what_changes(browser: Client) -> None:
    html = browser.get("/wallet/", HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in html
    assert re.findall(r'id="(wallet-[a-z]+)"', html) == ["wallet-sum", "wallet-plan", "wallet-history"]
    assert html.count('hx-swap-oob="true"') == 2


def test_a_code_is_redeemed_once_and_a_wrong_one_stays_in_its_field(browser: Client, buyer: User) -> None:
    RedemptionCode.objects.create(code="SPRING26", credits=30 * MICRO)
    assert told(browser.post("/wallet/redeem/", {"code": "spring-26"})) == ["30 credits are in your wallet."]
    again = browser.post("/wallet/redeem/", {"code": "spring-26"})
    assert again.status_code == 409
    assert 'value="spring-26"' in again.content.decode()
    assert "You have redeemed this code already." in words(again)
    assert Wallet.objects.get(pk=buyer.pk).bonus_balance == 30 * MICRO


def test_limits_are_kept_shown_and_taken_away(browser: Client, buyer: User) -> None:
    make_wallet(user=buyer)
    browser.post("/wallet/limits/", {"per_message": "0,5", "per_day": "20", "low_balance": ""})
    wallet = Wallet.objects.get(pk=buyer.pk)
    assert (wallet.message_cap, wallet.day_cap, wallet.low_balance) == (MICRO // 2, 20 * MICRO, None)
    assert 'value="0.5"' in browser.get("/wallet/").content.decode()
    refused = browser.post("/wallet/limits/", {"per_message": "much", "per_day": "0", "low_balance": ""})
    assert refused.status_code == 422
    assert 'value="much"' in refused.content.decode()
    wallet.refresh_from_db()
    assert wallet.day_cap == 20 * MICRO


def test_spending_is_paused_and_resumed_from_where_one_is(browser: Client, buyer: User) -> None:
    make_wallet(user=buyer)
    browser.post("/wallet/limits/", {"paused": "yes"})
    assert Wallet.objects.get(pk=buyer.pk).paused_at is not None
    assert "You have paused spending" in words(browser.get("/wallet/"))
    answer = browser.post("/wallet/limits/", {"paused": "no", "back": "/chat/"})
    assert answer["Location"] == "/chat/"
    assert Wallet.objects.get(pk=buyer.pk).paused_at is None


# --- The plan -------------------------------------------------------------------------------------


def test_changes_with_a_preview_and_pays_what_was_shown(shop: Shop, browser: Client, buyer: User) -> None:
    shop.buy(buyer, plan="premium_monthly")
    page = browser.get("/wallet/plan/?to=vip_monthly")
    shown = re.search(r"You pay (\d+\.\d\d) USD now, then 29\.99 USD a month\.", words(page))
    prorated_at = re.search(r'name="prorated_at" value="(\d+)"', page.content.decode())
    assert shown is not None
    assert prorated_at is not None
    answer = browser.post("/wallet/plan/change/", {"plan": "vip_monthly", "prorated_at": prorated_at[1]})
    assert told(answer) == ["You have VIP monthly now."]
    paid = buyer_payments(buyer)
    assert f"{paid[-1] / 100:.2f}" == shown[1]
    text = words(browser.get("/wallet/plan/"))
    assert "Premium monthly became VIP monthly" in text


def buyer_payments(user: User) -> list[int]:
    return list(Payment.objects.filter(user=user).order_by("id").values_list("amount", flat=True))


def test_a_smaller_plan_waits_and_can_be_taken_back(shop: Shop, browser: Client, buyer: User) -> None:
    shop.buy(buyer, plan="vip_monthly")
    assert "until then nothing changes" in words(browser.get("/wallet/plan/?to=premium_monthly"))
    browser.post("/wallet/plan/change/", {"plan": "premium_monthly"})
    assert "Becomes Premium monthly on" in words(browser.get("/wallet/plan/"))
    browser.post("/wallet/plan/resume/")
    text = words(browser.get("/wallet/plan/"))
    assert "Renews on" in text
    assert "the planned change was taken back" in text
    assert buyer_payments(buyer) == [2999]


def test_cancels_and_resumes(shop: Shop, browser: Client, buyer: User) -> None:
    shop.buy(buyer, plan="premium_monthly")
    (message,) = told(browser.post("/wallet/plan/cancel/"))
    assert message.startswith("Your plan ends on ")
    assert "is not renewed" in words(browser.get("/wallet/plan/"))
    browser.post("/wallet/plan/cancel/")
    (message,) = told(browser.post("/wallet/plan/resume/"))
    assert message.startswith("Your plan goes on.")
    text = words(browser.get("/wallet/plan/"))
    assert "Premium monthly was resumed" in text
    assert text.count("was cancelled and runs until") == 1


def test_a_failed_payment_asks_for_the_card(shop: Shop, browser: Client, buyer: User) -> None:
    shop.buy(buyer, plan="premium_monthly")
    Subscription.objects.update(state="grace", entitled_until=timezone.now() + timedelta(days=2))
    text = words(browser.get("/wallet/plan/"))
    assert "The last payment failed. You keep everything until" in text
    assert "Update your card" in text
    assert "/p/session/" in browser.post("/wallet/portal/")["Location"]


def test_a_tier_that_was_given_is_said_to_be(browser: Client, buyer: User) -> None:
    make_wallet(user=buyer, tier="vip")
    text = words(browser.get("/wallet/plan/"))
    assert "Given to you." in text
    assert "Cancel the plan" not in text
    subscriptions.end_given(user_id=buyer.pk, actor_id=None, reason="test")
    assert "No plan." in words(browser.get("/wallet/plan/"))


@pytest.mark.parametrize("path", ["change", "cancel", "resume"])
def test_without_a_plan_there_is_nothing_to_do(shop: Shop, browser: Client, path: str) -> None:
    assert told(browser.post(f"/wallet/plan/{path}/", {"plan": "vip_monthly"})) == ["You have no plan."]
    assert told(browser.get("/wallet/plan/?to=vip_monthly")) == ["You have no plan."]
    assert told(browser.post("/wallet/portal/")) == ["You have not bought anything here yet."]
