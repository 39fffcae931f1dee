"""Fixtures of the model gateway for the whole suite."""

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from ai.testing.fake_provider import FakeProvider


@pytest.fixture(autouse=True)
def _fresh_gateway() -> None:
    """Nothing remembered from the test before: catalogue, spending, circuit breakers."""
    from ai import runtime, selectors
    from ai.services import spend

    selectors.catalogue.forget()
    selectors.limits.forget()
    spend.today.forget()
    runtime.forget_circuits()


@pytest.fixture(scope="session")
def fake_provider_server() -> Iterator[FakeProvider]:
    server = FakeProvider().start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def _closed_gateway() -> AsyncIterator[None]:
    from ai import gateway

    yield
    await gateway.aclose()


@pytest.fixture
def fake_provider(
    request: pytest.FixtureRequest, settings: Any, fake_provider_server: FakeProvider
) -> FakeProvider:
    """A provider on a real socket, configured as Anthropic; `use_provider` configures it as another one."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("_closed_gateway")
    fake_provider_server.reset()
    use_provider(settings, fake_provider_server, "anthropic")
    return fake_provider_server


def use_provider(settings: Any, server: FakeProvider, provider: str) -> None:
    """Give `provider` a key and the fake server's address, and no other provider one."""
    paths = {"anthropic": "", "openai": "/v1", "xai": "/v1", "gemini": "", "compatible": "/v1"}
    for name, path in paths.items():
        is_used = name == provider
        setattr(settings, f"{name.upper()}_API_KEY", f"test-{name}-key" if is_used else "")
        if is_used or name == "compatible":
            setattr(settings, f"{name.upper()}_BASE_URL", f"{server.url}{path}" if is_used else "")
