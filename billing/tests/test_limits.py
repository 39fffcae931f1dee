import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from billing.models import Tier
from billing.services import limits
from billing.tests.factories import make_wallet
from common.testing.fixtures import RedisServer


@pytest.fixture(autouse=True)
def _empty_window() -> Iterator[None]:
    limits.local_window.clear()
    yield
    limits.local_window.clear()


@pytest.fixture(params=["in process", "redis"])
def place(request: pytest.FixtureRequest, settings: Any) -> str:
    """Both homes of the counts."""
    if request.param == "redis":
        settings.REDIS_URL = request.getfixturevalue("redis_server").url
    return str(request.param)


def refused(user_id: UUID, limit: int) -> limits.TooManyRequests:
    with pytest.raises(limits.TooManyRequests) as error:
        limits.check_ai_rate(user_id, limit=limit)
    return error.value


def test_b12_as_many_requests_a_minute_as_the_limit_says(place: str) -> None:
    user_id = uuid4()
    states = [limits.check_ai_rate(user_id, limit=3) for _ in range(3)]
    assert [state.remaining for state in states] == [2, 1, 0]
    assert all(59 <= state.reset <= 60 for state in states)
    error = refused(user_id, 3)
    assert (error.status, error.code) == (429, "rate_limited")
    assert 59 <= error.retry_after <= 60
    assert error.state.headers() == {
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(error.state.reset),
    }
    assert limits.check_ai_rate(uuid4(), limit=3).remaining == 2


def test_the_window_slides_and_refused_requests_do_not_count(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WINDOW_SECONDS", 1)
    user_id = uuid4()
    limits.check_ai_rate(user_id, limit=2)
    time.sleep(0.5)
    limits.check_ai_rate(user_id, limit=2)
    for _ in range(5):
        refused(user_id, 2)
    time.sleep(0.6)
    assert limits.check_ai_rate(user_id, limit=2).remaining == 0
    refused(user_id, 2)


def test_fifty_requests_at_once_are_admitted_up_to_the_limit(place: str) -> None:
    user_id, admitted, barrier = uuid4(), [], threading.Barrier(50)

    def ask() -> None:
        barrier.wait()
        try:
            limits.check_ai_rate(user_id, limit=7)
            admitted.append(1)
        except limits.TooManyRequests:
            pass

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 7


@pytest.mark.parametrize(("tier", "limit"), [(None, 5), ("premium", 30), ("vip", 100)])
def test_b12_the_limit_is_the_tiers(db: None, tier: str | None, limit: int) -> None:
    user_id = make_wallet(tier=tier)
    assert limits.check_ai_rate(user_id).limit == limit
    Tier.objects.filter(slug=tier or "free").update(requests_per_minute=1)
    with pytest.raises(limits.TooManyRequests):
        limits.check_ai_rate(user_id)


def test_without_redis_each_process_counts_for_itself(redis_server: RedisServer, settings: Any) -> None:
    settings.REDIS_URL = redis_server.url
    user_id = uuid4()
    limits.check_ai_rate(user_id, limit=1)
    redis_server.stop()
    assert limits.check_ai_rate(user_id, limit=1).remaining == 0
    refused(user_id, 1)


def test_idle_names_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_PRUNE_ABOVE", 10)
    monkeypatch.setattr(limits, "WINDOW_SECONDS", 0.05)
    for _ in range(12):
        limits.check_ai_rate(uuid4(), limit=5)
    time.sleep(0.1)
    limits.check_ai_rate(uuid4(), limit=5)
    assert len(limits.local_window._moments) == 1
