"""Reading a reply: from the database up to where it was saved, then live, without a gap or a repetition.

Readers own nothing: ending one never stops a reply.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

import structlog
from django.db import DatabaseError, connection

from chat import metrics, payloads
from chat.eventlog.base import PAUSE, AnyEvent, Delta, Event, Tail
from chat.eventlog.current import event_log
from chat.models import Generation
from chat.services.settlement import final_event
from common.db import in_thread

logger = structlog.get_logger("parlor.chat")

# How long a silent log is believed before the database is asked.
_SILENCE_BEFORE_START = 0.8
_SILENCE = 2.5
# A log with a hole waits for the next save of the text.
_GAP_PAUSE = 0.3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reply as the database has it: every delta can be cut out of the text again."""

    generation_id: UUID
    reply_id: UUID | None
    status: str
    model: str
    content: str
    lengths: list[int]
    end: Event | None

    def deltas_from(self, seq: int) -> Iterator[AnyEvent]:
        ends = list(accumulate(self.lengths))
        if not ends or ends[-1] > len(self.content):
            return
        name = str(self.generation_id)
        for number in range(max(1, seq), len(ends) + 1):
            start = ends[number - 1] - self.lengths[number - 1]
            yield Delta(name, number, self.content[start : ends[number - 1]])


async def follow(generation_id: UUID, *, after: int = 0, is_fresh: bool = False) -> AsyncIterator[AnyEvent]:
    """Every event of a reply after delta number `after`, ending with the one that tells its end.

    `PAUSE` comes in between where nothing has happened for some seconds; it is not for the reader's eyes.
    `is_fresh` says that the caller has just queued it, so the database knows nothing more yet.
    The caller has checked that the reader may see it.
    """
    log = event_log()
    tail = log.attach(generation_id)
    try:
        reader = _Reader(generation_id, tail, after)
        if not is_fresh and not tail.is_whole:
            async for event in reader.catch_up():
                yield event
        while not reader.has_ended:
            for event in reader.live():
                yield event
            if reader.has_ended:
                break
            if reader.is_at_gap or not await tail.wait(reader.position, reader.patience):
                async for event in reader.catch_up():
                    yield event
                yield PAUSE
    finally:
        log.detach(tail)


class _Reader:
    """One reader's place in a reply."""

    def __init__(self, generation_id: UUID, tail: Tail, after: int) -> None:
        self._generation_id = generation_id
        self._tail = tail
        self._next = max(0, after) + 1
        self._has_started = after > 0
        self.position = 0
        self.has_ended = False
        self.is_at_gap = False

    @property
    def patience(self) -> float:
        return _SILENCE if self._has_started else _SILENCE_BEFORE_START

    def live(self) -> Iterator[AnyEvent]:
        """What the log has for this reader now."""
        events = self._tail.events
        self.is_at_gap = False
        while self.position < len(events) and not self.has_ended:
            event = events[self.position]
            if event.seq > self._next:
                self.is_at_gap = True
                return
            self.position += 1
            if self._is_news(event):
                yield event

    async def catch_up(self) -> AsyncIterator[AnyEvent]:
        """What the database has for this reader now."""
        was_at_gap = self.is_at_gap
        try:
            snapshot = await in_thread(load_snapshot, self._generation_id)
        except DatabaseError as error:
            logger.warning("snapshot_failed", error=type(error).__name__)
            await asyncio.sleep(1)
            return
        if snapshot is None:
            self.has_ended = True
            return
        before = self._next
        if not self._has_started and snapshot.status != Generation.Status.QUEUED:
            self._has_started = True
            yield Event(payloads.started_event(snapshot.generation_id, snapshot.reply_id, snapshot.model))
        for event in snapshot.deltas_from(self._next):
            self._next = event.seq + 1
            yield event
        if snapshot.end is not None:
            self.has_ended = True
            yield snapshot.end
        elif was_at_gap and self._next == before:
            await asyncio.sleep(_GAP_PAUSE)
        if self._next > before:
            metrics.RESUMES.labels("database").inc()

    def _is_news(self, event: AnyEvent) -> bool:
        if event.seq == 0:
            is_first, self._has_started = not self._has_started, True
            return is_first
        if event.is_end:
            self.has_ended = True
            return True
        if event.seq < self._next:
            return False
        self._next = event.seq + 1
        return True


def load_snapshot(generation_id: UUID) -> Snapshot | None:
    """The reply as saved; with its final event where it has ended. None where it is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_SNAPSHOT, [generation_id])
        row = cursor.fetchone()
    if row is None:
        return None
    reply_id, status, model, content, lengths = row
    end = None
    if status not in Generation.LIVE:
        generation = Generation.objects.select_related("reply").get(id=generation_id)
        end = Event(final_event(generation))
        # The text may have grown between the two reads; the ended one is whole.
        content = generation.reply.content if generation.reply is not None else ""
        lengths = generation.delta_lengths
    return Snapshot(generation_id, reply_id, status, model, content or "", lengths, end)


_SNAPSHOT = """
SELECT g.reply_id, g.status, g.model, r.content, g.delta_lengths
  FROM chat_generation g LEFT JOIN chat_message r ON r.id = g.reply_id
 WHERE g.id = %s
"""
