"""The event log for many processes: a Redis Stream for each reply.

One connection writes for all producers of a process, in batches; one reads for all its readers. The id of an
entry is its `seq`, so that a reader resumes by number and a batch sent twice is refused by Redis itself.
Redis may go away at any time: what could not be written is dropped, and readers fill the gap from PostgreSQL.
"""

import asyncio
import contextlib
import json
from typing import Any
from uuid import UUID

import redis.asyncio
import structlog
from django.conf import settings
from redis.exceptions import RedisError, ResponseError

from chat import metrics
from chat.eventlog.base import AnyEvent, Delta, Event, Producer, Tail, Ticker
from common.ids import uuid7

logger = structlog.get_logger("parlor.eventlog")

_MAX_ENTRIES = 20_000
_ENDED_SECONDS = 120
_BLOCK_MILLISECONDS = 5_000
_READ_COUNT = 1_000
# All producers speak at the same tick, one after the other: their entries go in one batch.
_GATHER_SECONDS = 0.005
# A pause after each read lets entries of many replies come in one answer.
_READ_PAUSE = 0.01
_RETRY_SECONDS = (0.1, 0.3, 1.0, 2.0)
_MAX_WAITING = 50_000
_FAILURES = (RedisError, OSError, asyncio.TimeoutError)

Command = tuple[Any, ...]


class RedisEventLog:
    def __init__(self, url: str) -> None:
        self._writer = _connect(url, socket_timeout=5)
        self._reader = _connect(url, socket_timeout=_BLOCK_MILLISECONDS / 1000 + 5)
        self._ticker = Ticker()
        self._batch: list[Command] = []
        self._is_gathering = False
        self._sender: asyncio.Task[None] | None = None
        self._tails: dict[str, Tail] = {}
        self._positions: dict[str, str] = {}
        self._reading: asyncio.Task[None] | None = None
        self._bell = f"parlor:bell:{uuid7()}"
        self._bell_position = "0-0"

    # --- Writing ------------------------------------------------------------------------------

    def produce(self, generation_id: UUID) -> Producer:
        key = _key(generation_id)

        def emit(event: AnyEvent) -> None:
            self._write(key, event)
            if event.seq <= 1 or event.is_end:
                self._send_soon()
            elif not self._is_gathering:
                self._is_gathering = True
                asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._send_soon)

        return Producer(generation_id, emit, self._ticker)

    async def publish_end(self, generation_id: UUID, event: dict[str, Any]) -> None:
        self._write(_key(generation_id), Event(event))
        self._send_soon()

    def _write(self, key: str, event: AnyEvent) -> None:
        if len(self._batch) > _MAX_WAITING:
            self._batch.clear()
        if event.seq == 0:
            self._batch.append(("XADD", key, "MAXLEN", "~", _MAX_ENTRIES, "0-1", "e", event.json))
            self._batch.append(("EXPIRE", key, settings.CHAT_EVENT_LOG_SECONDS))
        elif event.is_end:
            self._batch.append(("XADD", key, "MAXLEN", "~", _MAX_ENTRIES, f"{event.seq}-0", "e", event.json))
            self._batch.append(("EXPIRE", key, _ENDED_SECONDS))
        else:
            self._batch.append(("XADD", key, "MAXLEN", "~", _MAX_ENTRIES, f"{event.seq}-0", "t", event.text))
            if event.seq % 256 == 1:
                self._batch.append(("EXPIRE", key, settings.CHAT_EVENT_LOG_SECONDS))

    def _send_soon(self) -> None:
        self._is_gathering = False
        if self._batch and (self._sender is None or self._sender.done()):
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._batch:
            batch, self._batch = self._batch, []
            try:
                async with self._writer.pipeline(transaction=False) as pipeline:
                    for command in batch:
                        pipeline.execute_command(*command)
                    answers = await pipeline.execute(raise_on_error=False)
            except _FAILURES as error:
                metrics.LOG_ERRORS.inc()
                logger.warning("event_log_unavailable", error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS[1])
            else:
                _report(answers)

    # --- Reading ------------------------------------------------------------------------------

    def attach(self, generation_id: UUID) -> Tail:
        key = _key(generation_id)
        tail = self._tails.get(key)
        if tail is None:
            tail = self._tails[key] = Tail(generation_id)
            self._positions[key] = "0-0"
            self._read_soon()
        tail.readers += 1
        return tail

    def detach(self, tail: Tail) -> None:
        tail.readers -= 1
        if tail.readers <= 0:
            key = _key(tail.generation_id)
            self._tails.pop(key, None)
            self._positions.pop(key, None)

    def _read_soon(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
        else:
            # Ends the read that is blocking, so that the next one includes the new stream.
            self._batch.append(("XADD", self._bell, "MAXLEN", "=", 1, "*", "r", "1"))
            self._batch.append(("EXPIRE", self._bell, 60))
            self._send_soon()

    async def _read(self) -> None:
        failures = 0
        while self._tails:
            streams: dict[Any, Any] = {self._bell: self._bell_position, **self._positions}
            try:
                answer = await self._reader.xread(streams, count=_READ_COUNT, block=_BLOCK_MILLISECONDS)
            except _FAILURES as error:
                metrics.LOG_ERRORS.inc()
                logger.warning("event_log_unreadable", error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1
                self._bell_position = "0-0"
                continue
            failures = 0
            for key, entries in _streams(answer):
                self._take(key, entries)
            await asyncio.sleep(_READ_PAUSE)

    def _take(self, key: str, entries: list[tuple[str, dict[str, str]]]) -> None:
        if key == self._bell:
            self._bell_position = entries[-1][0]
            return
        tail = self._tails.get(key)
        if tail is None or not entries:
            return
        self._positions[key] = entries[-1][0]
        name = str(tail.generation_id)
        tail.events.extend(_event(name, entry_id, fields) for entry_id, fields in entries)
        tail.wake()

    async def read_after(self, generation_id: UUID, seq: int) -> list[str]:
        try:
            entries: Any = await self._writer.xrange(_key(generation_id), min=f"{seq + 1}-0")
        except _FAILURES as error:
            logger.warning("event_log_unreadable", error=type(error).__name__)
            return []
        texts: list[str] = []
        for entry_id, fields in entries:
            if "t" not in fields or int(entry_id.partition("-")[0]) != seq + len(texts) + 1:
                break
            texts.append(fields["t"])
        return texts

    async def aclose(self) -> None:
        sender, reading = self._sender, self._reading
        if sender is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(sender, 2)
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await self._writer.aclose()
        await self._reader.aclose()


def _connect(url: str, *, socket_timeout: float) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis.from_url(
        url,
        decode_responses=True,
        max_connections=4,
        socket_timeout=socket_timeout,
        socket_connect_timeout=2,
        protocol=2,
    )


def _key(generation_id: UUID) -> str:
    return f"parlor:reply:{generation_id}"


def _streams(answer: Any) -> list[tuple[str, list[tuple[str, dict[str, str]]]]]:
    if not answer:
        return []
    return list(answer.items()) if isinstance(answer, dict) else list(answer)


def _event(generation_id: str, entry_id: str, fields: dict[str, str]) -> AnyEvent:
    if "t" in fields:
        return Delta(generation_id, int(entry_id.partition("-")[0]), fields["t"])
    return Event(json.loads(fields["e"]))


def _report(answers: list[Any]) -> None:
    """Entries that were there already are no fault: the batch was sent twice."""
    for answer in answers:
        if isinstance(answer, ResponseError) and "equal or smaller" not in str(answer):
            metrics.LOG_ERRORS.inc()
            logger.warning("event_log_refused", error=str(answer)[:200])
            return
