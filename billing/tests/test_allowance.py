from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts import signals
from accounts.models import User
from accounts.tests.factories import make_user
from billing import selectors, tasks
from billing.models import Gift, LedgerTransaction, Tier, Wallet
from billing.services import adjustments, allowance, grants
from billing.tests.factories import (
    assert_ledger_holds,
    buckets,
    capture,
    in_parallel,
    make_wallet,
    reserve,
)
from common.credits import MICRO

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(db: None) -> Iterator[None]:
    yield
    assert_ledger_holds(now=datetime(2020, 1, 1, tzinfo=UTC))


def allowances(user_id: Any) -> list[str]:
    rows = LedgerTransaction.objects.filter(wallet_id=user_id, kind="allowance").order_by("number")
    return [row.key.rpartition(":")[2] for row in rows]


def test_the_first_look_makes_the_wallet_with_todays_allowance() -> None:
    user = make_user()
    wallet = selectors.get_wallet(user.pk, now=NOON)
    assert wallet.available == wallet.daily_granted == wallet.daily_remaining == 10 * MICRO
    assert wallet.resets_at == datetime(2026, 5, 5, tzinfo=UTC)
    assert wallet.tier.slug == "free"
    assert allowances(user.pk) == ["2026-05-04"]


def test_what_is_left_lapses_when_the_next_day_is_opened() -> None:
    user_id = make_wallet(bonus=3, now=NOON)
    capture(reserve(user_id, 4, now=NOON).hold_id, 4, now=NOON)
    wallet = selectors.get_wallet(user_id, now=NOON + DAY)
    assert (wallet.available, wallet.daily_remaining, wallet.bonus) == (13 * MICRO, 10 * MICRO, 3 * MICRO)
    rows = LedgerTransaction.objects.filter(wallet_id=user_id).order_by("number")
    assert [(row.kind, row.amount // MICRO) for row in rows] == [
        ("allowance", 10),
        ("grant", 3),
        ("charge", -4),
        ("lapse", -6),
        ("allowance", 10),
    ]


def test_days_nobody_came_give_nothing() -> None:
    user_id = make_wallet(now=NOON)
    assert selectors.get_wallet(user_id, now=NOON + 30 * DAY).available == 10 * MICRO
    assert allowances(user_id) == ["2026-05-04", "2026-06-03"]


def test_the_day_begins_at_midnight_in_the_operators_time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    before = datetime(2026, 5, 4, 14, 59, 59, tzinfo=UTC)
    user_id = make_wallet(now=before)
    assert selectors.get_wallet(user_id, now=before).day == date(2026, 5, 4)
    assert selectors.get_wallet(user_id, now=before).resets_at == datetime(2026, 5, 4, 15, tzinfo=UTC)
    assert selectors.get_wallet(user_id, now=before + timedelta(seconds=1)).day == date(2026, 5, 5)


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("Europe/Berlin", date(2026, 3, 27)),
        ("Europe/Berlin", date(2026, 10, 23)),
        ("America/New_York", date(2026, 3, 6)),
        ("America/New_York", date(2026, 10, 30)),
        ("Australia/Lord_Howe", date(2026, 10, 2)),
        # Clocks go forward at midnight: the day has no 00:00.
        ("Africa/Cairo", date(2026, 4, 22)),
    ],
)
def test_m33_one_allowance_a_day_across_a_clock_change(settings: Any, zone: str, first: date) -> None:
    settings.TIME_ZONE = zone
    start = datetime(first.year, first.month, first.day, 0, 30, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    user_id = make_wallet(now=start)
    moments = [start + step * timedelta(minutes=30) for step in range(5 * 48)]
    for moment in moments:
        selectors.get_wallet(user_id, now=moment)
    days = [date.fromisoformat(day) for day in allowances(user_id)]
    assert days == sorted({moment.astimezone(ZoneInfo(zone)).date() for moment in moments})


def test_m33_each_day_opens_at_its_own_midnight_across_a_clock_change(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    berlin = ZoneInfo("Europe/Berlin")
    user_id = make_wallet(now=datetime(2026, 3, 27, 12, tzinfo=UTC))
    for day in range(28, 32):
        midnight = datetime(2026, 3, day, tzinfo=berlin)
        last_second = midnight.astimezone(UTC) - timedelta(seconds=1)
        assert selectors.get_wallet(user_id, now=last_second).day == date(2026, 3, day - 1)
        assert selectors.get_wallet(user_id, now=last_second).resets_at == midnight
        assert selectors.get_wallet(user_id, now=midnight).day == date(2026, 3, day)


def test_m33_a_clock_set_back_gives_nothing() -> None:
    user_id = make_wallet(now=NOON)
    for days in (1, 2, 100):
        reserve(user_id, 1, now=NOON - days * DAY)
    assert allowances(user_id) == ["2026-05-04"]
    assert Wallet.objects.get(pk=user_id).day == date(2026, 5, 4)
    assert selectors.get_wallet(user_id, now=NOON + DAY).day == date(2026, 5, 5)


def test_m33_changing_the_time_zone_never_gives_two_within_twenty_hours(settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    moment = datetime(2026, 5, 4, 0, 0, tzinfo=UTC)
    user_id = make_wallet(now=moment)
    zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago"]
    opened = [moment]
    for step in range(1, 24 * 2 * 14):
        moment += timedelta(minutes=30)
        settings.TIME_ZONE = zones[step // 12 % 2]
        before = len(allowances(user_id))
        wallet = selectors.get_wallet(user_id, now=moment)
        if len(allowances(user_id)) > before:
            opened.append(moment)
        assert wallet.resets_at > moment
    gaps = [later - earlier for earlier, later in pairwise(opened)]
    assert min(gaps) >= timedelta(hours=20)
    assert 12 <= len(opened) <= 15


def test_m33_a_zone_where_it_is_tomorrow_already_brings_nothing_early(settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    late = datetime(2026, 5, 4, 22, 41, tzinfo=UTC)
    user_id = make_wallet(now=late)
    settings.TIME_ZONE = "Asia/Tokyo"
    twenty_hours_on = late + timedelta(hours=20)
    wallet = selectors.get_wallet(user_id, now=late + timedelta(minutes=1))
    assert (wallet.day, wallet.resets_at) == (date(2026, 5, 4), twenty_hours_on)
    for moment in (late, late + timedelta(hours=4), twenty_hours_on - timedelta(seconds=1)):
        reserve(user_id, 0, now=moment)
        assert allowances(user_id) == ["2026-05-04"]
    assert selectors.get_wallet(user_id, now=twenty_hours_on).day == date(2026, 5, 6)
    assert allowances(user_id) == ["2026-05-04", "2026-05-06"]


def test_m33_a_zone_where_it_is_still_yesterday_never_turns_the_day_back(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Kiritimati"
    first = datetime(2026, 5, 3, 10, 0, tzinfo=UTC)
    user_id = make_wallet(now=first)
    settings.TIME_ZONE = "Pacific/Pago_Pago"
    for hours in (1, 19, 20, 21, 24):
        reserve(user_id, 0, now=first + timedelta(hours=hours))
        assert Wallet.objects.get(pk=user_id).day == date(2026, 5, 4)
    assert selectors.get_wallet(user_id, now=first + timedelta(hours=49)).day == date(2026, 5, 5)
    assert allowances(user_id) == ["2026-05-04", "2026-05-05"]


@pytest.mark.django_db(transaction=True)
def test_m33_fifty_uses_at_midnight_open_the_day_once() -> None:
    user_id = make_wallet(now=NOON)
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    calls = [lambda: allowance.open_wallet(user_id=user_id, now=midnight) for _ in range(50)]
    assert in_parallel(*calls) == [None] * 50
    assert allowances(user_id) == ["2026-05-04", "2026-05-05"]
    assert buckets(user_id)["daily"] == (10, 0)


@pytest.mark.django_db(transaction=True)
def test_fifty_first_looks_make_one_wallet() -> None:
    user = make_user()
    results = in_parallel(*[lambda: selectors.get_wallet(user.pk).available for _ in range(50)])
    assert results == [10 * MICRO] * 50
    assert LedgerTransaction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_m34_two_runs_of_the_nightly_job_and_the_users_themselves_open_once() -> None:
    owners = [make_wallet(now=NOON) for _ in range(30)]
    for user_id in owners:
        capture(reserve(user_id, 1, now=NOON).hold_id, 1, now=NOON)
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    jobs = [lambda: allowance.refresh_allowances(now=midnight)] * 3
    users = [
        lambda user_id=user_id: allowance.open_wallet(user_id=user_id, now=midnight) for user_id in owners
    ]
    results = in_parallel(*jobs, *users)
    assert not [result for result in results if isinstance(result, Exception)]
    allowance.refresh_allowances(now=midnight)
    for user_id in owners:
        assert allowances(user_id) == ["2026-05-04", "2026-05-05"]
        assert buckets(user_id)["daily"] == (10, 0)


def test_the_job_works_in_chunks_and_leaves_dormant_wallets_to_their_owners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allowance, "REFRESH_CHUNK", 4)
    active = [make_wallet(now=NOON) for _ in range(10)]
    for user_id in active:
        reserve(user_id, 1, now=NOON)
    dormant = make_wallet(now=NOON)
    assert allowance.refresh_allowances(now=NOON + DAY) == allowance.Refresh(seen=10, opened=10)
    assert allowance.refresh_allowances(now=NOON + DAY) == allowance.Refresh(seen=0, opened=0)
    assert allowances(dormant) == ["2026-05-04"]
    assert selectors.get_wallet(dormant, now=NOON + DAY).available == 10 * MICRO
    assert allowance.refresh_allowances(now=NOON + 20 * DAY) == allowance.Refresh(seen=0, opened=0)


def test_the_nightly_task_opens_the_day() -> None:
    user_id = make_wallet(now=datetime.now(UTC) - 2 * DAY)
    reserve(user_id, 1, now=datetime.now(UTC) - 2 * DAY)
    tasks.refresh_allowances()
    assert len(allowances(user_id)) == 2


def test_a_tier_without_daily_credits_opens_days_without_grants() -> None:
    Tier.objects.filter(slug="free").update(daily_credits=0)
    user_id = make_wallet(now=NOON)
    assert selectors.get_wallet(user_id, now=NOON + DAY).day == date(2026, 5, 5)
    assert not LedgerTransaction.objects.exists()


def test_an_upgrade_adds_the_difference_today_and_only_once() -> None:
    user_id = make_wallet(now=NOON)
    capture(reserve(user_id, 4, now=NOON).hold_id, 4, now=NOON)
    for tier in ("premium", "vip", "free", "vip", "premium", "vip"):
        adjustments.set_tier(user_id=user_id, tier=tier, reason="Support", now=NOON)
    wallet = selectors.get_wallet(user_id, now=NOON)
    assert (wallet.tier.slug, wallet.daily_granted, wallet.daily_remaining) == (
        "vip",
        500 * MICRO,
        496 * MICRO,
    )
    rows = LedgerTransaction.objects.filter(wallet_id=user_id, kind="upgrade").order_by("number")
    assert [row.amount // MICRO for row in rows] == [90, 400]
    assert selectors.get_wallet(user_id, now=NOON + DAY).daily_granted == 500 * MICRO


def test_a_downgrade_takes_nothing_away_today() -> None:
    user_id = make_wallet(tier="vip", now=NOON)
    adjustments.set_tier(user_id=user_id, tier="free", reason="Support", now=NOON)
    assert selectors.get_wallet(user_id, now=NOON).available == 500 * MICRO
    assert selectors.get_wallet(user_id, now=NOON + DAY).available == 10 * MICRO


def test_a_proved_address_brings_the_welcome_gift_once() -> None:
    user = make_user()
    for _ in range(3):
        signals.email_verified.send(sender=User, user_id=user.pk)
    assert buckets(user.pk)["bonus"] == (20, 0)
    gift = LedgerTransaction.objects.get(kind="sign_up_bonus")
    assert (gift.key, gift.amount) == (f"signup-bonus:{user.pk}", 20 * MICRO)


def test_a_gift_set_to_nothing_gives_nothing() -> None:
    Gift.objects.filter(slug="sign_up").update(credits=0)
    user = make_user()
    assert grants.grant_sign_up_bonus(user_id=user.pk) is None
    assert not LedgerTransaction.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_welcome_gift_raced_comes_once() -> None:
    user = make_user()
    results = in_parallel(*[lambda: grants.grant_sign_up_bonus(user_id=user.pk).applied for _ in range(20)])
    assert sorted(results) == [False] * 19 + [True]
    assert buckets(user.pk)["bonus"] == (20, 0)
