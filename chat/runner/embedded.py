"""The runner of a web process."""

import structlog
from django.conf import settings

from chat.eventlog.current import close_event_log, event_log
from chat.runner.runner import Runner
from common import realtime

logger = structlog.get_logger("parlor.runner")

_runner: Runner | None = None
_is_ending = False


async def ensure_started() -> None:
    """For servers that never say when they start: the first reader of a reply starts its maker."""
    if settings.CHAT_RUNNER_IN_WEB and not _is_ending:
        await start()


async def start() -> None:
    global _runner, _is_ending
    _is_ending = False
    if _runner is None:
        realtime.use_running_loop()
        _runner = Runner(log=event_log(), capacity=settings.CHAT_RUNNER_CAPACITY)
        await _runner.start()


async def drain(grace: float) -> None:
    global _is_ending
    _is_ending = True
    if _runner is not None:
        await _runner.drain(grace)


async def stop() -> None:
    global _runner, _is_ending
    _is_ending = True
    runner, _runner = _runner, None
    if runner is not None:
        await runner.stop()
    await close_event_log()
