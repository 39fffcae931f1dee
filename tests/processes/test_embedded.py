"""`make run` as operators meet it: one process, a quick second start, a drain, a kill."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import requests

from ai.testing.fake_provider import Behaviour, FakeProvider
from config.embedded import postgres
from tests.processes.client import App, Heard, stream, talk
from tests.processes.conftest import STORY, assert_settled, spoken
from tests.servers import Installation, Person, Process, WebProcess

pytestmark = pytest.mark.processes

READY_SECONDS = 8


@pytest.fixture
def house(base: Installation, provider: FakeProvider) -> Iterator[Installation]:
    postgres.ensure_running(base.data_dir)
    base.environment |= {
        "ANTHROPIC_API_KEY": "test",
        "ANTHROPIC_BASE_URL": provider.url,
        "CHAT_LEASE_SECONDS": "2",
    }
    yield base
    assert_settled(base)


@pytest.fixture(scope="module")
def shared_web() -> Iterator[list[WebProcess]]:
    """The process of the test before, where it is still alive: starting is what costs time here."""
    kept: list[WebProcess] = []
    yield kept
    for process in kept:
        process.end()


@pytest.fixture
def web(house: Installation, shared_web: list[WebProcess]) -> WebProcess:
    alive = [process for process in shared_web if process.is_alive]
    shared_web[:] = alive or [WebProcess(house)]
    return shared_web[0].wait_until_ready()


@pytest.fixture
def no_web(house: Installation, shared_web: list[WebProcess]) -> None:
    for process in shared_web:
        process.end()


def reply_of(house: Installation, end: dict[str, Any]) -> tuple[Any, ...]:
    return house.sql("SELECT status, content FROM chat_message WHERE id = %s", end["message"]["id"])[0]


def test_a_start_is_quick_and_keeps_to_host_and_port(house: Installation, no_web: None) -> None:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = WebProcess(house, host="127.0.0.2", PARLOR_ALLOWED_HOSTS="127.0.0.2")
    try:
        process.wait_until_ready()
        seconds = time.monotonic() - started
        assert f"http://127.0.0.2:{process.port}" in process.log
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{process.port}/health/live", timeout=5)
        process.terminate()
    finally:
        process.end()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime
    # A machine that is busy with other things makes the clock say nothing; the work itself is ours.
    assert min(seconds, work) < READY_SECONDS


def test_a_second_process_on_the_same_database_refuses_to_start(house: Installation, web: WebProcess) -> None:
    second = WebProcess(house)
    assert second.popen.wait(60) != 0
    assert "More than one needs Redis" in second.log
    assert requests.get(f"{web.url}/health/ready", timeout=10).status_code == 200


def test_several_processes_without_redis_refuse_to_start(house: Installation) -> None:
    process = Process(house, "-m", "config.embedded", "run", WEB_CONCURRENCY="2")
    assert process.popen.wait(60) != 0
    assert "common.E001" in process.log


def test_f3_told_to_stop_it_lets_the_reply_end_and_goes(house: Installation, web: WebProcess) -> None:
    app = App(web.url)
    heard = app.hear(generation := app.send(), until=3)
    told = time.monotonic()
    web.popen.send_signal(signal.SIGTERM)
    app.hear(generation, heard)
    assert heard.end["type"] == "generation.completed"
    assert heard.text == spoken(STORY)
    web.popen.wait(30)
    assert time.monotonic() - told < 30
    assert reply_of(house, heard.end) == ("complete", heard.text)


async def test_f3_a_reply_that_outlasts_the_grace_is_kept_and_free(
    house: Installation, provider: FakeProvider, no_web: None
) -> None:
    provider.default = Behaviour(text=STORY, rate=10)
    (person,) = house.people(1)
    web = WebProcess(house, PARLOR_SHUTDOWN_GRACE_SECONDS="1")
    heard = Heard()
    try:
        web.wait_until_ready()
        listening = asyncio.create_task(talk([web.url], person, person.chats[0], heard))
        await heard.until(4)
        os.kill(web.popen.pid, signal.SIGTERM)
        await asyncio.wait_for(listening, 20)
        await asyncio.to_thread(web.popen.wait, 30)
    finally:
        web.end()
    assert (heard.end["type"], heard.end["charge"]) == ("generation.interrupted", {"credits": "0"})
    assert spoken(STORY).startswith(heard.text)
    assert reply_of(house, heard.end) == ("interrupted", heard.text)
    assert provider.wait_until(lambda: provider.requests[0].closed_by_client)


def test_f2_killed_in_mid_reply_it_keeps_the_words_charges_nothing_and_goes_on(
    house: Installation, web: WebProcess, provider: FakeProvider
) -> None:
    provider.default = Behaviour(text=STORY, rate=30)
    app = App(web.url)
    heard = app.hear(generation := app.send(), until=50)
    web.kill()
    # At most the last second may be lost with the process's memory.
    words_at_least = len(heard.text.split()) - 1.5 * 30
    again = WebProcess(house, port=web.port)
    try:
        again.wait_until_ready()
        ended = app.wait_for_end(generation)
        kept = ended["message"]["content"]
        assert (ended["status"], ended["charge"]) == ("interrupted", {"credits": "0"})
        assert spoken(STORY).startswith(kept)
        assert len(kept.split()) >= words_at_least
        provider.default = Behaviour(text=" And so it ended.")
        path = f"/api/v1/chat/messages/{ended['message']['id']}/continue/"
        more = app.post(path, {"client_id": "go-on"}, 202)["generation"]["id"]
        assert app.wait_for_end(more)["message"]["content"] == f"{kept} And so it ended."
    finally:
        again.end()


async def test_more_event_streams_than_database_connections(
    house: Installation, provider: FakeProvider, web: WebProcess
) -> None:
    provider.default = Behaviour(text=STORY, rate=60)
    people = house.people(4, chats=10)

    async def listen(person: Person, chat: str) -> list[str]:
        async with aiohttp.ClientSession(headers=person.headers) as http:
            return [event["type"] async for event in stream(http, web.url, chat)]

    listening = [asyncio.create_task(listen(person, chat)) for person in people for chat in person.chats]
    await asyncio.to_thread(provider.wait_until, lambda: provider.open_requests == 40, 20)
    began = time.monotonic()
    answer = await asyncio.to_thread(requests.get, f"{web.url}/health/ready", timeout=10)
    assert (answer.status_code, time.monotonic() - began < 5) == (200, True)
    for types in await asyncio.gather(*listening):
        assert types[-1] == "generation.completed"
