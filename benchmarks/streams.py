"""Whole replies through the product against a bare relay of the same provider stream, in one run."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import requests

from benchmarks.report import Figure
from config import env
from tests.servers import Installation, Process, WebProcess, free_port, installation

TOKENS = 150
RATE = 50.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """What the clients of one run saw, and what the server spent."""

    first: list[float] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    faults: int = 0
    cpu: float = 0.0
    seconds: float = 0.0
    memory: int = 0

    @property
    def tokens(self) -> int:
        return sum(self.words)

    @property
    def first_p95(self) -> float:
        ordered = sorted(self.first)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def run(*, quick: bool) -> Iterator[Figure]:
    """Yield the figures of 1, 50 and 200 streams (quick: 1 and 20)."""
    counts = (1, 20) if quick else (1, 50, 200)
    with installation() as house:
        provider = Process(house, "-m", "ai.testing.fake_provider", "--port", str(port := free_port()))
        address = f"http://127.0.0.1:{port}"
        raw = _raw_relay(house, address)
        web = WebProcess(
            house, ANTHROPIC_API_KEY="benchmark", ANTHROPIC_BASE_URL=address, LOG_LEVEL="WARNING"
        )
        try:
            web.wait_until_ready()
            people = _people(house, max(counts) * 2 + 20)
            _warm(web, people, address)
            yield from _figures(web, raw, people, address, counts)
        finally:
            for process in (web, raw[0], provider):
                process.end()


def _figures(
    web: WebProcess,
    raw: tuple[Process, str],
    people: list[dict[str, str]],
    address: str,
    counts: tuple[int, ...],
) -> Iterator[Figure]:
    idle = _memory(web.popen.pid)
    yield Figure("idle memory of the whole product, MB", idle / 1e6, 180, at_most=True)
    allowed = {1: 15, 20: 25, 50: 25, 200: 60}
    for count in counts:
        _behave(address, tokens=TOKENS, rate=RATE)
        limit = asyncio.run(_measure(raw[0].popen.pid, [_raw_stream(raw[1]) for _ in range(count)]))
        ours = asyncio.run(_measure(web.popen.pid, [_reply(web.url, person) for person in people[:count]]))
        added = (ours.first_p95 - limit.first_p95) * 1000
        yield Figure(
            f"added time to first token, p95, {count} streams, ms", added, allowed[count], at_most=True
        )
        ratio = (ours.tokens / max(ours.cpu, 0.01)) / (limit.tokens / max(limit.cpu, 0.01))
        yield Figure(f"tokens per CPU second against the raw relay, {count} streams, websocket", ratio, 0.7)
        yield Figure(f"CPU of a token, {count} streams, µs", ours.cpu / max(ours.tokens, 1) * 1e6)
        yield Figure(
            f"CPU of a token in the raw relay, {count} streams, µs", limit.cpu / max(limit.tokens, 1) * 1e6
        )
        lost = ours.faults + sum(words != TOKENS for words in ours.words)
        yield Figure(f"streams with a token lost or doubled, {count} streams", lost, 0, at_most=True)
        if count == max(counts):
            yield Figure(
                "memory of an open stream, KB", max(ours.memory - idle, 0) / count / 1e3, 80, at_most=True
            )
    _behave(address, tokens=1, rate=0)
    short = asyncio.run(
        _measure(web.popen.pid, [_reply(web.url, person) for person in people[-max(counts) :]])
    )
    yield Figure("CPU to start and settle a reply, ms", short.cpu / len(short.words) * 1000, 6, at_most=True)
    yield Figure("replies settled a second", len(short.words) / short.seconds)


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


def _people(house: Installation, count: int) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.seed", str(count)],
        cwd=env.BASE_DIR,
        env=house.full_environment(LOG_LEVEL="ERROR"),
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[dict[str, str]] = json.loads(done.stdout)
    return rows


def _behave(address: str, *, tokens: int, rate: float) -> None:
    behaviour = {"scenario": "normal", "tokens": tokens, "rate": rate}
    requests.post(f"{address}/_control", json={"default": behaviour}, timeout=5).raise_for_status()


def _warm(web: WebProcess, people: list[dict[str, str]], address: str) -> None:
    _behave(address, tokens=5, rate=0)
    asyncio.run(_measure(web.popen.pid, [_reply(web.url, person) for person in people[:10]]))


async def _measure(pid: int, streams: list[Any]) -> Load:
    load = Load()
    before, started = _cpu(pid), time.monotonic()
    watcher = asyncio.create_task(_watch_memory(pid, load))
    for first, words, is_faulty in await asyncio.gather(*streams):
        load.first.append(first)
        load.words.append(words)
        load.faults += is_faulty
    watcher.cancel()
    load.seconds = time.monotonic() - started
    load.cpu = _cpu(pid) - before
    return load


async def _reply(url: str, person: dict[str, str]) -> tuple[float, int, bool]:
    headers = {"Cookie": f"parlor_session={person['cookie']}", "Origin": url}
    address = f"{url.replace('http', 'ws')}/ws/chat/{person['session']}/"
    async with aiohttp.ClientSession() as client, client.ws_connect(address, headers=headers) as socket:
        await socket.receive_json()
        frame = {"type": "message.send", "client_id": os.urandom(8).hex(), "content": "Tell me something."}
        return await _listen(socket, frame)


async def _raw_stream(address: str) -> tuple[float, int, bool]:
    async with aiohttp.ClientSession() as client, client.ws_connect(address) as socket:
        return await _listen(socket, {"type": "go"})


async def _listen(socket: aiohttp.ClientWebSocketResponse, frame: dict[str, str]) -> tuple[float, int, bool]:
    """Seconds to the first text, words received, and whether the numbering or the end was wrong."""
    started, first, seq, text, is_faulty = time.monotonic(), 0.0, 0, "", False
    await socket.send_json(frame)
    async for message in socket:
        event = json.loads(message.data)
        if event["type"] == "generation.delta":
            first = first or time.monotonic() - started
            is_faulty |= event["seq"] != seq + 1
            seq, text = event["seq"], text + event["text"]
        elif event["type"] == "generation.completed":
            return first, len(text.split()), is_faulty
        elif event["type"] not in ("message.created", "generation.started"):
            break
    return first, len(text.split()), True


async def _watch_memory(pid: int, load: Load) -> None:
    while True:
        load.memory = max(load.memory, _memory(pid))
        await asyncio.sleep(0.5)


def _cpu(pid: int) -> float:
    """User and system seconds of a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
