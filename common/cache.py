"""The shared cache, which may go away without taking anything down with it.

Rate limits live in the cache. While Redis is away each process counts for itself: looser than usual, but
neither closed to everybody nor open to guessers.
"""

import time
from collections.abc import Callable
from typing import Any, ClassVar

import structlog
from django.core.cache.backends import redis
from django.core.cache.backends.locmem import LocMemCache
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisUnreachable
from redis.exceptions import TimeoutError as RedisTimeout

logger = structlog.get_logger("parlor.cache")
_AWAY = (RedisUnreachable, RedisTimeout, BusyLoadingError, ReadOnlyError, OutOfMemoryError)
_PAUSE_SECONDS = 2.0
_OPTIONS = {"socket_connect_timeout": 0.5, "socket_timeout": 1.0}


class RedisCache(redis.RedisCache):
    """Django's Redis cache, with memory of this process standing in while Redis does not answer."""

    _away_until: ClassVar[dict[str, float]] = {}

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**_OPTIONS, **params.get("OPTIONS", {})}})
        self._server = server
        self._stand_in = LocMemCache(f"while away: {server}", {})

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self._away_until.get(self._server, 0.0):
            try:
                return getattr(super(), name)(*args, **kwargs)
            except _AWAY as error:
                self._away_until[self._server] = time.monotonic() + _PAUSE_SECONDS
                logger.warning("redis_cache_away", error=type(error).__name__)
        return getattr(self._stand_in, name)(*args, **kwargs)


def _guarded(name: str) -> Callable[..., Any]:
    def method(self: RedisCache, *args: Any, **kwargs: Any) -> Any:
        return self._call(name, *args, **kwargs)

    method.__name__ = name
    return method


_METHODS = "add get set touch delete get_many has_key incr set_many delete_many clear"
for _name in _METHODS.split():
    setattr(RedisCache, _name, _guarded(_name))
