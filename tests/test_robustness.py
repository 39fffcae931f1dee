"""Generated requests to every operation of the API's document: nothing breaks, all answers are known.

Schemathesis makes the requests, right ones and wrong ones, always the same; half of them name objects the
caller owns. What one did to the database is undone before the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import checks as _load_checks  # noqa: F401
from schemathesis.specs.openapi import checks

from billing.services.limits import local_window
from billing.tests.shop import open_shop
from common.testing.clients import access_token
from tests.world import World

pytestmark = pytest.mark.django_db

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
REAL_IDS = {
    "persona_id": ["persona", "draft", "mature"],
    "session_id": ["session", "deleted_session"],
    "message_id": ["question", "reply"],
    "generation_id": ["generation"],
    "key_id": ["api_key"],
    "export_id": ["export"],
    "file_id": ["file"],
    "upload_id": ["upload"],
    "payment_id": ["payment"],
}
# A stream has no end to wait for in one thread; its tests are the chat's.
STREAMS = {"chat_generations_events_retrieve"}


def load_schema() -> Any:
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    # Signing in is django-allauth's, with tests of its own.
    return schemathesis.openapi.from_dict(document, config=config).include(path_regex="^/api/")


SCHEMA = load_schema()
OPERATIONS = {
    result.ok().definition.raw["operationId"]: result.ok() for result in SCHEMA.get_all_operations()
}


def cases(operation: Any) -> st.SearchStrategy[Any]:
    modes = schemathesis.GenerationMode
    return operation.as_strategy(modes.POSITIVE) | operation.as_strategy(modes.NEGATIVE)


@contextmanager
def connection_kept_open() -> Iterator[None]:
    """Requests end without closing the connection that holds the test's transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def _shop(request: pytest.FixtureRequest) -> Iterator[None]:
    """A store to buy at: without one every wish to buy is answered alike."""
    with open_shop(request.getfixturevalue("settings")):
        yield


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_breaks_and_every_answer_is_documented(
    name: str, world: World, pytestconfig: pytest.Config
) -> None:
    app = get_wsgi_application()
    headers = {"Authorization": f"Bearer {access_token(world.people['owner'])}"}
    operation = OPERATIONS[name]

    @seed(pytestconfig.getoption("api_seed"))
    @settings(
        max_examples=pytestconfig.getoption("api_examples"),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(operation), chosen=st.integers(min_value=-2, max_value=2))
    def run(case: Any, chosen: int) -> None:
        if chosen >= 0 and name not in STREAMS:
            for parameter in case.path_parameters or {}:
                known = REAL_IDS[parameter]
                case.path_parameters[parameter] = str(world.ids[known[chosen % len(known)]])
        cache.clear()
        local_window.clear()
        with transaction.atomic():
            response = case.call(app=app, headers=headers)
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)
        assert response.headers["x-request-id"]

    with connection_kept_open():
        run()
