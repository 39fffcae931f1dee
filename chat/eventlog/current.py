"""The event log of this process: Redis where it is configured, memory otherwise."""

import asyncio

from django.conf import settings

from chat.eventlog.base import EventLog
from chat.eventlog.memory import MemoryEventLog
from chat.eventlog.redis import RedisEventLog

_memory = MemoryEventLog()
# Connections belong to the event loop they were opened in.
_redis: dict[asyncio.AbstractEventLoop, RedisEventLog] = {}


def event_log() -> EventLog:
    if not settings.REDIS_URL:
        return _memory
    loop = asyncio.get_running_loop()
    for closed in [other for other in _redis if other.is_closed()]:
        del _redis[closed]
    log = _redis.get(loop)
    if log is None:
        log = _redis[loop] = RedisEventLog(settings.REDIS_URL)
    return log


async def close_event_log() -> None:
    """End the connections of the running loop."""
    log = _redis.pop(asyncio.get_running_loop(), None)
    if log is not None:
        await log.aclose()
