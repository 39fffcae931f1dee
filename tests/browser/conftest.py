"""A real Chromium against a real server started as `make run` starts it."""

import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from accounts.tests.id_provider import GOOGLE_CLIENT, KeyServer, key_server
from tests.servers import Installation, WebProcess, installation

expect.set_options(timeout=15_000)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="chromium is not on the PATH"))


@pytest.fixture(scope="session")
def google() -> Iterator[KeyServer]:
    with key_server() as server:
        yield server


@pytest.fixture(scope="session")
def house(google: KeyServer) -> Iterator[Installation]:
    with installation(
        GOOGLE_CLIENT_ID=GOOGLE_CLIENT,
        GOOGLE_CLIENT_SECRET="google-secret",
        GOOGLE_AUTHORIZE_URL=f"{google.url}/authorize",
        GOOGLE_TOKEN_URL=f"{google.url}/token",
        GOOGLE_CERTS_URL=f"{google.url}/certs",
    ) as made:
        yield made


@pytest.fixture(scope="session")
def server(house: Installation) -> Iterator[WebProcess]:
    web = WebProcess(house)
    try:
        yield web.wait_until_ready()
    finally:
        web.end()


# Only as long as these tests run: its loop stays in the main thread, and other tests have loops of their own.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield browser
        browser.close()


class Visit:
    """A browser context that remembers what went wrong: console errors and requests to other hosts."""

    def __init__(self, context: BrowserContext, server: WebProcess) -> None:
        self.context = context
        self.base_url = server.url
        self.friends: set[str] = set()  # other hosts somebody may be led to
        self.complaints: list[str] = []
        context.on("request", self._check_host)
        context.on("console", self._check_console)
        context.on("weberror", lambda error: self.complaints.append(f"page error: {error.error}"))

    def page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(15_000)
        return page

    def url(self, path: str) -> str:
        return f"{self.base_url}{path}"

    def _check_host(self, request: Any) -> None:
        parts = urlsplit(request.url)
        ours = {urlsplit(self.base_url).netloc, *self.friends}
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc not in ours:
            self.complaints.append(f"foreign request: {request.url}")

    def _check_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console {message.type}: {message.text} ({message.location.get('url')})")


@pytest.fixture
def visit(request: pytest.FixtureRequest, chromium: Browser, server: WebProcess) -> Iterator[Visit]:
    """A fresh visitor; `@pytest.mark.parametrize("visit", [{...}], indirect=True)` gives context options."""
    options = getattr(request, "param", {"viewport": {"width": 1280, "height": 900}})
    context = chromium.new_context(**options)
    visitor = Visit(context, server)
    yield visitor
    context.close()
    assert visitor.complaints == []
