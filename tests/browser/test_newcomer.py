"""The newcomer's path in a real browser; `conftest.py` refuses foreign requests and console errors."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.servers import Installation

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
NARROW = {"viewport": {"width": 320, "height": 640}}
PASSWORD = "a-long-walk-by-the-sea"


def sign_up(visit: Visit, page: Page, email: str) -> None:
    page.goto(visit.url("/accounts/signup/"))
    page.fill("[name=email]", email)
    page.fill("[name=password1]", PASSWORD)
    page.click("main button.button-primary")
    page.wait_for_url(visit.url("/"))


def verify_by_mail(visit: Visit, page: Page, email: str) -> None:
    mails = page.request.get(visit.url("/dev/mailbox/?format=json")).json()
    body = next(mail["body"] for mail in mails if mail["to"] == email)
    path = re.search(r"(/accounts/confirm-email/[^\s]+)", body)
    assert path is not None, body
    page.goto(visit.url(path[1]))
    page.click("main button.button-primary")
    page.wait_for_load_state()


def talk_to(visit: Visit, page: Page, slug: str) -> str:
    page.goto(visit.url(f"/personas/{slug}/"))
    page.click(".persona-page-actions .button-primary")
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/"))
    return page.url.rstrip("/").rsplit("/", 1)[1]


def say(page: Page, text: str) -> None:
    page.fill("#composer-text", text)
    page.click("[data-send]")


def last_reply(house: Installation, session_id: str) -> tuple[Any, ...]:
    return house.sql(
        "SELECT id, status, content, charge FROM chat_message"
        " WHERE session_id = %s AND role = 'assistant' ORDER BY id DESC LIMIT 1",
        session_id,
    )[0]


def words_of(page: Page, message_id: object) -> str:
    return " ".join(page.locator(f"#m-{message_id} [data-words]").inner_text().split())


def plain(markdown: str) -> str:
    return " ".join(markdown.replace("*", "").split())


def assert_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found] == []


def assert_no_side_scroll(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_signs_up_talks_reloads_in_mid_reply_and_sees_the_cost(visit: Visit, house: Installation) -> None:
    page = visit.page()
    page.goto(visit.url("/"))
    assert page.locator(".persona-card").count() >= 12
    sign_up(visit, page, "ada@example.com")
    verify_by_mail(visit, page, "ada@example.com")
    session_id = talk_to(visit, page, "maren")
    expect(page.locator(".message-assistant .words")).to_contain_text("You found the path, then.")
    expect(page.locator(".chat-disclosure")).to_contain_text("demo model")

    say(page, "Good evening! Is the kettle on?")
    live = page.locator(".message-live [data-words]")
    expect(live).to_contain_text(re.compile(r"\w+"))
    page.reload()
    expect(page.locator(".message-live")).to_have_count(1)
    expect(page.locator(".message-live")).to_have_count(0, timeout=20_000)
    expect(page.locator(".tool-receipt")).to_have_count(1)

    message_id, status, content, charge = last_reply(house, session_id)
    assert status == "complete"
    assert words_of(page, message_id) == plain(content)
    assert house.sql("SELECT count(*) FROM chat_generation WHERE session_id = %s", session_id) == [(1,)]

    page.click(".tool-receipt")
    expect(page.locator("#receipt")).to_contain_text("What this reply cost")
    page.keyboard.press("Escape")
    page.goto(visit.url("/wallet/"))
    expect(page.locator(".history")).to_contain_text("Talk with Maren")
    spent = house.sql(
        "SELECT -sum(amount) FROM billing_ledgertransaction t JOIN accounts_user u ON u.id = t.user_id"
        " WHERE u.email = 'ada@example.com' AND kind = 'charge'"
    )
    assert spent == [(charge,)]
    bonus = house.sql(
        "SELECT bonus_balance FROM billing_wallet w JOIN accounts_user u ON u.id = w.user_id"
        " WHERE u.email = 'ada@example.com'"
    )
    assert bonus == [(20_000_000,)]


def test_stops_answers_again_and_pages_through_variants(visit: Visit, house: Installation) -> None:
    page = visit.page()
    sign_up(visit, page, "grace@example.com")
    session_id = talk_to(visit, page, "ptolemy")
    say(page, "Please explain recursion to me at great length, dear professor!")
    expect(page.locator("[data-stop]")).to_be_visible()
    expect(page.locator(".message-live [data-words]")).to_contain_text(re.compile(r"\w+"))
    page.keyboard.press("Escape")
    expect(page.locator(".message-note")).to_contain_text("Stopped")
    assert last_reply(house, session_id)[1] == "stopped"

    page.locator(".message-tools [aria-label='Answer again']").last.click()
    expect(page.locator(".variants")).to_contain_text("2/2", timeout=20_000)
    page.locator(".variants button").first.click()
    expect(page.locator(".variants")).to_contain_text("1/2")


def test_words_survive_a_reload_and_a_refusal(visit: Visit, house: Installation) -> None:
    page = visit.page()
    sign_up(visit, page, "lin@example.com")
    talk_to(visit, page, "juno")
    page.fill("#composer-text", "A thought I have not sent")
    page.reload()
    expect(page.locator("#composer-text")).to_have_value("A thought I have not sent")
    house.sql(
        "UPDATE billing_wallet SET suspended_at = now() FROM accounts_user u"
        " WHERE u.id = billing_wallet.user_id AND u.email = 'lin@example.com'"
    )
    page.click("[data-send]")
    expect(page.locator("[data-composer-note]")).not_to_be_empty()
    expect(page.locator("#composer-text")).to_have_value("A thought I have not sent")
    expect(page.locator(".message-user")).to_have_count(0)


def test_imports_a_card_and_talks_to_it(visit: Visit, tmp_path: Path) -> None:
    card = {
        "spec": "chara_card_v2",
        "spec_version": "2.0",
        "data": {"name": "Harbour Cat", "first_mes": "*blinks* You smell of fish.", "description": "A cat."},
    }
    path = tmp_path / "cat.json"
    path.write_text(json.dumps(card))
    page = visit.page()
    sign_up(visit, page, "hedy@example.com")
    page.goto(visit.url("/personas/import/"))
    page.set_input_files("input[type=file]", str(path))
    page.click("main button.button-primary")
    expect(page.locator("h1")).to_have_text("Harbour Cat")
    page.click(".persona-page-actions .button-primary")
    expect(page.locator(".message-assistant .words")).to_contain_text("You smell of fish.")


def test_staff_see_the_house_from_the_admin(visit: Visit) -> None:
    page = visit.page()
    page.goto(visit.url("/accounts/login/"))
    page.fill("[name=login]", "staff@example.com")
    page.fill("[name=password]", "parlor-demo-staff")
    page.click("main button.button-primary")
    page.wait_for_url(visit.url("/"))
    page.goto(visit.url("/admin/"))
    assert page.get_by_text("Credits outstanding").count() == 1
    for path in (
        "accounts/user",
        "personas/persona",
        "chat/chatsession",
        "chat/generation",
        "billing/ledgertransaction",
        "billing/wallet",
        "ai/modelcall",
        "ai/aimodel",
    ):
        response = page.goto(visit.url(f"/admin/{path}/"))
        assert response is not None
        assert response.status == 200, path


@pytest.mark.parametrize("visit", [PHONE, NARROW], ids=["phone", "narrow"], indirect=True)
def test_a_small_screen_needs_no_side_scroll(visit: Visit) -> None:
    page = visit.page()
    width = page.viewport_size["width"] if page.viewport_size else 0
    for path in ("/", "/personas/wren/", "/accounts/signup/", "/accounts/login/"):
        page.goto(visit.url(path))
        assert_no_side_scroll(page)
    sign_up(visit, page, f"phone-{width}@example.com")
    for path in (
        "/wallet/",
        "/personas/create/",
        "/personas/import/",
        "/personas/mine/",
        "/chat/",
        "/settings/profile/",
    ):
        page.goto(visit.url(path))
        assert_no_side_scroll(page)
    talk_to(visit, page, "wren")
    expect(page.locator("#composer-text")).to_be_in_viewport()
    assert_no_side_scroll(page)


@pytest.mark.parametrize(
    "visit",
    [{"viewport": {"width": 1280, "height": 900}}, {**PHONE, "color_scheme": "dark"}],
    ids=["desk", "dark-phone"],
    indirect=True,
)
def test_no_page_has_an_accessibility_finding(visit: Visit) -> None:
    page = visit.page()
    width = page.viewport_size["width"] if page.viewport_size else 0
    for path in (
        "/",
        "/personas/tock/",
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/password/reset/",
    ):
        page.goto(visit.url(path))
        assert_accessible(page)
    sign_up(visit, page, f"axe-{width}@example.com")
    talk_to(visit, page, "tock")
    say(page, "Hello!")
    expect(page.locator(".tool-receipt")).to_have_count(1, timeout=20_000)
    assert_accessible(page)
    for path in (
        "/wallet/",
        "/personas/create/",
        "/personas/import/",
        "/personas/mine/",
        "/chat/",
        "/settings/profile/",
    ):
        page.goto(visit.url(path))
        assert_accessible(page)
