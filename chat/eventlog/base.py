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

    __slots__ = ("_json", "data", "is_end", "seq", "type")
    text = ""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.type: str = data["type"]
        self.seq: int = data.get("seq", 0)
        self.is_end = self.seq > 0
        self._json = ""

    @property
    def json(self) -> str:
        if not self._json:
            self._json = to_json(self.data)
        return self._json

    def as_sse(self) -> bytes:
        number = f"id: {self.seq}\n" if self.seq else ""
        return f"event: {self.type}\n{number}data: {self.json}\n\n".encode()


class Delta:
    """A piece of the text. Its JSON is made for each reader: very many are kept, and most have one."""

    __slots__ = ("_generation_id", "seq", "text")
    type = "generation.delta"
    is_end = False

    def __init__(self, generation_id: str, seq: int, text: str) -> None:
        self._generation_id = generation_id
        self.seq = seq
        self.text = text

    @property
    def json(self) -> str:
        quoted = encode_basestring(self.text)
        if not quoted.isascii():
            quoted = quoted.translate(_LINE_ENDS)
        return (
            f'{{"type":"generation.delta","generation_id":"{self._generation_id}"'
            f',"seq":{self.seq},"text":{quoted}}}'
        )

    def as_sse(self) -> bytes:
        return f"event: generation.delta\nid: {self.seq}\ndata: {self.json}\n\n".encode()


AnyEvent = Event | Delta

# Nothing happened for a while: readers may use the moment to show that the line is alive.
PAUSE = Event({"type": ""})


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
        self.events: list[AnyEvent] = []
        self.readers = 0
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_whole(self) -> bool:
        return bool(self.events) and self.events[0].seq == 0

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and self.events[-1].is_end

    def append(self, event: AnyEvent) -> None:
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

    def __init__(self, generation_id: UUID, emit: Callable[[AnyEvent], None], ticker: "Ticker") -> None:
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
        self._emit(Event(event))

    def push(self, text: str) -> None:
        self.parts.append(text)
        self.lengths.append(len(text))
        self.characters += len(text)
        self._emit(Delta(self._name, len(self.lengths), text))

    def end(self, event: dict[str, Any]) -> None:
        self._emit(Event(event))


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
