"""The event log inside one process: runner and readers share the same lists."""

import asyncio
from typing import Any
from uuid import UUID

from chat.eventlog.base import AnyEvent, Event, Producer, Tail, Ticker

# How long an ended reply stays for readers that come a moment too late; others ask the database.
_LINGER_SECONDS = 5.0


class MemoryEventLog:
    def __init__(self) -> None:
        self._tails: dict[UUID, Tail] = {}
        self._tickers: dict[asyncio.AbstractEventLoop, Ticker] = {}

    def produce(self, generation_id: UUID) -> Producer:
        tail = self._tails.setdefault(generation_id, Tail(generation_id))
        tail.readers += 1

        def emit(event: AnyEvent) -> None:
            tail.append(event)
            if event.is_end:
                asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.detach, tail)

        return Producer(generation_id, emit, self._ticker())

    def attach(self, generation_id: UUID) -> Tail:
        tail = self._tails.setdefault(generation_id, Tail(generation_id))
        tail.readers += 1
        return tail

    def detach(self, tail: Tail) -> None:
        tail.readers -= 1
        if tail.readers <= 0:
            self._tails.pop(tail.generation_id, None)

    async def read_after(self, generation_id: UUID, seq: int) -> list[str]:
        tail = self._tails.get(generation_id)
        if tail is None:
            return []
        return [event.text for event in tail.events if event.seq > seq and not event.is_end]

    async def publish_end(self, generation_id: UUID, event: dict[str, Any]) -> None:
        tail = self._tails.get(generation_id)
        if tail is not None and not tail.has_ended:
            tail.append(Event(event))

    async def aclose(self) -> None:
        self._tickers.clear()

    def _ticker(self) -> Ticker:
        loop = asyncio.get_running_loop()
        for closed in [other for other in self._tickers if other.is_closed()]:
            del self._tickers[closed]
        return self._tickers.setdefault(loop, Ticker())
