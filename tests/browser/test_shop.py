"""Buying and looking after a plan in a real browser, in the test shop of a house without keys."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_newcomer import (
    assert_accessible,
    assert_no_side_scroll,
    say,
    sign_up,
    talk_to,
    verify_by_mail,
)
from tests.servers import Installation, WebProcess

NUMBER = ".wallet-number strong"
WORKS = "Use the card that works"
IS_DECLINED = "Use the card that is declined"
ASKS_THE_OWNER = "Use the card that asks for 3-D Secure"
PAGES = (
    "/pricing/",
    "/pricing/?every=year",
    "/wallet/",
    "/wallet/plan/?to=vip_monthly",
    "/what-you-pay-for/",
)
NARROW = {"viewport": {"width": 320, "height": 640}}
DARK_DESK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}


@pytest.fixture(autouse=True)
def _at_the_public_address(visit: Visit, server: WebProcess) -> None:
    """The shop leads back to where the house says it lives, and cookies belong to one host."""
    visit.base_url = f"http://localhost:{server.port}"


def come_in(visit: Visit, name: str) -> Page:
    """Somebody whose address is proved, with 10 daily credits and 20 as a gift."""
    page, email = visit.page(), f"{name}@shop.example.com"
    sign_up(visit, page, email)
    verify_by_mail(visit, page, email)
    return page


def choose(visit: Visit, page: Page, kind: str, slug: str) -> None:
    page.goto(visit.url("/pricing/"))
    page.click(f"button[name={kind}][value={slug}]")
    expect(page.locator(".banner")).to_contain_text("no real money moves")


def pay(page: Page, card: str = WORKS) -> None:
    page.get_by_role("button", name=card).click()


def buy(visit: Visit, page: Page, kind: str, slug: str) -> None:
    choose(visit, page, kind, slug)
    pay(page)
    expect(page.locator("h1")).to_have_text("Thank you")


def forgive_refusals(visit: Visit) -> None:
    """Chromium reports the 402 of a refused card; nothing else may have gone wrong."""
    assert [each for each in visit.complaints if "402" not in each] == []
    visit.complaints.clear()


def test_prices_lead_a_stranger_to_an_account_and_back(visit: Visit) -> None:
    page = visit.page()
    page.goto(visit.url("/"))
    page.get_by_role("link", name="Pricing").click()
    page.get_by_role("link", name="By the year").click()
    page.get_by_role("link", name="Start with Premium yearly").click()
    page.fill("[name=email]", "comes-back@shop.example.com")
    page.fill("[name=password1]", "a-long-walk-by-the-sea")
    page.click("main button.button-primary")
    page.wait_for_url(visit.url("/pricing/?every=year"))
    expect(page.locator("main")).to_contain_text("Before you buy")
    page.get_by_role("button", name="Start with Premium yearly").click()
    expect(page.locator(".toast")).to_contain_text("Verify your email address first")


def test_buys_a_pack(visit: Visit, house: Installation) -> None:
    page = come_in(visit, "packs")
    buy(visit, page, "pack", "credits_500")
    expect(page.locator("#bought")).to_contain_text("550 credits came into your wallet.")
    expect(page.locator(NUMBER)).to_have_text("580")
    page.get_by_role("link", name="Your wallet", exact=True).click()
    expect(page.locator(".history")).to_contain_text("Credits bought · 550 credits")
    page.reload()
    assert house.sql(
        "SELECT amount, credits FROM billing_payment p JOIN accounts_user u ON u.id = p.user_id"
        " WHERE u.email = 'packs@shop.example.com'"
    ) == [(3999, 550_000_000)]


def test_a_refused_card_costs_nothing_and_another_one_works(visit: Visit) -> None:
    page = come_in(visit, "cards")
    choose(visit, page, "pack", "credits_50")
    pay(page, IS_DECLINED)
    expect(page.locator("[role=alert]")).to_contain_text("declined")
    pay(page, ASKS_THE_OWNER)
    page.get_by_role("button", name="Fail").click()
    expect(page.locator("[role=alert]")).to_contain_text("could not confirm that it is you")
    page.get_by_role("link", name="Cancel and go back").click()
    page.wait_for_url(visit.url("/pricing/"))
    page.goto(visit.url("/wallet/"))
    expect(page.locator(NUMBER)).to_have_text("30")

    choose(visit, page, "pack", "credits_50")
    pay(page, ASKS_THE_OWNER)
    page.get_by_role("button", name="Complete").click()
    expect(page.locator("h1")).to_have_text("Thank you")
    expect(page.locator(NUMBER)).to_have_text("80")
    forgive_refusals(visit)


def test_subscribes_changes_cancels_resumes_and_looks_at_the_papers(visit: Visit) -> None:
    page = come_in(visit, "plans")
    buy(visit, page, "plan", "premium_monthly")
    expect(page.locator("#bought")).to_contain_text("Premium monthly is yours. Renews on")

    page.goto(visit.url("/pricing/"))
    page.get_by_role("link", name="Change to VIP monthly").click()
    expect(page.locator(".plan-due")).to_have_text(
        re.compile(r"You pay (19\.99|20\.00)\sUSD now, then 29\.99\sUSD a month\.")
    )
    page.get_by_role("button", name=re.compile("Change and pay")).click()
    expect(page.locator(".toast")).to_contain_text("You have VIP monthly now.")
    expect(page.locator("#plan-now")).to_contain_text("VIP monthly")

    page.get_by_role("link", name="See what it costs to change to Premium monthly").click()
    expect(page.locator(".plan-due")).to_contain_text("until then nothing changes")
    page.get_by_role("button", name="Change then").click()
    expect(page.locator("#plan-now")).to_contain_text("Becomes Premium monthly on")
    page.get_by_role("button", name="Stay with VIP monthly").click()
    expect(page.locator("#plan-now")).to_contain_text("Renews on")

    page.get_by_role("button", name="Cancel the plan").click()
    expect(page.locator("#plan-now")).to_contain_text("is not renewed")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#plan-now")).to_contain_text("Renews on")

    page.get_by_role("button", name="Card and papers").click()
    page.wait_for_url(re.compile("/sandbox/p/session/"))
    page.get_by_role("button", name="Cancel plan").click()
    expect(page.locator("main")).to_contain_text("Ends on")
    page.get_by_role("link", name="Back to the shop").click()
    page.wait_for_url(visit.url("/wallet/plan/"))
    expect(page.locator("#plan-now")).to_contain_text("is not renewed")


def test_an_open_wallet_hears_of_a_purchase_and_of_a_refund_by_staff(
    visit: Visit, chromium: Browser, house: Installation
) -> None:
    wallet = come_in(visit, "watcher")
    wallet.goto(visit.url("/wallet/"))
    expect(wallet.locator(NUMBER)).to_have_text("30")
    wallet.evaluate("window.isTheSamePage = true")
    other = visit.page()
    buy(visit, other, "pack", "credits_100")
    expect(wallet.locator(NUMBER)).to_have_text("130")
    expect(wallet.locator("[data-header-credits]")).to_have_text("130")
    expect(wallet.locator("#wallet-history")).to_contain_text("Credits bought · 100 credits")

    refund_as_staff(visit, chromium, house, "watcher@shop.example.com")
    expect(wallet.locator(NUMBER)).to_have_text("30")
    expect(wallet.locator("#wallet-history")).to_contain_text("Refund · 100 credits")
    assert wallet.evaluate("window.isTheSamePage") is True


def refund_as_staff(visit: Visit, chromium: Browser, house: Installation, email: str) -> None:
    [(payment_id,)] = house.sql(
        "SELECT p.id FROM billing_payment p JOIN accounts_user u ON u.id = p.user_id WHERE u.email = %s",
        email,
    )
    context = chromium.new_context()
    page = context.new_page()
    page.goto(visit.url("/accounts/login/"))
    page.fill("[name=login]", "staff@example.com")
    page.fill("[name=password]", "parlor-demo-staff")
    page.click("main button.button-primary")
    page.wait_for_url(visit.url("/"))
    page.goto(visit.url(f"/admin/billing/payment/{payment_id}/change/"))
    page.click(f'a[href*="{payment_id}/refund"]')
    page.fill("[name=reason]", "Bought by mistake.")
    page.get_by_role("button", name="Refund", exact=True).click()
    expect(page.locator("body")).to_contain_text("The money is on its way back.")
    context.close()


def test_short_of_credits_in_mid_talk_buys_a_pack_and_goes_on(visit: Visit, house: Installation) -> None:
    page = come_in(visit, "talker")
    talk_to(visit, page, "wren")
    house.sql(
        "UPDATE billing_wallet SET daily_held = daily_balance, bonus_held = bonus_balance"
        " FROM accounts_user u WHERE u.id = user_id AND u.email = 'talker@shop.example.com'"
    )
    say(page, "Where were we?")
    sheet = page.locator("#credits-sheet")
    expect(sheet).to_be_visible()
    expect(sheet.locator("[data-way]:visible")).to_have_count(3)
    assert_accessible(page)
    sheet.get_by_role("button", name="Get 10 credits for 0.99 USD").click()
    pay(page)
    expect(page.locator("#bought")).to_contain_text("10 credits came into your wallet.")
    page.get_by_role("link", name="Continue your talk").click()
    expect(page.locator("#composer-text")).to_have_value("Where were we?")
    page.click("[data-send]")
    expect(page.locator(".tool-receipt")).to_have_count(1, timeout=20_000)


def test_paused_spending_is_resumed_from_the_talk(visit: Visit) -> None:
    page = come_in(visit, "pauses")
    page.goto(visit.url("/wallet/"))
    page.get_by_role("button", name="Pause all spending").click()
    expect(page.locator("#wallet-sum")).to_contain_text("You have paused spending")
    talk_to(visit, page, "wren")
    say(page, "Are you there?")
    sheet = page.locator("#credits-sheet")
    expect(sheet.locator("[data-sheet-title]")).to_have_text("You have paused spending")
    expect(sheet.locator("[data-way]:visible")).to_have_count(1)
    sheet.get_by_role("button", name="Resume spending").click()
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/"))
    expect(page.locator("#composer-text")).to_have_value("Are you there?")
    expect(page.locator(".toast")).to_contain_text("Spending goes on.")


@pytest.mark.parametrize("visit", [NARROW, DARK_DESK], ids=["narrow", "dark-desk"], indirect=True)
def test_pages_about_money_are_accessible_and_narrow(visit: Visit) -> None:
    stranger = visit.page()
    stranger.goto(visit.url("/pricing/"))
    assert_accessible(stranger)
    assert_no_side_scroll(stranger)
    page = come_in(visit, f"reader-{time.monotonic_ns()}")
    buy(visit, page, "plan", "premium_monthly")
    assert_accessible(page)
    assert_no_side_scroll(page)
    for path in PAGES:
        page.goto(visit.url(path))
        assert_accessible(page)
        assert_no_side_scroll(page)
