"""The shared cache while Redis comes and goes."""

import time

import pytest

from common.cache import RedisCache
from common.testing.fixtures import RedisServer


@pytest.fixture
def cache(redis_server: RedisServer) -> RedisCache:
    return RedisCache(redis_server.url, {})


def test_keeps_what_it_is_given_for_every_process(redis_server: RedisServer, cache: RedisCache) -> None:
    cache.set("a", 1, timeout=60)

    assert cache.incr("a") == 2
    assert RedisCache(redis_server.url, {}).get("a") == 2
    assert cache.add("a", 5) is False
    assert cache.delete("a") is True


def test_memory_stands_in_while_redis_is_away(redis_server: RedisServer, cache: RedisCache) -> None:
    cache.set("before", 1)
    redis_server.stop()

    started = time.monotonic()
    assert cache.get("before") is None
    assert cache.add("a", 1) is True
    assert cache.incr("a") == 2
    assert (cache.get("a"), cache.get_many(["a", "b"]), cache.has_key("a")) == (2, {"a": 2}, True)
    assert cache.delete("a") is True
    assert time.monotonic() - started < 1.5, "each call must not wait for a server that is away"


def test_redis_is_used_again_once_it_answers(redis_server: RedisServer, cache: RedisCache) -> None:
    redis_server.stop()
    cache.set("a", "in memory")
    redis_server.start()
    time.sleep(2.1)

    cache.set("a", "in redis")

    assert RedisCache(redis_server.url, {}).get("a") == "in redis"
