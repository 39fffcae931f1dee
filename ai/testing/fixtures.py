"""Fixtures of the model gateway for the whole suite."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _fresh_gateway() -> Iterator[None]:
    """Nothing remembered from the test before: catalogue, spending, circuit breakers."""
    from ai import runtime, selectors
    from ai.services import spend

    selectors.catalogue.forget()
    selectors.limits.forget()
    spend.today.forget()
    runtime.forget_circuits()
    yield
