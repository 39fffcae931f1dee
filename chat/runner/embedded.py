"""The runner of a web process."""

import structlog
from django.conf import settings

from chat.eventlog.current import close_event_log, event_log
from chat.runner.runner import Runner
from common import realtime

logger = structlog.get_logger("parlor.runner")

_runner: Runner | None = None


async def start() -> None:
    global _runner
    if _runner is None:
        realtime.use_running_loop()
        _runner = Runner(log=event_log(), capacity=settings.CHAT_RUNNER_CAPACITY)
        await _runner.start()


async def drain(grace: float) -> None:
    if _runner is not None:
        await _runner.drain(grace)


async def stop() -> None:
    global _runner
    runner, _runner = _runner, None
    if runner is not None:
        await runner.stop()
    await close_event_log()
