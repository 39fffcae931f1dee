"""The catalogue, the log and the limits in the admin."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.tests.factories import make_user
from ai import selectors
from ai.models import AIModel, ModelCall, SpendLimit
from ai.services.usage import record_call
from ai.tests.factories import make_outcome

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_user("boss@example.com", superuser=True))
    return client


def log_calls(count: int) -> None:
    user = make_user()
    with transaction.atomic():
        for _ in range(count):
            record_call(make_outcome(), user_id=user.id, purpose="chat", reference="generation:1")


def model_form(model: AIModel, **changes: Any) -> dict[str, Any]:
    fields = (
        "slug",
        "display_name",
        "provider",
        "name",
        "is_enabled",
        "is_default",
        "context_window",
        "max_output_tokens",
        "supports_temperature",
        "lowest_tier",
        "input_price",
        "output_price",
        "cached_price",
        "cache_write_price",
    )
    form = {name: getattr(model, name) for name in fields} | {"options": "{}", "fallback": ""}
    return {name: value for name, value in (form | changes).items() if value is not False}


def test_staff_change_a_price_and_the_gateway_knows_it_at_once(staff: Client, settings: Any) -> None:
    settings.ANTHROPIC_API_KEY = "key"
    model = selectors.get_model("claude-haiku-4-5")
    answer = staff.post(f"/admin/ai/aimodel/{model.id}/change/", model_form(model, input_price="1.25"))
    assert answer.status_code == 302
    assert str(selectors.get_model("claude-haiku-4-5").input_price) == "1.2500"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_price": "-1"}, "greater than or equal to 0"),
        ({"is_default": True}, "This provider has a default model already."),
        ({"options": '{"model": "x"}'}, "These options are set by Parlor itself: model."),
        ({"context_window": "10"}, "The context window must be larger than the longest reply."),
    ],
)
def test_what_cannot_work_is_said_in_the_form(staff: Client, change: dict[str, Any], words: str) -> None:
    model = AIModel.objects.get(slug="claude-haiku-4-5")
    answer = staff.post(f"/admin/ai/aimodel/{model.id}/change/", model_form(model, **change))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    unchanged = AIModel.objects.get(slug="claude-haiku-4-5")
    assert (unchanged.input_price, unchanged.is_default, unchanged.options) == (model.input_price, False, {})


def test_cleared_options_are_saved_as_none(staff: Client) -> None:
    model = AIModel.objects.get(slug="claude-sonnet-5-5")
    answer = staff.post(f"/admin/ai/aimodel/{model.id}/change/", model_form(model, options=""))
    assert answer.status_code == 302
    assert AIModel.objects.get(slug="claude-sonnet-5-5").options == {}


def test_the_log_can_be_read_and_not_written(staff: Client) -> None:
    log_calls(1)
    call = ModelCall.objects.get()
    assert "0.001234" in staff.get("/admin/ai/modelcall/").content.decode()
    assert staff.get(f"/admin/ai/modelcall/{call.id}/change/").status_code == 200
    assert staff.get("/admin/ai/modelcall/add/").status_code == 403
    assert staff.post(f"/admin/ai/modelcall/{call.id}/change/", {"cost_micro_usd": 0}).status_code == 403
    assert staff.post(f"/admin/ai/modelcall/{call.id}/delete/", {"post": "yes"}).status_code == 403
    call.refresh_from_db()
    assert call.cost_micro_usd == 1_234


def test_the_log_takes_as_many_queries_for_twenty_calls_as_for_two_and_counts_none_exactly(
    staff: Client,
) -> None:
    counts = []
    staff.get("/admin/ai/modelcall/")
    for calls in (2, 18):
        log_calls(calls)
        with CaptureQueriesContext(connection) as queries:
            assert staff.get("/admin/ai/modelcall/").status_code == 200
        counts.append(len(queries))
        exact = [query for query in queries if "COUNT(*)" in query["sql"] and "LIMIT" not in query["sql"]]
        assert [query for query in exact if "ai_modelcall" in query["sql"]] == []
    assert counts[0] == counts[1]


def test_limits_are_changed_and_neither_added_nor_deleted(staff: Client) -> None:
    answer = staff.post("/admin/ai/spendlimit/1/change/", {"daily_alert_usd": "5", "daily_cap_usd": "20"})
    assert answer.status_code == 302
    assert str(selectors.get_spend_limit().daily_cap_usd) == "20.00"
    assert staff.get("/admin/ai/spendlimit/add/").status_code == 403
    assert staff.post("/admin/ai/spendlimit/1/delete/", {"post": "yes"}).status_code == 403
    assert SpendLimit.objects.count() == 1


def test_staff_without_the_permission_see_none_of_it(client: Client) -> None:
    client.force_login(make_user("helper@example.com", staff=True))
    for name in ("aimodel", "modelcall", "spendlimit"):
        assert client.get(f"/admin/ai/{name}/").status_code == 403
