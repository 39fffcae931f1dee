"""The log of a reply's events: written by one producer, read by any number of readers, kept for a while.

PostgreSQL holds the truth; a log makes it quick. Losing entries is allowed: numbers show the gap, and
readers fill it from the database.
"""

import asyncio
import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

# Some readers split streams at these too; JSON may always escape them.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Event:
    """One event of a reply. `seq` is 0 for the start; its JSON is made once for all readers."""

    __slots__ = ("_data", "_json", "is_end", "seq", "text", "type")

    def __init__(
        self, type_: str, seq: int, *, text: str = "", data: dict[str, Any] | None = None, encoded: str = ""
    ) -> None:
        self.type = type_
        self.seq = seq
        self.text = text
        self.is_end = seq > 0 and type_ != "generation.delta"
        self._data = data
        self._json = encoded

    @classmethod
    def delta(cls, generation_id: str, seq: int, text: str) -> "Event":
        quoted = encode_basestring(text)
        if not text.isascii():
            quoted = quoted.translate(_LINE_ENDS)
        encoded = (
            f'{{"type":"generation.delta","generation_id":"{generation_id}","seq":{seq},"text":{quoted}}}'
        )
        return cls("generation.delta", seq, text=text, encoded=encoded)

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Event":
        return cls(data["type"], data.get("seq", 0), data=data)

    @property
    def json(self) -> str:
        if not self._json:
            self._json = to_json(self._data)
        return self._json

    @property
    def data(self) -> dict[str, Any]:
        if self._data is None:
            self._data = json.loads(self._json)
        return self._data

    def as_sse(self) -> bytes:
        number = f"id: {self.seq}\n" if self.seq else ""
        return f"event: {self.type}\n{number}data: {self.json}\n\n".encode()


# Nothing happened for a while: readers may use the moment to show that the line is alive.
PAUSE = Event("", 0)


def to_json(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.translate(_LINE_ENDS)


class Tail:
    """What this process has of one reply's events, shared by all its readers.

    Readers keep a position in the list instead of a queue of their own, so a slow one costs nothing but its
    place. Producer and readers may live in different threads.
    """

    __slots__ = ("_waiters", "events", "generation_id", "readers")

    def __init__(self, generation_id: UUID) -> None:
        self.generation_id = generation_id
        self.events: list[Event] = []
        self.readers = 0
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_whole(self) -> bool:
        return bool(self.events) and self.events[0].seq == 0

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and self.events[-1].is_end

    def append(self, event: Event) -> None:
        self.events.append(event)
        self.wake()

    def wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            loop = waiter.get_loop()
            if loop is _running_loop():
                _finish(waiter)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(_finish, waiter)

    async def wait(self, position: int, timeout: float) -> bool:
        """Wait until there are more than `position` events; False after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        # Looked at again after registering: an event of another thread may just have come in between.
        if len(self.events) > position:
            return True
        timer = loop.call_later(timeout, _finish, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return len(self.events) > position


class Producer:
    """Writes one reply's events: each text is a delta, at once.

    Who makes the texts waits for `next_tick` between two of them and brings all that came meanwhile: a model
    that says fifty words a second costs half as many deltas, and readers see no difference.
    """

    def __init__(self, generation_id: UUID, emit: Callable[[Event], None], ticker: "Ticker") -> None:
        self._name = str(generation_id)
        self._emit = emit
        self.next_tick = ticker.next_tick
        self.parts: list[str] = []
        self.lengths: list[int] = []
        self.characters = 0

    @property
    def seq(self) -> int:
        return len(self.lengths)

    @property
    def content(self) -> str:
        return "".join(self.parts)

    def start(self, event: dict[str, Any]) -> None:
        self._emit(Event.of(event))

    def push(self, text: str) -> None:
        self.parts.append(text)
        self.lengths.append(len(text))
        self.characters += len(text)
        self._emit(Event.delta(self._name, len(self.lengths), text))

    def end(self, event: dict[str, Any]) -> None:
        self._emit(Event.of(event))


class Ticker:
    """One timer for all producers of a loop; it runs only while somebody waits."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    async def next_tick(self) -> None:
        """Wait for the moment, at most CHAT_DELTA_MILLISECONDS away, at which everybody looks again."""
        loop = asyncio.get_running_loop()
        if not self._waiters:
            loop.call_later(settings.CHAT_DELTA_MILLISECONDS / 1000, self._tick)
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _tick(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            _finish(waiter)


class EventLog(Protocol):
    def produce(self, generation_id: UUID) -> Producer:
        """The one writer of a reply's events."""

    def attach(self, generation_id: UUID) -> Tail:
        """Begin to read; every call needs one `detach`."""

    def detach(self, tail: Tail) -> None: ...

    async def read_after(self, generation_id: UUID, seq: int) -> list[str]:
        """The texts of the deltas after `seq` that the log still has without a gap."""

    async def publish_end(self, generation_id: UUID, event: dict[str, Any]) -> None:
        """Tell readers the end of a reply whose producer is gone."""

    async def aclose(self) -> None: ...


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _finish(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
