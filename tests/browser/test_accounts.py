"""Ways into an account and out of it, as somebody at a screen takes them."""

import json
import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from playwright.sync_api import Page, expect

from accounts.tests.id_provider import KeyServer, google_claims, sign
from files.tests import samples
from tests.browser.conftest import Visit
from tests.browser.test_newcomer import (
    PASSWORD,
    PHONE,
    assert_accessible,
    assert_no_side_scroll,
    sign_up,
    verify_by_mail,
)
from tests.servers import Installation

GO_ON = "main .button-primary"
SETTINGS = (
    "/settings/profile/",
    "/settings/sign-in/",
    "/settings/sessions/",
    "/settings/storage/",
    "/settings/api-keys/",
    "/settings/data/",
    "/accounts/email/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/add/",
)


def texted_code(visit: Visit, page: Page, number: str) -> str:
    messages = page.request.get(visit.url("/dev/mailbox/?format=json")).json()
    body = next(m["body"] for m in messages if (m["channel"], m["to"]) == ("sms", number))
    found = re.search(r"\b(\d{6})\b", body)
    assert found is not None, body
    return found[1]


def come_in_by_phone(visit: Visit, page: Page, number: str) -> None:
    page.goto(visit.url("/accounts/login/"))
    page.get_by_role("link", name="Use a phone number").click()
    page.fill("[name=phone]", number)
    page.click(GO_ON)
    page.fill("[name=code]", texted_code(visit, page, number.replace(" ", "")))
    page.wait_for_url(visit.url("/"))


def go_to(visit: Visit, page: Page, path: str) -> None:
    """Opens a page, and proves who it is where that is asked for."""
    page.goto(visit.url(path))
    if "/reauthenticate/" in page.url:
        prove(page)
        page.wait_for_url(visit.url(path))


def prove(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("Is it you?")
    page.fill("[name=password]", PASSWORD)
    page.click(GO_ON)


def log_out(visit: Visit, page: Page) -> None:
    page.goto(visit.url("/accounts/logout/"))
    page.click("main button")
    page.wait_for_url(visit.url("/"))


def log_in(visit: Visit, page: Page, email: str) -> None:
    page.goto(visit.url("/accounts/login/"))
    page.fill("[name=login]", email)
    page.fill("[name=password]", PASSWORD)
    page.click(GO_ON)


def account_of(house: Installation, name: str) -> object:
    """The id of the one account with this address or number."""
    [(found,)] = house.sql("SELECT id FROM accounts_user WHERE %s IN (email, phone)", name)
    return found


@pytest.mark.parametrize("visit", [PHONE], ids=["phone"], indirect=True)
def test_a_phone_number_makes_an_account_and_opens_it_again(visit: Visit, house: Installation) -> None:
    page, number = visit.page(), "+41791234567"
    come_in_by_phone(visit, page, "+41 79 123 45 67")
    made = account_of(house, number)
    page.goto(visit.url("/settings/sign-in/"))
    expect(page.locator("main")).to_contain_text(number)
    expect(page.locator("main")).to_contain_text("You have one way into your account.")
    log_out(visit, page)
    come_in_by_phone(visit, page, number)
    assert account_of(house, number) == made
    page.goto(visit.url("/settings/sign-in/"))
    expect(page.locator("main")).to_contain_text(number)


def test_google_is_linked_lets_in_and_is_unlinked(
    visit: Visit, house: Installation, google: KeyServer
) -> None:
    visit.friends.add(urlsplit(google.url).netloc)
    google.id_token = sign(google_claims(email="maria@gmail.example", sub="maria-at-google"))
    page = visit.page()
    sign_up(visit, page, "maria@example.com")
    verify_by_mail(visit, page, "maria@example.com")
    page.goto(visit.url("/settings/sign-in/"))
    page.get_by_role("button", name="Link", exact=True).click()
    prove(page)
    page.wait_for_url(visit.url("/settings/sign-in/"))
    expect(page.locator("main")).to_contain_text("maria@gmail.example")

    log_out(visit, page)
    page.goto(visit.url("/accounts/login/"))
    page.get_by_role("button", name="Continue with Google").click()
    page.wait_for_url(visit.url("/"))
    page.goto(visit.url("/settings/sign-in/"))
    expect(page.locator("main")).to_contain_text("maria@example.com")

    page.get_by_role("button", name="Unlink").click()
    page.wait_for_url(visit.url("/settings/sign-in/"))
    expect(page.get_by_role("button", name="Link", exact=True)).to_be_visible()
    owner = account_of(house, "maria@example.com")
    assert house.sql("SELECT 1 FROM socialaccount_socialaccount WHERE user_id = %s", owner) == []


def test_a_passkey_is_added_and_lets_in_without_a_password(visit: Visit, house: Installation) -> None:
    # A browser gives no passkey to a bare address.
    visit.base_url = visit.base_url.replace("127.0.0.1", "localhost")
    page = visit.page()
    chromium = visit.context.new_cdp_session(page)
    chromium.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    chromium.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_up(visit, page, "judy@example.com")
    verify_by_mail(visit, page, "judy@example.com")
    page.goto(visit.url("/settings/sign-in/"))
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("link", name="Add a passkey").click()
    prove(page)
    page.fill("[name=name]", "My laptop")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator(".recovery-codes code")).to_have_count(10)
    page.goto(visit.url("/accounts/2fa/"))
    expect(page.locator("main")).to_contain_text("My laptop")

    log_out(visit, page)
    page.goto(visit.url("/accounts/login/"))
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(visit.url("/"))
    page.goto(visit.url("/settings/sign-in/"))
    expect(page.locator("main")).to_contain_text("judy@example.com")


def test_an_authenticator_app_is_asked_for_and_a_recovery_code_stands_in(visit: Visit) -> None:
    page = visit.page()
    sign_up(visit, page, "tess@example.com")
    verify_by_mail(visit, page, "tess@example.com")
    go_to(visit, page, "/accounts/2fa/totp/activate/")
    page.get_by_text("Can't scan it?").click()
    secret = page.locator("details code").inner_text()
    page.fill("[name=code]", "000000")
    page.click(GO_ON)
    expect(page.locator(".field-errors")).to_be_visible()
    assert page.locator("details code").text_content() == secret
    counter = next(iter(yield_hotp_counters_from_time()))
    page.fill("[name=code]", format_hotp_value(hotp_value(secret, counter)))
    page.click(GO_ON)
    codes = page.locator(".recovery-codes code")
    expect(codes).to_have_count(10)
    spare = codes.first.inner_text()

    log_out(visit, page)
    log_in(visit, page, "tess@example.com")
    expect(page.locator("h1")).to_have_text("One more step")
    page.goto(visit.url("/settings/profile/"))
    expect(page.locator("h1")).to_have_text("One more step")
    page.fill("[name=code]", "nonsense")
    page.click(GO_ON)
    expect(page.locator(".field-errors")).to_be_visible()
    page.fill("[name=code]", spare)
    page.click(GO_ON)
    page.wait_for_url(visit.url("/"))
    page.goto(visit.url("/accounts/2fa/"))
    expect(page.locator("main")).to_contain_text("You have 9 codes left")


def test_everything_is_taken_along_and_the_account_goes_after_a_second_thought(
    visit: Visit, house: Installation, tmp_path: Path
) -> None:
    page = visit.page()
    sign_up(visit, page, "nora@example.com")
    verify_by_mail(visit, page, "nora@example.com")
    page.goto(visit.url("/settings/data/"))
    page.get_by_role("button", name="Put my data together").click()
    link = page.get_by_role("link", name="Download")
    expect(link).to_be_visible(timeout=30_000)
    with page.expect_download() as download:
        link.click()
    path = tmp_path / "mine.zip"
    download.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        everything = " ".join(
            archive.read(name).decode() for name in archive.namelist() if name.endswith("json")
        )
    assert "nora@example.com" in everything

    page.fill("[name=confirmation]", "DELETE")
    page.get_by_role("button", name="Delete my account").click()
    prove(page)
    notice = page.locator(".leaving-notice")
    expect(notice).to_contain_text("will be deleted on")
    assert_accessible(page)
    notice.get_by_role("button", name="Keep my account").click()
    expect(notice).to_have_count(0)
    owner = account_of(house, "nora@example.com")
    assert house.sql("SELECT leaving_at FROM accounts_user WHERE id = %s", owner) == [(None,)]


def test_files_go_up_are_listed_and_deleted(visit: Visit) -> None:
    page = visit.page()
    sign_up(visit, page, "fay@example.com")
    page.goto(visit.url("/settings/storage/"))
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": "Meet at ten. ☕".encode()}
    sketch = {"name": "sketch.png", "mimeType": "image/png", "buffer": samples.picture(size=(300, 200))}
    page.set_input_files("input[type=file]", [notes, sketch])
    page.get_by_role("button", name="Upload").click()
    shown = page.locator(".storage-file")
    expect(shown).to_have_count(2)
    expect(page.locator("main")).to_contain_text("2 files")
    with page.expect_download() as download:
        page.get_by_role("link", name="notes.txt").click()
    assert download.value.path().read_text() == "Meet at ten. ☕"

    row = shown.filter(has_text="sketch.png")
    row.get_by_text("Delete", exact=True).click()
    row.get_by_role("button").last.click()
    expect(shown).to_have_count(1)
    bad = {"name": "page.html", "mimeType": "text/html", "buffer": b"\x00\x01not text"}
    page.set_input_files("input[type=file]", [bad])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("page.html:")).to_be_visible()
    # A browser notes every refused request.
    visit.complaints[:] = [found for found in visit.complaints if "status of 422" not in found]


def test_a_new_key_is_shown_once_and_copied(visit: Visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.page()
    sign_up(visit, page, "kay@example.com")
    verify_by_mail(visit, page, "kay@example.com")
    page.goto(visit.url("/settings/api-keys/"))
    page.fill("[name=name]", "My editor")
    page.get_by_role("button", name="Make a key").click()
    prove(page)
    key = page.locator("#new-key").inner_text()
    page.get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == key
    answer = page.request.get(visit.url("/v1/models"), headers={"Authorization": f"Bearer {key}"})
    assert "maren" in json.dumps(answer.json())
    page.goto(visit.url("/settings/api-keys/"))
    expect(page.locator("main")).to_contain_text("My editor")
    expect(page.locator("#new-key")).to_have_count(0)


@pytest.mark.parametrize(
    "visit",
    [{"viewport": {"width": 1280, "height": 900}}, {**PHONE, "color_scheme": "dark"}],
    ids=["desk", "dark-phone"],
    indirect=True,
)
def test_the_settings_are_accessible_and_fit(visit: Visit) -> None:
    page = visit.page()
    width = page.viewport_size["width"] if page.viewport_size else 0
    for path in ("/accounts/login/phone/", "/accounts/login/code/"):
        page.goto(visit.url(path))
        assert_accessible(page)
        assert_no_side_scroll(page)
    sign_up(visit, page, f"settings-{width}@example.com")
    verify_by_mail(visit, page, f"settings-{width}@example.com")
    for path in SETTINGS:
        go_to(visit, page, path)
        assert_accessible(page)
        assert_no_side_scroll(page)
