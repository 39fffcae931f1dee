"""B11: usage by day, hour, persona and model, always what the ledger says; the guess ahead; files of it."""

import csv
import io
import json
import random
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.services import profiles
from accounts.tests.factories import make_user
from billing import own_data, usage_forecast, usage_reports
from billing.models import LedgerTransaction, UsageExport, UsageMark, UsageSlot
from billing.services import usage
from billing.tests.factories import capture, in_parallel, make_wallet, reserve
from billing.usage_charts import bar_chart
from chat.models import Generation
from chat.services import messages, sessions, settlement
from common.credits import MICRO
from common.testing.database import as_superuser
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db(transaction=True)
ApiClient = Callable[..., Any]
ADA, GRACE = uuid4(), uuid4()

_INSERT = """
INSERT INTO billing_ledgertransaction
       (id, user_id, number, kind, key, amount, balance_after, reference, description, details, reason)
VALUES (%s, %s, %s, 'charge', %s, %s, 0, %s, %s, %s, '')
"""


def id_at(moment: datetime) -> UUID:
    """As the database would have made it then."""
    milliseconds = round(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | random.getrandbits(62))


def add_charges(user: User, *charges: dict[str, Any]) -> None:
    """Charges of the past; the ledger's own functions only know now."""
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        _insert(admin, user, charges)


def _insert(admin: Any, user: User, charges: Any) -> None:
    number = admin.execute(
        "UPDATE billing_wallet SET last_number = last_number + %s WHERE user_id = %s RETURNING last_number",
        [len(charges), user.pk],
    ).fetchone()[0] - len(charges)
    rows = []
    for count, charge in enumerate(charges, start=1):
        details = {
            "model": charge.get("model", "echo"),
            "input_tokens": charge.get("read", 100),
            "output_tokens": charge.get("written", 10),
            "cached_tokens": charge.get("cached", 0),
        }
        if charge.get("persona", ADA):
            details |= {
                "persona": str(charge.get("persona", ADA)),
                "persona_name": charge.get("name", "Ada"),
            }
        if charge.get("plain"):
            details = {}
        description = charge.get("description", f"Talk with {charge.get('name', 'Ada')}")
        amount = -round(charge.get("credits", 1) * MICRO)
        row = (id_at(charge["at"]), user.pk, number + count, f"charge:{uuid4()}", amount)
        rows.append((*row, charge.get("reference", "generation:x"), description, json.dumps(details)))
    with admin.cursor() as cursor:
        cursor.executemany(_INSERT, rows)


def person(**fields: Any) -> User:
    user = make_user(**fields)
    make_wallet(user=user)
    return user


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days_ago(days: int, hour: int = 12) -> datetime:
    today = datetime.now(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days)


def history(client: Any, query: str) -> Any:
    response = client.get(f"/api/v1/usage/history/?{query}")
    assert response.status_code == 200, response.content
    return response.json()


def spent_by_ledger(user: User) -> int:
    charges = LedgerTransaction.objects.filter(wallet_id=user.pk, kind="charge")
    return -(charges.aggregate(total=Sum("amount"))["total"] or 0)


def spent_by_slots(user: User) -> int:
    return UsageSlot.objects.filter(wallet_id=user.pk).aggregate(total=Sum("credits"))["total"] or 0


# --- By day ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("added_up", ["never", "all", "half"])
def test_the_history_has_every_day_and_is_what_the_ledger_says(api_client: ApiClient, added_up: str) -> None:
    user = person()
    add_charges(user, {"at": at("2026-03-01T23:59:59.999"), "credits": 0.5, "cached": 7})
    if added_up == "half":
        usage.aggregate_usage()
    add_charges(
        user,
        {"at": at("2026-03-03T00:00:00"), "credits": 0.25, "read": 1, "written": 2},
        {"at": at("2026-03-03T00:01:00"), "credits": 0.000001, "read": 3, "written": 4},
        {"at": at("2026-03-04T00:00:00"), "credits": 9},
    )
    if added_up == "all":
        usage.aggregate_usage()

    nothing = {"credits": "0", "replies": 0, "input_tokens": 0, "output_tokens": 0, "cached_tokens": 0}
    first = {"credits": "0.5", "replies": 1, "input_tokens": 100, "output_tokens": 10, "cached_tokens": 7}
    third = {"credits": "0.250001", "replies": 2, "input_tokens": 4, "output_tokens": 6, "cached_tokens": 0}
    assert history(api_client(user), "from=2026-03-01&to=2026-03-03") == {
        "from": "2026-03-01",
        "to": "2026-03-03",
        "time_zone": "UTC",
        "totals": {
            "credits": "0.750001",
            "replies": 3,
            "input_tokens": 104,
            "output_tokens": 16,
            "cached_tokens": 7,
        },
        "days": [
            {"day": "2026-03-01", **first},
            {"day": "2026-03-02", **nothing},
            {"day": "2026-03-03", **third},
        ],
    }


def test_a_charge_shows_at_once_and_the_last_thirty_days_are_the_default(api_client: ApiClient) -> None:
    user = person()
    usage.aggregate_usage()
    capture(reserve(user.pk, 3).hold_id, 2)

    body = history(api_client(user), "")

    today = datetime.now(UTC).date()
    assert (body["from"], body["to"]) == ((today - timedelta(days=29)).isoformat(), today.isoformat())
    assert len(body["days"]) == 30
    # It says nothing of tokens, so it was no reply.
    assert (body["days"][-1]["credits"], body["days"][-1]["replies"]) == ("2", 0)
    assert body["totals"]["credits"] == "2"


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("from=2026-03-02&to=2026-03-01", "to", "invalid"),
        ("from=2025-01-01&to=2026-01-02", "from", "too_long"),
        ("from=yesterday", "from", "invalid"),
        ("from=0001-01-01&to=0001-01-02", "from", "invalid"),
        ("to=9999-12-31", "from", "invalid"),
    ],
)
def test_days_that_make_no_sense_are_refused(
    api_client: ApiClient, query: str, field: str, code: str
) -> None:
    client = api_client(person())
    response = client.get(f"/api/v1/usage/history/?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [(field, code)]
    assert len(history(client, "from=2025-01-01&to=2026-01-01")["days"]) == 366


@pytest.mark.parametrize("added_up", [False, True])
def test_days_are_those_of_the_users_zone(api_client: ApiClient, added_up: bool) -> None:
    user = person(time_zone="Asia/Kolkata")
    add_charges(
        user,
        {"at": at("2026-03-01T18:29:59"), "credits": 1},
        {"at": at("2026-03-01T18:30:00"), "credits": 2},
    )
    if added_up:
        usage.aggregate_usage()
    body = history(api_client(user), "from=2026-03-01&to=2026-03-02")
    assert body["time_zone"] == "Asia/Kolkata"
    assert [day["credits"] for day in body["days"]] == ["1", "2"]


def test_the_operators_zone_is_for_those_who_have_not_said(api_client: ApiClient, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    user = person()
    add_charges(user, {"at": at("2026-03-01T15:00:00"), "credits": 1})
    body = history(api_client(user), "from=2026-03-01&to=2026-03-02")
    assert [day["credits"] for day in body["days"]] == ["0", "1"]


@pytest.mark.parametrize("added_up", [False, True])
def test_a_day_of_23_and_one_of_25_hours_are_whole(api_client: ApiClient, added_up: bool) -> None:
    user = person(time_zone="Europe/Helsinki")
    spring = at("2026-03-28T22:00:00")
    autumn = at("2026-10-24T21:00:00")
    add_charges(user, *({"at": spring + timedelta(hours=hour)} for hour in range(-1, 24)))
    add_charges(user, *({"at": autumn + timedelta(hours=hour)} for hour in range(-1, 26)))
    if added_up:
        usage.aggregate_usage()
    client = api_client(user)
    short = history(client, "from=2026-03-28&to=2026-03-30")["days"]
    long = history(client, "from=2026-10-24&to=2026-10-26")["days"]
    assert [day["replies"] for day in short] == [1, 23, 1]
    assert [day["replies"] for day in long] == [1, 25, 1]
    helsinki = ZoneInfo("Europe/Helsinki")
    analytics = usage_reports.get_analytics(
        user.pk, days=7, zone="Europe/Helsinki", now=datetime(2026, 10, 25, 23, 59, tzinfo=helsinki)
    )
    # The hour from three was there twice.
    assert [line.figures.replies for line in analytics.hours] == [1, 1, 1, 2, *[1] * 19, 2]


def test_the_database_knows_every_zone_somebody_may_choose() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names")
        known = {row[0] for row in cursor.fetchall()}
    assert available_timezones() - profiles._NOT_PLACES - known == set()


# --- Adding up ------------------------------------------------------------------------------------


def test_adding_up_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "WALLETS_AT_ONCE", 2)
    monkeypatch.setattr(usage, "NUMBERS_AT_ONCE", 3)
    users = [person() for _ in range(5)]
    for user in users:
        add_charges(user, *({"at": days_ago(1, hour)} for hour in range(10)))
    assert usage.aggregate_usage() == 5
    assert usage.aggregate_usage() == 0
    add_charges(users[0], {"at": days_ago(1, 3), "credits": 0.5})
    assert usage.aggregate_usage() == 1
    assert [spent_by_slots(user) for user in users] == [10_500_000, *[10_000_000] * 4]
    assert [spent_by_ledger(user) for user in users] == [spent_by_slots(user) for user in users]
    slot = UsageSlot.objects.get(wallet_id=users[0].pk, starts_at=days_ago(1, 3))
    assert (slot.charges, slot.replies, slot.credits) == (2, 2, 1_500_000)
    assert (slot.persona_id, slot.label, slot.model) == (ADA, "Ada", "echo")


def test_two_runs_at_once_count_once(api_client: ApiClient) -> None:
    users = [person() for _ in range(4)]
    for _ in range(5):
        for user in users:
            add_charges(user, *({"at": days_ago(1, hour), "credits": 0.01} for hour in range(24)))
        assert [
            error for error in in_parallel(*[usage.aggregate_usage] * 4) if isinstance(error, Exception)
        ] == []
    usage.aggregate_usage()
    assert [spent_by_slots(user) for user in users] == [1_200_000] * 4
    assert [spent_by_ledger(user) for user in users] == [1_200_000] * 4
    assert history(api_client(users[0]), "")["totals"]["credits"] == "1.2"


def test_a_charge_that_is_committed_late_is_not_missed(api_client: ApiClient) -> None:
    user, other = person(), person()
    with as_superuser() as admin:
        admin.autocommit = False
        admin.execute("SET session_replication_role = replica")
        # Its id and its hour are made now, two runs before it is there for anybody else.
        _insert(admin, user, [{"at": days_ago(2), "credits": 4}])
        add_charges(other, {"at": days_ago(1), "credits": 1})
        usage.aggregate_usage()
        usage.aggregate_usage()
        assert (spent_by_slots(user), spent_by_slots(other)) == (0, 1_000_000)
        admin.commit()
        admin.autocommit = True
    assert history(api_client(user), "")["totals"]["credits"] == "4"
    assert usage.aggregate_usage() == 1
    assert spent_by_slots(user) == spent_by_ledger(user) == 4_000_000
    assert history(api_client(user), "")["totals"]["credits"] == "4"


def test_a_run_that_breaks_off_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    user = person()
    add_charges(user, {"at": days_ago(1)})
    whole = usage._ADD_UP
    monkeypatch.setattr(usage, "_ADD_UP", whole.replace("RETURNING m.user_id", "RETURNING 1/0, m.user_id"))
    with pytest.raises(Exception, match="division by zero"):
        usage.aggregate_usage()
    assert (spent_by_slots(user), UsageMark.objects.count()) == (0, 0)
    monkeypatch.setattr(usage, "_ADD_UP", whole)
    usage.aggregate_usage()
    assert spent_by_slots(user) == MICRO


def test_details_nobody_expected_do_not_stop_the_job() -> None:
    user = person()
    add_charges(
        user,
        {"at": days_ago(1), "plain": True, "description": "An image"},
        {"at": days_ago(1), "persona": "not-an-id", "read": "many", "model": "m" * 500},
    )
    usage.aggregate_usage()
    slots = UsageSlot.objects.filter(wallet_id=user.pk).order_by("label")
    assert [(slot.label, slot.persona_id, slot.input_tokens, len(slot.model)) for slot in slots] == [
        ("Ada", None, 0, 200),
        ("An image", None, 0, 0),
    ]


def test_a_reply_says_with_whom_it_was(api_client: ApiClient) -> None:
    user = person()
    persona = make_persona(status="published", name="Countess")
    session = sessions.create_session(user_id=user.pk, persona_id=persona.pk)
    sent = messages.send_message(user_id=user.pk, session_id=session.pk, content="Hello", client_id="1")
    Generation.objects.filter(pk=sent.generation.pk).update(
        input_tokens=200, output_tokens=34, last_seq=1, delta_lengths=[5]
    )
    settlement.settle_generation(generation_id=sent.generation.pk, ending=settlement.Ending("complete"))
    line = api_client(user).get("/api/v1/usage/analytics/").json()["personas"][0]
    assert (line["persona"], line["name"], line["input_tokens"], line["output_tokens"], line["credits"]) == (
        str(persona.pk),
        "Countess",
        200,
        34,
        "0.0234",
    )


# --- Analytics ------------------------------------------------------------------------------------


@pytest.mark.parametrize("added_up", [False, True])
def test_analytics_by_hour_weekday_persona_and_model_beside_the_days_before(
    api_client: ApiClient, added_up: bool
) -> None:
    user = person()
    add_charges(
        user,
        {"at": days_ago(14), "credits": 100},
        {"at": days_ago(13), "credits": 2},
        {"at": days_ago(7, 23), "credits": 2},
        {"at": days_ago(6, 0), "credits": 1, "name": "Ada"},
        {"at": days_ago(2, 9), "credits": 2, "name": "Countess Ada"},
        {"at": days_ago(2, 9), "credits": 3, "persona": GRACE, "name": "Grace", "model": "large"},
        {"at": days_ago(2, 10), "credits": 1.5, "persona": "", "description": "Talk with Mary"},
        {"at": days_ago(1, 10), "credits": 0.5, "plain": True, "description": "An image"},
    )
    if added_up:
        usage.aggregate_usage()

    response = api_client(user).get("/api/v1/usage/analytics/?days=7")

    assert response.status_code == 200
    body = response.json()
    today = datetime.now(UTC).date()
    assert (body["from"], body["to"]) == ((today - timedelta(days=6)).isoformat(), today.isoformat())
    assert (body["totals"]["credits"], body["totals"]["replies"]) == ("8", 4)
    assert body["averages"] == {"credits_per_day": "1.142857", "credits_per_reply": "2"}
    trend = body["trend"]
    assert (trend["from"], trend["to"]) == (
        (today - timedelta(days=13)).isoformat(),
        (today - timedelta(days=7)).isoformat(),
    )
    assert (trend["previous"]["credits"], trend["change"], trend["change_percent"]) == ("4", "4", 100)
    assert [day["credits"] for day in body["days"]] == ["1", "0", "0", "0", "6.5", "0.5", "0"]
    assert {hour["hour"]: hour["credits"] for hour in body["hours"] if hour["credits"] != "0"} == {
        0: "1",
        9: "5",
        10: "2",
    }
    assert len(body["hours"]) == 24
    assert body["peak_hours"] == [9, 10, 0]
    weekdays = {line["weekday"]: line["credits"] for line in body["weekdays"]}
    assert weekdays[days_ago(2).isoweekday()] == "6.5"
    assert len(weekdays) == 7
    assert [
        (line["persona"], line["name"], line["credits"], line["replies"], line["share"])
        for line in body["personas"]
    ] == [
        (str(ADA), "Countess Ada", "3", 2, 38),
        (str(GRACE), "Grace", "3", 1, 38),
        (None, "Talk with Mary", "1.5", 1, 19),
        (None, "An image", "0.5", 0, 6),
    ]
    assert [(line["model"], line["credits"], line["share"]) for line in body["models"]] == [
        ("echo", "4.5", 56),
        ("large", "3", 38),
        ("", "0.5", 6),
    ]
    assert body["prediction"] == prediction(api_client(user)) | {
        name: body["prediction"][name] for name in ("runs_out_at", "days_left")
    }


def test_more_than_fifty_personas_are_summed_up(api_client: ApiClient) -> None:
    user = person()
    add_charges(user, *({"at": days_ago(1), "persona": uuid4(), "name": f"P{n}"} for n in range(60)))
    body = api_client(user).get("/api/v1/usage/analytics/").json()
    assert len(body["personas"]) == 51
    assert (body["personas"][-1]["name"], body["personas"][-1]["credits"]) == ("", "10")


@pytest.mark.parametrize("days", ["6", "366", "seven", "7.5", "-7"])
def test_analytics_take_a_week_to_a_year(api_client: ApiClient, days: str) -> None:
    client = api_client(person())
    response = client.get(f"/api/v1/usage/analytics/?days={days}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "days")
    assert len(client.get("/api/v1/usage/analytics/?days=365").json()["days"]) == 365


@pytest.mark.parametrize("many", [2, 20])
def test_reports_need_as_many_queries_for_two_as_for_twenty(
    api_client: ApiClient, django_assert_num_queries: Any, many: int
) -> None:
    user = person()
    add_charges(user, *({"at": days_ago(n), "persona": uuid4(), "model": f"m{n}"} for n in range(many)))
    usage.aggregate_usage()
    add_charges(user, *({"at": days_ago(n), "persona": uuid4(), "model": f"m{n}"} for n in range(many)))
    client = api_client(user)
    for path, queries in (("history/", 3), ("analytics/?days=90", 5), ("prediction/", 3)):
        client.get(f"/api/v1/usage/{path}")
        with django_assert_num_queries(queries):
            client.get(f"/api/v1/usage/{path}")


def test_nobody_sees_anothers_usage(api_client: ApiClient) -> None:
    owner, stranger = person(), person()
    add_charges(owner, {"at": days_ago(1), "credits": 5})
    client = api_client(stranger)
    assert history(client, f"user={owner.pk}")["totals"]["credits"] == "0"
    assert client.get("/api/v1/usage/analytics/").json()["totals"]["credits"] == "0"
    for path in ("history", "analytics", "prediction"):
        refused = api_client().get(f"/api/v1/usage/{path}/")
        assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")


# --- The guess ------------------------------------------------------------------------------------


def steady(user: User, days: int, credits: float) -> None:
    add_charges(user, *({"at": days_ago(n), "credits": credits} for n in range(1, days + 1)))


def prediction(client: Any) -> Any:
    return client.get("/api/v1/usage/prediction/").json()


def test_too_few_days_give_no_guess(api_client: ApiClient) -> None:
    user = person()
    steady(user, 6, 1)
    assert prediction(api_client(user)) == {
        "outlook": "not_enough_data",
        "available": "10",
        "daily_spending": None,
        "days_left": None,
        "runs_out_at": None,
        "error": None,
        "based_on_days": 6,
    }


def test_who_spends_less_than_the_daily_credits_has_enough(api_client: ApiClient) -> None:
    user = person()
    steady(user, 20, 9)
    body = prediction(api_client(user))
    assert (body["outlook"], body["runs_out_at"], body["daily_spending"]) == ("lasts", None, "9")
    # It never was off by anything.
    assert body["error"] == {"credits_per_day": "0", "days": 0.0, "trials": 8}


def test_a_steady_spender_runs_out_when_sums_say_so() -> None:
    user = make_user()
    now = days_ago(0, 0)
    make_wallet(user=user, bonus=20)
    steady(user, 20, 15)
    # From midnight: ten a day are given, so five a day come out of the twenty; the fifth day's 15 meet 10.
    forecast = usage_forecast.get_forecast(user.pk, now=now)
    assert (forecast.outlook, forecast.daily_spending, forecast.based_on_days) == ("runs_out", 15_000_000, 20)
    assert forecast.days_left == pytest.approx(4 + 10 / 15)
    assert forecast.runs_out_at is not None
    assert abs(forecast.runs_out_at - (now + timedelta(days=4 + 10 / 15))) < timedelta(seconds=1)
    assert forecast.accuracy is not None
    assert (forecast.accuracy.credits_per_day, forecast.accuracy.trials) == (0, 9)
    assert forecast.accuracy.days == pytest.approx(0)


def test_the_error_is_measured_on_the_past() -> None:
    today = date(2026, 3, 2)
    # Two credits and none by turns: a guess of about one a day is off by about one.
    past = [2_000_000 * (number % 2) for number in range(30)]
    accuracy = usage_forecast.measure(past, today, 1)
    assert accuracy is not None
    assert accuracy.trials == 23
    assert 900_000 < accuracy.credits_per_day < 1_200_000
    assert usage_forecast.measure(past[:9], today, 7) is None


def test_weekdays_are_learned() -> None:
    monday = date(2026, 3, 2)
    past = [7_000_000 if (monday - timedelta(days=28 - n)).weekday() == 5 else 0 for n in range(28)]
    guesses = usage_forecast.predict_days(past, monday, 7)
    assert max(guesses) == guesses[5]
    assert guesses[5] > 2 * guesses[0]


# --- Files ----------------------------------------------------------------------------------------


def ask_export(client: Any, **body: Any) -> Any:
    return client.post("/api/v1/usage/export/", body)


def waiting(user: User, **fields: Any) -> UsageExport:
    """An export whose task has not run; in tests the others' run at once."""
    return UsageExport.objects.create(user=user, format="csv", time_zone="UTC", **fields)


def made(client: Any, **body: Any) -> Any:
    """The answer about a finished export."""
    response = ask_export(client, **body)
    assert response.status_code == 202, response.content
    return client.get(f"/api/v1/usage/export/{response.json()['id']}/").json()


def content(client: Any, url: str) -> bytes:
    response = client.get(url)
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Disposition"].startswith("attachment")
    return b"".join(response.streaming_content)


def test_an_export_as_json(api_client: ApiClient) -> None:
    user = person()
    add_charges(
        user,
        {"at": at("2026-03-01T10:00:00.123"), "credits": 0.0234, "read": 200, "written": 34, "cached": 5},
        {"at": at("2026-03-02T10:00:00"), "plain": True, "description": "An image", "reference": "image:1"},
    )
    client = api_client(user)

    done = made(client, format="json")

    assert (done["state"], done["rows"], done["format"]) == ("ready", 2, "json")
    body = content(client, done["url"])
    assert done["size"] == len(body)
    assert json.loads(body) == [
        {
            "time": "2026-03-01T10:00:00.123Z",
            "persona": "Ada",
            "description": "Talk with Ada",
            "model": "echo",
            "input_tokens": 200,
            "output_tokens": 34,
            "cached_tokens": 5,
            "credits": "0.0234",
            "reference": "generation:x",
        },
        {
            "time": "2026-03-02T10:00:00.000Z",
            "persona": "",
            "description": "An image",
            "model": "",
            "input_tokens": 0,
            "output_tokens": 0,
            "cached_tokens": 0,
            "credits": "1",
            "reference": "image:1",
        },
    ]


def test_an_export_on_its_way_is_the_answer_to_the_same_wish(api_client: ApiClient) -> None:
    user = person()
    export = waiting(user)
    asked = ask_export(api_client(user), format="csv")
    assert (asked.status_code, asked.json()["id"]) == (202, str(export.id))
    assert (asked.json()["state"], asked.json()["url"], asked.json()["rows"]) == ("queued", None, 0)
    assert ask_export(api_client(user), format="json").json()["id"] != str(export.id)


def test_an_export_made_twice_leaves_one_file(api_client: ApiClient) -> None:
    user = person()
    storages["private"].save("usage/half.csv", ContentFile(b"half"))
    export = waiting(user, state="processing", key="usage/half.csv")
    usage.make_usage_export(export_id=export.id)
    usage.make_usage_export(export_id=export.id)
    export.refresh_from_db()
    assert (export.state, [f"usage/{name}" for name in stored()]) == ("ready", [export.key])


def test_an_export_of_some_days_in_the_users_zone(api_client: ApiClient) -> None:
    user = person(time_zone="Asia/Tokyo")
    add_charges(
        user,
        {"at": at("2026-03-01T14:59:59"), "credits": 1},
        {"at": at("2026-03-01T15:00:00"), "credits": 2},
        {"at": at("2026-03-02T14:59:59"), "credits": 3},
        {"at": at("2026-03-02T15:00:00"), "credits": 4},
    )
    client = api_client(user)
    done = made(client, **{"format": "csv", "from": "2026-03-02", "to": "2026-03-02"})
    rows = list(csv.DictReader(io.StringIO(content(client, done["url"]).decode())))
    assert [row["credits"] for row in rows] == ["2", "3"]
    assert (done["from"], done["to"], done["rows"]) == ("2026-03-02", "2026-03-02", 2)


FORMULAS = [
    *('=HYPERLINK("http://evil","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"),
    *("＝1+1", "＋1", "－1", "＠x", " =1", "\u00a0=1"),
]
PLAIN = ["Ada", "O'Hara", "a=b", "1-2", 'quote"s, commas\nand lines', "日本語", "🙂", "'quoted"]


def test_x51_names_that_look_like_formulas_are_words_in_a_spreadsheet(api_client: ApiClient) -> None:
    user = person()
    names = FORMULAS + PLAIN
    add_charges(
        user,
        *(
            {"at": days_ago(1), "name": name, "description": name, "model": name, "reference": name}
            for name in names
        ),
    )
    client = api_client(user)

    text = content(client, made(client, format="csv")["url"]).decode()

    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    shown = [f"'{name}" for name in FORMULAS] + PLAIN
    for column in ("persona", "description", "model", "reference"):
        assert [row[column] for row in rows] == shown
    # Numbers stay numbers.
    assert {(row["credits"], row["input_tokens"], row["output_tokens"]) for row in rows} == {
        ("1", "100", "10")
    }
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not [cell for cell in row if cell.lstrip().startswith(tuple("=+-@＝＋－＠"))]


def test_an_export_is_its_owners_only(api_client: ApiClient) -> None:
    owner, stranger = person(), person()
    add_charges(owner, {"at": days_ago(1)})
    done = made(api_client(owner), format="csv")
    path = f"/api/v1/usage/export/{done['id']}/"
    assert api_client(owner).get(path).status_code == 200
    refused = api_client(stranger).get(path)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert api_client().get(path).status_code == 401
    assert api_client(owner).get(done["url"]).status_code == 200
    assert api_client(stranger).get(done["url"]).status_code == 404
    assert api_client().get(done["url"]).status_code == 401
    assert api_client(owner).get(done["url"][:-3] + "xx/").status_code == 404


def test_a_link_is_good_for_five_minutes(api_client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    user = person()
    client = api_client(user)
    done = made(client, format="csv")
    monkeypatch.setattr(usage, "_LINK_SECONDS", -1)
    assert client.get(done["url"]).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "format"),
        ({"format": "xlsx"}, "format"),
        ({"format": "csv", "user": "x"}, "user"),
        ({"format": "csv", "from": "2026-03-02", "to": "2026-03-01"}, "to"),
        ({"format": "csv", "from": "0001-01-01"}, "from"),
    ],
)
def test_an_export_that_makes_no_sense_is_refused(
    api_client: ApiClient, body: dict[str, str], field: str
) -> None:
    response = ask_export(api_client(person()), **body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    assert UsageExport.objects.count() == 0


def test_exports_are_rationed(api_client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "EXPORTS_PER_DAY", 2)
    client = api_client(person())
    for _ in range(2):
        made(client, format="csv")
    response = ask_export(client, format="csv")
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert UsageExport.objects.count() == 2


def stored() -> list[str]:
    private = storages["private"]
    return private.listdir("usage")[1] if private.exists("usage") else []


@pytest.fixture(autouse=True)
def _empty_store() -> None:
    for name in stored():
        storages["private"].delete(f"usage/{name}")


def test_an_export_that_fails_says_so_and_leaves_nothing(
    api_client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = person()
    export = waiting(user)

    def broken(*arguments: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(usage, "write_usage_export", broken)
    with pytest.raises(OSError, match="disk"):
        usage.make_usage_export(export_id=export.id)
    assert api_client(user).get(f"/api/v1/usage/export/{export.id}/").json()["state"] == "failed"
    assert stored() == []


def test_old_exports_are_deleted_and_stuck_ones_given_up(api_client: ApiClient) -> None:
    user = person()
    client = api_client(user)
    old, new = made(client, format="csv"), made(client, format="json")
    UsageExport.objects.filter(id=old["id"]).update(expires_at=timezone.now())
    stuck = waiting(user, state="processing", created_at=timezone.now() - timedelta(days=2))
    assert client.get(f"/api/v1/usage/export/{old['id']}/").json()["url"] is None
    assert client.get(old["url"]).status_code == 404

    assert usage.expire_usage_exports() == 1

    states = {str(row.id): row.state for row in UsageExport.objects.all()}
    assert states == {old["id"]: "expired", new["id"]: "ready", str(stuck.id): "failed"}
    assert len(stored()) == 1
    assert content(client, new["url"]) == b"[\n]\n"


def test_fifty_thousand_rows_take_the_memory_of_a_few(tmp_path: Any) -> None:
    user = person()
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "INSERT INTO billing_ledgertransaction (id, user_id, number, kind, key, amount, balance_after,"
            " reference, description, details, reason)"
            " SELECT uuidv7(), %s, 1000 + n, 'charge', 'bulk:' || n, -1000, 0, 'generation:' || n,"
            " 'Talk with Ada', jsonb_build_object('persona_name', 'Ada', 'input_tokens', n), ''"
            " FROM generate_series(1, 50000) n",
            [user.pk],
        )
    export = UsageExport.objects.create(user_id=user.pk, format="csv", time_zone="UTC")
    told: list[int] = []
    with (tmp_path / "export.csv").open("wb+") as file:
        tracemalloc.start()
        count = usage.write_usage_export(file, export, told.append)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        size = file.tell()
    assert (count, told) == (50_000, [20_000, 40_000])
    assert size > 3_000_000
    assert peak < 12_000_000
    with (tmp_path / "export.csv").open(newline="") as file:
        assert sum(int(row["input_tokens"]) for row in csv.DictReader(file)) == 50_000 * 50_001 // 2


# --- Leaving --------------------------------------------------------------------------------------


def test_an_erasure_takes_usage_and_files_and_nothing_comes_back(api_client: ApiClient) -> None:
    user, other = person(), person()
    for somebody in (user, other):
        add_charges(somebody, {"at": days_ago(1)})
    usage.aggregate_usage()
    made(api_client(user), format="csv")
    made(api_client(other), format="csv")
    sections = {section.path: list(section.rows or ()) for section in own_data._export(user.pk)}
    assert [row["label"] for row in sections["credits/usage.json"]] == ["Ada"]
    assert [row["format"] for row in sections["credits/usage_exports.json"]] == ["csv"]

    # Somebody without a wallet has nothing to forget.
    usage.forget_usage(user_id=make_user().pk)
    for _ in range(2):
        usage.forget_usage(user_id=user.pk)
        usage.delete_usage_exports(user_id=user.pk)
    add_charges(user, {"at": days_ago(0)})
    usage.aggregate_usage()

    assert set(UsageSlot.objects.values_list("wallet_id", flat=True)) == {other.pk}
    assert set(UsageExport.objects.values_list("user_id", flat=True)) == {other.pk}
    assert len(stored()) == 1


def test_an_export_of_somebody_who_left_meanwhile_is_not_made() -> None:
    user = person()
    export = waiting(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    usage.make_usage_export(export_id=export.id)
    assert stored() == []


# --- The page -------------------------------------------------------------------------------------


def page_of(user: User, query: str = "", **headers: str) -> str:
    client = Client(headers=headers)
    client.force_login(user)
    response = client.get(f"/wallet/usage/{query}")
    assert response.status_code == 200
    return response.content.decode()


def bars_of(page: str) -> int:
    return page.count("</title></rect>")


def test_the_page_shows_bars_tables_and_the_guess() -> None:
    user = make_user()
    make_wallet(user=user, bonus=20)
    steady(user, 20, 15)
    page = page_of(user, "?days=7")
    assert bars_of(page) == 6 + 1
    assert 'role="img"' in page
    assert "At this pace your credits last about" in page
    assert "This guess is usually off by less than half a day." in page
    assert '<a href="?days=7" aria-current="page">' in page
    assert "90" in page
    assert bars_of(page_of(user, "?days=30")) == 20 + 1
    assert bars_of(page_of(user, "?days=nonsense")) == 20 + 1


def test_the_page_of_somebody_new_says_what_will_be_there() -> None:
    page = page_of(make_user())
    assert "Nothing was spent in these days." in page
    assert "There is not enough to guess from yet." in page
    assert "usage-chart" not in page


def test_names_on_the_page_are_words_only() -> None:
    user = person()
    add_charges(user, {"at": days_ago(1), "name": "<script>alert(1)</script>"})
    page = page_of(user)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("many", [2, 20])
def test_the_page_needs_as_many_queries_for_two_as_for_twenty(
    django_assert_num_queries: Any, many: int
) -> None:
    user = person()
    add_charges(user, *({"at": days_ago(n), "persona": uuid4(), "model": f"m{n}"} for n in range(many)))
    client = Client()
    client.force_login(user)
    client.get("/wallet/usage/?days=90")
    with django_assert_num_queries(8):
        client.get("/wallet/usage/?days=90")


def test_the_page_makes_a_file_without_script_too() -> None:
    user = person()
    add_charges(user, {"at": days_ago(1)})
    client = Client()
    client.force_login(user)
    assert client.post("/wallet/usage/export/", {"format": "xlsx"}).status_code == 404
    asked = client.post("/wallet/usage/export/", {"format": "csv"})
    assert (asked.status_code, asked["Location"]) == (302, "/wallet/usage/")
    export = UsageExport.objects.filter(user=user)
    export.update(state="processing", rows=20_000)
    running = page_of(user, **{"HX-Request": "true"})
    assert "20,000 rows so far" in running
    assert "<html" not in running
    usage.make_usage_export(export_id=export.get().id)
    ready = page_of(user, **{"HX-Request": "true"})
    assert "Your CSV file is ready: 1 row" in ready
    link = ready.split('href="')[1].split('"')[0]
    assert content(client, link).decode().splitlines()[1].endswith(",1,generation:x")


def test_bars_are_as_high_as_their_credits() -> None:
    line = usage_reports.Line
    figures = usage_reports.Figures
    chart = bar_chart([line(figures(0)), line(figures(1)), line(figures(1_000_000))])
    assert chart.view_box == "0 0 30 100"
    assert [(bar.x, bar.y, bar.height) for bar in chart.bars] == [(1, 100, 0), (11, 99, 1), (21, 0, 100)]
    assert bar_chart([line(figures(0))]).highest is None
