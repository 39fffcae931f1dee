"""Fixtures of the whole suite. The server is the embedded one; `PARLOR_DATA_DIR` gives a suite its own."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import TransactionTestCase
from xdist.scheduler import LoadScopeScheduling

from common.testing import database

pytest_plugins = ["ai.testing.fixtures", "common.testing.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ledger-steps", type=int, default=10_000, help="steps of the ledger's state machine")
    parser.addoption("--ledger-seed", type=int, default=0, help="repeat a run of the ledger's state machine")
    parser.addoption("--ledger-mutants", type=int, default=0, help="steps against each broken money function")
    parser.addoption("--api-examples", type=int, default=25, help="generated requests to each API operation")
    parser.addoption("--fuzz-seconds", type=int, default=48, help="how long made-up files are decoded")
    parser.addoption("--timing-pairs", type=int, default=25, help="known and unknown accounts asked about")
    parser.addoption("--api-seed", type=int, default=20_261_120, help="other generated requests")


class InTurns(LoadScopeScheduling):
    """Tests that watch clocks and whole processes run one after the other; the others run beside them."""

    def _split_scope(self, nodeid: str) -> str:
        return "processes" if nodeid.startswith(("tests/processes/", "tests/browser/")) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InTurns:
    return InTurns(config, log)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> Iterator[None]:
    from django.conf import settings

    database.start_server(settings.DATA_DIR)
    database.use_role("parlor_owner")
    yield
    if "PYTEST_XDIST_WORKER" in os.environ:
        database.stop_server(settings.DATA_DIR)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        database.remember_seed_rows()
        database.use_role("parlor_app")
    TransactionTestCase._fixture_teardown = lambda self: database.restore_seed_rows()
    yield
    with django_db_blocker.unblock():
        database.close_other_sessions()
        database.use_role("parlor_owner")


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def api_client() -> Callable[..., Any]:
    """`api_client(user)` is a REST client that carries the user's real access token."""
    from common.testing.clients import make_api_client

    return make_api_client
