"""Ending generations whose runner is gone: the text is kept, the hold is settled."""

from uuid import UUID

import structlog

from chat import policy
from chat.eventlog.base import EventLog
from chat.models import Generation
from chat.services import leases, settlement
from chat.services.leases import Abandoned, Progress
from chat.services.settlement import Ending
from common.db import in_thread

logger = structlog.get_logger("parlor.runner")


async def reap_abandoned(log: EventLog, *, owner: str) -> None:
    """Settle every generation whose lease ran out or that waited too long for a runner."""
    reaper = f"reaper:{owner}"[:60]
    for abandoned in await in_thread(leases.take_abandoned, owner=reaper):
        try:
            await _end(log, abandoned, reaper)
        except Exception as error:
            logger.error("reaping_failed", generation=str(abandoned.generation_id), exc_info=error)


async def _end(log: EventLog, abandoned: Abandoned, reaper: str) -> None:
    if abandoned.was_started and not abandoned.outcome:
        texts = await log.read_after(abandoned.generation_id, abandoned.last_seq)
        if texts:
            await in_thread(_append, abandoned.generation_id, texts, reaper)
    settled = await in_thread(
        settlement.settle_generation,
        generation_id=abandoned.generation_id,
        ending=_ending(abandoned),
        owner=reaper,
    )
    if settled is not None:
        logger.warning(
            "reply_reaped", generation=str(abandoned.generation_id), status=settled.generation.status
        )
        await log.publish_end(abandoned.generation_id, settled.event)


def _ending(abandoned: Abandoned) -> Ending:
    if abandoned.outcome:
        # The stream had ended and its usage was saved; only the settling was missing.
        return Ending(abandoned.outcome, abandoned.code)
    code = policy.INTERRUPTED if abandoned.was_started else policy.NOT_STARTED
    return Ending(Generation.Status.INTERRUPTED, code)


def _append(generation_id: UUID, texts: list[str], reaper: str) -> None:
    """Put what readers may have seen beyond the last save into the reply."""
    generation = Generation.objects.select_related("reply").get(id=generation_id)
    if generation.reply is None:
        return
    content = generation.reply.content if generation.last_seq else ""
    progress = Progress(
        generation_id,
        content + "".join(texts),
        (*generation.delta_lengths, *(len(text) for text in texts)),
    )
    leases.save_progress(owner=reaper, rows=[progress])
