import asyncio
from typing import Any

from celery import shared_task

from chat.eventlog.current import close_event_log, event_log
from chat.runner.reaping import reap_abandoned
from chat.services import sessions


@shared_task(name="chat.reap_generations")
def reap_generations(**kwargs: Any) -> None:
    asyncio.run(_reap())


@shared_task(name="chat.erase_deleted_sessions")
def erase_deleted_sessions(**kwargs: Any) -> None:
    while sessions.erase_deleted_sessions():
        pass


async def _reap() -> None:
    try:
        await reap_abandoned(event_log(), owner="celery")
    finally:
        await close_event_log()
