"""A model provider on a local port: Anthropic's, OpenAI's and Gemini's formats, and every way to fail.

In a test: `FakeProvider().start()`, then `default` or `queue` say how to behave. From another process:
`python -m ai.testing.fake_provider --port N`, steered by POST /_control {"default": {…}, "queue": [{…}]},
read by GET /_requests, cleared by DELETE /_requests. A single request can also choose for itself: by a model
named `fake-<scenario>`, or by `[[fake {"scenario": …}]]` in its last message.
"""

import argparse
import asyncio
import json
import re
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, lru_cache
from typing import Any, Self

from aiohttp import web

from ai.testing import wires
from ai.testing.wires import Counts, Wire

_ORDER = re.compile(r"\[\[fake (\{.*?\})\]\]")
_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one request is answered. `scenario` names a method of `_Answer`; the rest are its parameters."""

    scenario: str = "normal"
    # The reply: so many numbered words, or this text word by word, or words that tell when they were sent.
    tokens: int = 20
    text: str | None = None
    timestamps: bool = False
    # Tokens a second; 0: as fast as the socket takes them.
    rate: float = 0.0
    first_delay: float = 0.0
    finish: str = "complete"
    # Tokens before the fault, and the pause of slow scenarios.
    after: int = 3
    pause: float = 0.01
    status: int = 500
    message: str = "made to fail"
    retry_after: str | None = None
    # "exact", "none", "negative", "huge", "nan", "text"
    usage: str = "exact"
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(slots=True)
class Received:
    """A request as it came in and how its answer ended."""

    wire: str
    path: str
    model: str
    headers: dict[str, str]
    body: dict[str, Any]
    # The client's port: two requests with the same one came over the same connection.
    connection: int
    began_at: float = field(default_factory=time.monotonic)
    ended_at: float | None = None
    closed_by_client: bool = False
    is_finished: bool = False


def reply_words(tokens: int) -> list[str]:
    """The pieces of an ordinary reply of that many tokens."""
    return [f"word{number} " for number in range(tokens)]


def words_of(behaviour: Behaviour) -> list[str]:
    if behaviour.text is None:
        return reply_words(behaviour.tokens)
    return re.findall(r"\s*\S+\s*", behaviour.text)


def input_words(body: dict[str, Any]) -> int:
    """How many input tokens the fake provider counts: the words of every text in the request."""
    texts = []
    for key in ("system", "messages", "contents", "systemInstruction"):
        texts += _texts(body.get(key))
    return sum(len(text.split()) for text in texts)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, dict):
        return [text for key in ("content", "parts", "text") for text in _texts(value.get(key))]
    return []


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=64)
def _frames(wire: Wire, words: tuple[str, ...]) -> list[bytes]:
    # Made once, so that a benchmark with hundreds of streams measures its subject and not this.
    return [_chunked(wire.delta(word)) for word in words]


@cache
def _gzip_bomb() -> bytes:
    """A hundred kilobytes that inflate to a hundred megabytes."""
    packer = zlib.compressobj(wbits=31)
    block = b"x" * 1_000_000
    return b"".join([*(packer.compress(block) for _ in range(100)), packer.flush()])


class _Answer:
    """One answer being given: a method a scenario."""

    def __init__(self, request: web.Request, wire: Wire, received: Received, behaviour: Behaviour) -> None:
        self.request, self.wire, self.received, self.behaviour = request, wire, received, behaviour
        self.response = web.StreamResponse()
        self.words = words_of(behaviour)
        self.counts = self._counts(len(self.words))

    def _counts(self, output: int) -> Counts:
        behaviour = self.behaviour
        exact = input_words(self.received.body)
        cached, written = behaviour.cached_tokens, behaviour.cache_write_tokens
        shapes = {
            "exact": Counts(exact, output, cached, written),
            "none": Counts(None, None),
            "negative": Counts(-exact, -output, -5, None),
            "huge": Counts(10**15, 10**15, 10**15, None),
            "nan": Counts(float("nan"), float("inf"), float("nan"), None),
            "text": Counts(str(exact) if self.wire.name != "anthropic" else True, "many", None, None),
        }
        return shapes[behaviour.usage]

    async def begin(self, content_type: str = "text/event-stream", **headers: str) -> None:
        self.response.headers["Content-Type"] = content_type
        self.response.headers.update(headers)
        self.response.enable_chunked_encoding()
        await self.response.prepare(self.request)

    async def begin_text(self) -> None:
        await self.begin()
        if self.behaviour.first_delay:
            await asyncio.sleep(self.behaviour.first_delay)
        self.send(self.wire.start(self.received.model, self.counts))

    def send(self, data: bytes) -> None:
        """Write one chunk straight to the socket, which is far cheaper than through the framework."""
        if data:
            self.transport().write(_chunked(data))

    def transport(self) -> asyncio.Transport:
        transport = self.request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        return transport

    async def drain(self) -> None:
        await self.request.protocol._drain_helper()
        await asyncio.sleep(0)

    async def say(self, words: list[str]) -> None:
        behaviour = self.behaviour
        if behaviour.rate:
            await _Pacer(self.transport(), self.wire, words, behaviour).done
            return
        for start in range(0, len(words), 64):
            self.transport().write(b"".join(_frames(self.wire, tuple(words[start : start + 64]))))
            await self.drain()

    async def end(self) -> None:
        self.send(self.wire.end(self.behaviour.finish, self.counts))
        await self.response.write_eof()

    def hang_up(self) -> None:
        """Close without the end of the chunked body."""
        self.transport().close()

    async def wait_for_ever(self) -> None:
        await asyncio.sleep(_SECONDS)

    # --- scenarios -----------------------------------------------------------------------------

    async def normal(self) -> None:
        await self.begin_text()
        await self.say(self.words)
        await self.end()

    async def silence_before_headers(self) -> None:
        await self.wait_for_ever()

    async def silence_after_headers(self) -> None:
        await self.begin()
        await self.wait_for_ever()

    async def silence(self) -> None:
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        await self.wait_for_ever()

    async def pings(self) -> None:
        """Signs of life, never a word more than `after`."""
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        while True:
            self.send(self.wire.ping())
            await asyncio.sleep(self.behaviour.pause)

    async def drip(self) -> None:
        """One byte at a time."""
        await self.begin()
        data = self.wire.start(self.received.model, self.counts) + b"".join(
            self.wire.delta(word) for word in self.words
        )
        for position in range(len(data)):
            self.send(data[position : position + 1])
            await asyncio.sleep(self.behaviour.pause)
        await self.end()

    async def error_status(self) -> None:
        behaviour = self.behaviour
        body = json.dumps(self.wire.error_body(behaviour.status, behaviour.message)).encode()
        response = web.Response(status=behaviour.status, body=body, content_type="application/json")
        if behaviour.retry_after is not None:
            response.headers["Retry-After"] = behaviour.retry_after
        self.response = response
        await response.prepare(self.request)
        await response.write_eof()

    async def endless_error(self) -> None:
        """An error whose body never ends."""
        self.response = web.StreamResponse(status=self.behaviour.status)
        await self.begin("application/json")
        while True:
            self.send(b"x" * 16_384)
            await self.drain()

    async def redirect(self) -> None:
        self.response = web.Response(status=307, headers={"Location": "http://127.0.0.1:9/elsewhere"})
        await self.response.prepare(self.request)
        await self.response.write_eof()

    async def disconnect(self) -> None:
        self.hang_up()

    async def error_event(self) -> None:
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        self.send(self.wire.error("overloaded_error", self.behaviour.message))
        await self.response.write_eof()

    async def truncated(self) -> None:
        """The connection breaks in the middle of an event."""
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        self.send(self.wire.delta("never seen")[:-12])
        await self.drain()
        self.hang_up()

    async def no_terminator(self) -> None:
        """A clean end of the body, but the format's own end mark is missing."""
        await self.begin_text()
        await self.say(self.words)
        self.send(self.wire.cut_end(self.counts))
        await self.response.write_eof()

    async def split_utf8(self) -> None:
        """Every byte in a chunk of its own, so that each character beyond ASCII is cut."""
        await self.begin_text()
        for byte in b"".join(self.wire.delta(word) for word in self.words):
            self.send(bytes([byte]))
            await asyncio.sleep(0)
        await self.end()

    async def line_ends(self) -> None:
        """CRLF, CR and LF by turns, cut between CR and LF, a byte order mark, and comments."""
        await self.begin()
        ends = (b"\r\n", b"\r", b"\n")
        self.send(b"\xef\xbb\xbf: hello\r")
        await asyncio.sleep(self.behaviour.pause)
        self.send(b"\n" + self.wire.start(self.received.model, self.counts))
        for number, word in enumerate(self.words):
            data = self.wire.delta(word).replace(b"\n", ends[number % 3])
            self.send(data[:-1])
            await asyncio.sleep(self.behaviour.pause)
            self.send(data[-1:])
        await self.end()

    async def long_line(self) -> None:
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        self.send(b"data: ")
        for _ in range(160):
            self.send(b"x" * 65_536)
            await self.drain()
        await self.end()

    async def invalid_json(self) -> None:
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        self.send(b'data: {"type": "content_block_delta", oops\n\n')
        await self.end()

    async def deep_json(self) -> None:
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        self.send(b"data: " + b"[" * 200_000 + b"\n\n")
        await self.end()

    async def invalid_utf8(self) -> None:
        await self.begin_text()
        await self.say(self.words[: self.behaviour.after])
        self.send(self.wire.delta("caf€").replace("€".encode(), b"\xe9"))
        await self.end()

    async def html(self) -> None:
        await self.begin("text/html; charset=utf-8")
        self.send(b"<!doctype html><title>Sign in to the network</title>")
        await self.response.write_eof()

    async def gzip_bomb(self) -> None:
        await self.begin(**{"Content-Encoding": "gzip"})
        self.send(_gzip_bomb())
        await self.response.write_eof()

    async def empty_deltas(self) -> None:
        """Empty pieces, and every word twice: a provider that repeats itself means it."""
        await self.begin_text()
        for word in self.words:
            self.send(
                self.wire.delta("") + self.wire.delta(word) + self.wire.delta(word) + self.wire.delta("")
            )
        await self.end()

    async def junk(self) -> None:
        await self.begin_text()
        for word in self.words:
            self.send(self.wire.junk() + self.wire.delta(word))
            await self.drain()
        self.send(self.wire.junk())
        await self.end()

    async def endless(self) -> None:
        """A million tokens, whatever limit was asked for."""
        await self.begin_text()
        words = reply_words(64)
        for _ in range(1_000_000 // 64):
            await self.say(words)
        await self.end()

    async def endless_junk(self) -> None:
        await self.begin_text()
        while True:
            self.send(self.wire.junk())
            await self.drain()

    async def surrogates(self) -> None:
        """An emoji escaped as two halves in two pieces, a half without its other, and a NUL."""
        await self.begin_text()
        for piece in ("a\\ud83d", "\\ude00b", "\\ud83d", "c", "\\u0000d"):
            self.send(self.wire.delta("@@").replace(b"@@", piece.encode()))
        await self.end()


class _Pacer:
    """Writes words at a steady rate from timer callbacks, without a task switch for each."""

    def __init__(
        self, transport: asyncio.Transport, wire: Wire, words: list[str], behaviour: Behaviour
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._wire = wire
        self._frames = [] if behaviour.timestamps else _frames(wire, tuple(words))
        self._count = len(words)
        self._position = 0
        self._gap = 1 / behaviour.rate
        self._next = self._loop.time()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._tick()

    def _tick(self) -> None:
        if self.done.done():
            return
        if self._position == self._count or self._transport.is_closing():
            self.done.set_result(None)
            return
        if self._frames:
            frame = self._frames[self._position]
        else:
            frame = _chunked(self._wire.delta(f"{time.monotonic_ns()} "))
        self._transport.write(frame)
        self._position += 1
        self._next += self._gap
        self._loop.call_at(self._next, self._tick)


class FakeProvider:
    """The server, in a thread of its own. Thread-safe to read; set behaviours between requests."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.default = Behaviour()
        self.requests: list[Received] = []
        self._queue: deque[Behaviour] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def queue(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, one each, before `default` applies again."""
        self._queue.extend(behaviours)

    def reset(self) -> None:
        self.default = Behaviour()
        self._queue.clear()
        self.requests.clear()

    @property
    def open_requests(self) -> int:
        return sum(received.ended_at is None for received in self.requests)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 2.0) -> bool:
        """Whether `condition` comes true in time; for what only this side sees, like a closed connection."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.005)
        return condition()

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self.serve(ready.set)), name="fake-provider", daemon=True
        )
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the fake provider did not start")
        return self

    def stop(self) -> None:
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join(10)

    async def serve(self, on_ready: Callable[[], object]) -> None:
        """Serve until stopped; in the calling loop."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024)
        await site.start()
        self.port = runner.addresses[0][1]
        on_ready()
        try:
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/_control", self._control)
        app.router.add_get("/_requests", self._list_requests)
        app.router.add_delete("/_requests", self._clear_requests)
        app.router.add_post("/v1/messages", self._handler(wires.ANTHROPIC))
        app.router.add_post("/v1/chat/completions", self._handler(wires.OPENAI))
        app.router.add_post("/chat/completions", self._handler(wires.OPENAI))
        app.router.add_post("/v1beta/models/{model:[^/]+}:streamGenerateContent", self._handler(wires.GEMINI))
        return app

    # --- answering -----------------------------------------------------------------------------

    def _handler(self, wire: Wire) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = json.loads(await request.read())
            model = request.match_info.get("model") or body.get("model", "")
            headers = {name.lower(): value for name, value in request.headers.items()}
            assert request.transport is not None
            client_port = request.transport.get_extra_info("peername")[1]
            received = Received(wire.name, request.path_qs, model, headers, body, client_port)
            self.requests.append(received)
            answer = _Answer(request, wire, received, self._behaviour_for(model, body))
            scenario = getattr(answer, answer.behaviour.scenario)
            try:
                await scenario()
                received.is_finished = True
            except asyncio.CancelledError:
                received.closed_by_client = True
                raise
            except ConnectionError:
                received.closed_by_client = True
            finally:
                received.closed_by_client |= request.transport is None and not received.is_finished
                received.ended_at = time.monotonic()
            return answer.response

        return handle

    def _behaviour_for(self, model: str, body: dict[str, Any]) -> Behaviour:
        if self._queue:
            return self._queue.popleft()
        if model.startswith("fake-"):
            return replace(self.default, scenario=model.removeprefix("fake-").replace("-", "_"))
        texts = _texts(body.get("messages") or body.get("contents"))
        order = _ORDER.search(texts[-1]) if texts else None
        return parse_behaviour(json.loads(order[1]), self.default) if order else self.default

    # --- steering from another process -----------------------------------------------------------

    async def _control(self, request: web.Request) -> web.Response:
        order = await request.json()
        if "default" in order:
            self.default = parse_behaviour(order["default"])
        self._queue.extend(parse_behaviour(behaviour) for behaviour in order.get("queue", ()))
        return web.json_response({"default": asdict(self.default), "queued": len(self._queue)})

    async def _list_requests(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "open": self.open_requests,
                "requests": [asdict(received) for received in self.requests],
            }
        )

    async def _clear_requests(self, request: web.Request) -> web.Response:
        self.reset()
        return web.json_response({})


def parse_behaviour(order: dict[str, Any], base: Behaviour | None = None) -> Behaviour:
    known = {field.name for field in fields(Behaviour)}
    unknown = order.keys() - known
    if unknown or not hasattr(_Answer, order.get("scenario", "normal")):
        raise ValueError(f"not a behaviour: {order}")
    return replace(base or Behaviour(), **order)


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake model provider on a local port.")
    parser.add_argument("--port", type=int, default=0)
    server = FakeProvider(parser.parse_args().port)

    def announce() -> None:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()

    try:
        import uvloop  # only here: a benchmark's provider should cost as little as it can
    except ImportError:
        asyncio.run(server.serve(announce))
    else:
        uvloop.run(server.serve(announce))


if __name__ == "__main__":
    main()
