"""Whole replies through the product against a bare relay of the same provider stream, in one run.

Streams begin evenly over the time one takes, as in life, and everybody asks twice; so "200 streams" means 200
running at once while others begin and end.
"""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import requests

from benchmarks.report import Figure
from common.testing.fixtures import RedisServer
from tests.servers import Installation, Person, Process, WebProcess, free_port, installation

# A reply of three or four paragraphs, at the speed of a quick model.
TOKENS = 400
RATE = 50.0
FIRST_TOKEN_MILLISECONDS = {1: 15, 20: 25, 50: 25, 200: 60}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw of one reply."""

    first: float
    words: int
    is_faulty: bool


@dataclass
class Load:
    """What the clients of one run saw, and what the server's processes spent."""

    seen: list[Seen] = field(default_factory=list)
    cpu: float = 0.0
    seconds: float = 0.0
    memory: int = 0

    @property
    def cpu_of_a_token(self) -> float:
        """Microseconds."""
        return self.cpu / max(sum(one.words for one in self.seen), 1) * 1e6

    @property
    def first_p95(self) -> float:
        ordered = sorted(one.first for one in self.seen)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]

    @property
    def faults(self) -> int:
        return sum(one.is_faulty or one.words != TOKENS for one in self.seen)


# Asks so many times, one after the other, as the person with this number.
Talk = Callable[[int, int], Awaitable[list[Seen]]]


def run(*, quick: bool) -> Iterator[Figure]:
    """Yield the figures of 1, 50 and 200 streams (quick: 1 and 20)."""
    counts = (1, 20) if quick else (1, 50, 200)
    with installation() as house, ExitStack() as stack:
        provider = Process(house, "-m", "ai.testing.fake_provider", "--port", str(port := free_port()))
        stack.callback(provider.end)
        address = f"http://127.0.0.1:{port}"
        house.environment |= {
            "ANTHROPIC_API_KEY": "benchmark",
            "ANTHROPIC_BASE_URL": address,
            "LOG_LEVEL": "WARNING",
            "CHAT_SOCKETS_PER_USER": "1000",
        }
        house.prepare()
        yield from _queries(house)
        people = house.people(max(counts))
        raw = _raw_relay(house, address)
        stack.callback(raw[0].end)
        with ExitStack() as one_process:
            web = WebProcess(house)
            one_process.callback(web.end)
            web.wait_until_ready()
            yield from _one_process(web, raw, people, address, counts)
        if shutil.which("redis-server") is None:
            print("spread out: not measured, redis-server is not on the PATH", flush=True)
            return
        yield from _spread_out(house, address, max(counts))


def _queries(house: Installation) -> Iterator[Figure]:
    for name, count in json.loads(house.run_module("benchmarks.queries")).items():
        yield Figure(f"database statements of {name}", count)


def _one_process(
    web: WebProcess, raw: tuple[Process, str], people: list[Person], address: str, counts: tuple[int, ...]
) -> Iterator[Figure]:
    idle = _memory(web.popen.pid)
    yield Figure("idle memory of the whole product, MB", idle / 1e6, 180, at_most=True)
    _behave(address, tokens=5, rate=0)
    _measure([web.popen.pid], _talk(web.url, people), counts[-1], times=1, seconds=0)
    _behave(address, tokens=TOKENS, rate=RATE)
    for count in counts:
        idle = _memory(web.popen.pid)
        limit = _measure([raw[0].popen.pid], _raw_talk(raw[1]), count)
        ours = _measure([web.popen.pid], _talk(web.url, people), count)
        yield from _compared(ours, limit, f"{count} streams, websocket", 0.7)
        added = (ours.first_p95 - limit.first_p95) * 1000
        allowed = FIRST_TOKEN_MILLISECONDS[count]
        yield Figure(f"added time to first token, p95, {count} streams, ms", added, allowed, at_most=True)
        if count > 1:
            grown = max(ours.memory - idle, 0) / count / 1e3
            yield Figure(f"memory of an open stream, {count} streams, KB", grown, 80, at_most=True)
            by_sse = _measure([web.popen.pid], _talk_by_sse(web.url, people), count)
            yield from _compared(by_sse, limit, f"{count} streams, server-sent events", 0.6)
    yield from _short_replies(web, people, address)


def _compared(ours: Load, limit: Load, name: str, target: float) -> Iterator[Figure]:
    ratio = limit.cpu_of_a_token / ours.cpu_of_a_token
    yield Figure(f"tokens per CPU second against the raw relay, {name}", ratio, target)
    yield Figure(f"CPU of a token, {name}, µs", ours.cpu_of_a_token)
    yield Figure(f"CPU of a token in the raw relay, {name}, µs", limit.cpu_of_a_token)
    yield Figure(f"streams with a token lost or doubled, {name}", ours.faults, 0, at_most=True)


def _short_replies(web: WebProcess, people: list[Person], address: str) -> Iterator[Figure]:
    """One word each: what remains is the start and the end of a reply."""
    _behave(address, tokens=1, rate=0)
    short = _measure([web.popen.pid], _talk(web.url, people), 10, times=20, seconds=0)
    yield Figure("CPU to start and settle a reply, ms", short.cpu / len(short.seen) * 1000, 6, at_most=True)
    yield Figure("replies settled a second", len(short.seen) / short.seconds)


def _spread_out(house: Installation, address: str, count: int) -> Iterator[Figure]:
    """A web process, a runner and Redis, with all they spend added up."""
    with tempfile.TemporaryDirectory(prefix="parlor-redis-") as folder, ExitStack() as stack:
        redis = RedisServer(Path(folder))
        stack.callback(redis.stop)
        redis.start()
        house.spread_out(redis.url)
        runner = Process(house, "manage.py", "run_generations")
        stack.callback(runner.end)
        web = WebProcess(house)
        stack.callback(web.end)
        web.wait_until_ready()
        assert redis.process is not None
        people = house.people(count)
        _behave(address, tokens=TOKENS, rate=RATE)
        pids = [web.popen.pid, runner.popen.pid, redis.process.pid]
        load = _measure(pids, _talk(web.url, people), count)
        name = f"{count} streams, web, runner and Redis"
        yield Figure(f"CPU of a token, {name}, µs", load.cpu_of_a_token, 130, at_most=True)
        yield Figure(f"streams with a token lost or doubled, {name}", load.faults, 0, at_most=True)


def _raw_relay(house: Installation, address: str) -> tuple[Process, str]:
    port = free_port()
    relay = Process(
        house,
        *("-m", "uvicorn", "benchmarks.raw_relay:application", "--port", str(port), "--log-level", "warning"),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio"),
        ANTHROPIC_BASE_URL=address,
    )
    _wait(f"http://127.0.0.1:{port}/")
    return relay, f"ws://127.0.0.1:{port}/"


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            requests.get(url, timeout=1)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")


def _behave(address: str, *, tokens: int, rate: float) -> None:
    behaviour = {"scenario": "normal", "tokens": tokens, "rate": rate}
    requests.post(f"{address}/_control", json={"default": behaviour}, timeout=5).raise_for_status()


# --- Clients ---------------------------------------------------------------------------------------------


def _talk(url: str, people: list[Person]) -> Talk:
    async def talk(number: int, times: int) -> list[Seen]:
        person = people[number]
        address = f"{url.replace('http', 'ws')}/ws/chat/{person.chats[0]}/"
        async with aiohttp.ClientSession(headers=person.headers) as http, http.ws_connect(address) as socket:
            await socket.receive_json()
            return [await _listen(socket, {"type": "message.send", **_message()}) for _ in range(times)]

    return talk


def _raw_talk(address: str) -> Talk:
    async def stream() -> Seen:
        async with aiohttp.ClientSession() as http, http.ws_connect(address) as socket:
            return await _listen(socket, {"type": "go"})

    async def talk(_number: int, times: int) -> list[Seen]:
        return [await stream() for _ in range(times)]

    return talk


def _talk_by_sse(url: str, people: list[Person]) -> Talk:
    async def ask(http: aiohttp.ClientSession, address: str) -> Seen:
        listener = _Listener()
        async with http.post(address, json=_message(), raise_for_status=True) as answer:
            async for line in answer.content:
                if line.startswith(b"data:") and listener.is_over(json.loads(line[5:])):
                    break
        return listener.seen

    async def talk(number: int, times: int) -> list[Seen]:
        person = people[number]
        address = f"{url}/api/v1/chat/sessions/{person.chats[0]}/messages/"
        headers = {**person.headers, "Accept": "text/event-stream"}
        async with aiohttp.ClientSession(headers=headers) as http:
            return [await ask(http, address) for _ in range(times)]

    return talk


def _message() -> dict[str, str]:
    return {"client_id": os.urandom(8).hex(), "content": "Tell me something."}


class _Listener:
    """Checks the numbering of what comes in."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first = 0.0
        self._seq = 0
        self._text: list[str] = []
        self._is_faulty = False
        self._has_ended = False

    def is_over(self, event: dict[str, Any]) -> bool:
        if event["type"] == "generation.delta":
            self._first = self._first or time.monotonic() - self._started
            self._is_faulty |= event["seq"] != self._seq + 1
            self._seq = event["seq"]
            self._text.append(event["text"])
        elif event["type"] == "generation.completed":
            self._has_ended = True
        return self._has_ended or event["type"] == "error"

    @property
    def seen(self) -> Seen:
        words = len("".join(self._text).split())
        return Seen(self._first, words, self._is_faulty or not self._has_ended)


async def _listen(socket: aiohttp.ClientWebSocketResponse, frame: dict[str, str]) -> Seen:
    listener = _Listener()
    await socket.send_json(frame)
    async for message in socket:
        if listener.is_over(json.loads(message.data)):
            break
    return listener.seen


# --- Measuring -------------------------------------------------------------------------------------------


def _measure(
    pids: list[int], talk: Talk, count: int, *, times: int = 2, seconds: float = TOKENS / RATE
) -> Load:
    """Let `count` people talk at once, who begin evenly within `seconds`."""
    load = Load()
    before, started = sum(map(_cpu, pids)), time.monotonic()

    async def begin(number: int) -> list[Seen]:
        await asyncio.sleep(seconds * number / count)
        return await talk(number, times)

    async def begin_all() -> None:
        watcher = asyncio.create_task(_watch_memory(pids[0], load))
        for seen in await asyncio.gather(*map(begin, range(count))):
            load.seen += seen
        watcher.cancel()

    asyncio.run(begin_all())
    load.seconds = time.monotonic() - started
    load.cpu = sum(map(_cpu, pids)) - before
    return load


async def _watch_memory(pid: int, load: Load) -> None:
    while True:
        load.memory = max(load.memory, _memory(pid))
        await asyncio.sleep(1)


def _cpu(pid: int) -> float:
    """User and system seconds of a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
