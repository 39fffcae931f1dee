"""A real Chromium against a real server started as `make run` starts it."""

import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.servers import Installation, WebProcess, installation

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="chromium is not on the PATH"))


@pytest.fixture(scope="session")
def house() -> Iterator[Installation]:
    with installation() as made:
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
        self.server = server
        self.complaints: list[str] = []
        context.on("request", self._check_host)
        context.on("console", self._check_console)
        context.on("weberror", lambda error: self.complaints.append(f"page error: {error.error}"))

    def page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(15_000)
        return page

    def url(self, path: str) -> str:
        return f"{self.server.url}{path}"

    def _check_host(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if (
            parts.scheme in ("http", "https", "ws", "wss")
            and parts.netloc != urlsplit(self.server.url).netloc
        ):
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
