"""What the tests of the whole share, and what they say at the end."""

from typing import Any

import pytest

from tests.permissions import API, PAGES, ROLES
from tests.world import World, make_world

_MATRIX = "test_every_role_gets_what_the_table_says"


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many cells of the permission matrix were really checked."""
    checked = sum(_MATRIX in report.nodeid for report in terminalreporter.stats.get("passed", ()))
    if checked:
        rows = len(API) + len(PAGES)
        terminalreporter.write_line(
            f"permission matrix: {checked * len(ROLES)} cells checked"
            f" ({checked} of {rows} rows x {len(ROLES)} roles)"
        )
