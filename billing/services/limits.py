"""AI requests a minute by tier, counted over the last sixty seconds.

Without Redis the counts live in the one process there is. With Redis they are shared; while it is away
each process counts for itself, so that its absence loosens the limit rather than stopping everybody.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from math import ceil
from uuid import UUID, uuid4

import redis
import structlog
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from billing import selectors
from common.errors import RateLimited

WINDOW_SECONDS = 60
_PRUNE_ABOVE = 10_000
logger = structlog.get_logger("parlor.billing")

# KEYS[1] the user's requests by time; ARGV limit, window in microseconds, a unique member.
# Answers: admitted (0 or 1), requests in the window, microseconds until the oldest leaves it.
_SLIDING_WINDOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local window = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local used = redis.call('ZCARD', KEYS[1])
local admitted = 0
if used < tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[1], now, ARGV[3])
    redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
    used = used + 1
    admitted = 1
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
local wait = oldest and (tonumber(oldest) + window - now) or 0
return {admitted, used, wait}
"""


@dataclass(frozen=True, slots=True)
class RateState:
    """For the RateLimit-* headers; `reset` is seconds until the next request is free again."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class TooManyRequests(RateLimited):
    """429; `state` is what its headers say."""

    def __init__(self, state: RateState) -> None:
        super().__init__(
            _("Too many requests in a minute."), retry_after=max(1, state.reset), limit=state.limit
        )
        self.state = state


def check_ai_rate(user_id: UUID, *, limit: int | None = None) -> RateState:
    """Count one AI request. Refused ones do not count.

    `limit` is the tier's requests a minute, looked up where the caller does not know it.
    Raises TooManyRequests (429, with retry_after).
    """
    if limit is None:
        limit = selectors.get_price(user_id).requests_per_minute
    admitted, used, wait = _count(str(user_id), limit)
    state = RateState(limit=limit, remaining=max(limit - used, 0), reset=max(ceil(wait), 0))
    if not admitted:
        raise TooManyRequests(state)
    return state


def _count(name: str, limit: int) -> tuple[bool, int, float]:
    if settings.REDIS_URL:
        try:
            admitted, used, wait = _script(settings.REDIS_URL)(
                keys=[f"parlor:ai-rate:{name}"], args=[limit, WINDOW_SECONDS * 1_000_000, uuid4().hex]
            )
            return bool(admitted), used, wait / 1_000_000
        except redis.RedisError as error:
            logger.warning("rate_limit_without_redis", error=type(error).__name__)
    return local_window.count(name, limit)


@cache
def _script(url: str) -> redis.commands.core.Script:
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=16, timeout=1, socket_timeout=1)
    return redis.Redis(connection_pool=pool).register_script(_SLIDING_WINDOW)


class SlidingWindow:
    """The moments of each name's requests in the last minute, in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moments: dict[str, deque[float]] = {}

    def count(self, name: str, limit: int) -> tuple[bool, int, float]:
        now = time.monotonic()
        with self._lock:
            if len(self._moments) > _PRUNE_ABOVE:
                self._forget_idle(now)
            moments = self._moments.setdefault(name, deque())
            while moments and moments[0] <= now - WINDOW_SECONDS:
                moments.popleft()
            admitted = len(moments) < limit
            if admitted:
                moments.append(now)
            wait = moments[0] + WINDOW_SECONDS - now if moments else 0.0
            return admitted, len(moments), wait

    def clear(self) -> None:
        with self._lock:
            self._moments.clear()

    def _forget_idle(self, now: float) -> None:
        since = now - WINDOW_SECONDS
        idle = [name for name, moments in self._moments.items() if not moments or moments[-1] <= since]
        for name in idle:
            del self._moments[name]


local_window = SlidingWindow()
