"""Two web processes, a runner and Redis, and what happens when one of them goes away."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Iterator
from typing import Any

import aiohttp
import pytest
import redis
import requests

from ai.testing.fake_provider import Behaviour, FakeProvider
from config.embedded import postgres
from tests.processes.client import App, Heard, send_by_rest, send_by_socket, send_by_sse, stream, talk
from tests.processes.conftest import STORY, Site, spoken
from tests.processes.staff import Staff
from tests.servers import Person, WebProcess

pytestmark = pytest.mark.processes

STREAMS = 50


def assert_told(site: Site, heard: Heard, story: str = STORY) -> None:
    """The reader, the database and the provider agree, byte for byte."""
    assert heard.end["type"] == "generation.completed", heard.end
    assert heard.text.encode() == spoken(story).encode()
    assert heard.end["message"]["content"] == heard.text
    rows = site.house.sql(
        "SELECT m.status, m.content, g.last_seq FROM chat_message m"
        " JOIN chat_generation g ON g.reply_id = m.id WHERE g.id = %s",
        heard.generation,
    )
    assert rows == [("complete", heard.text, heard.last_seq)]


async def test_f1_another_web_process_takes_the_reader_over_without_a_seam(
    site: Site, provider: FakeProvider, person: Person
) -> None:
    heard = Heard()
    talking = asyncio.create_task(talk(site.urls, person, person.chats[0], heard))
    await heard.until(5)
    site.first.kill()
    before, lost_at = heard.last_seq, time.monotonic()
    await heard.until(before + 1)
    assert time.monotonic() - lost_at < 5
    await asyncio.wait_for(talking, 30)

    assert heard.closes == [None]
    assert_told(site, heard)
    assert site.charges(person) == [
        round(float(heard.end["charge"]["credits"]) * 1_000_000),
    ]
    assert len(provider.requests) == 1


def test_f2_a_runner_that_dies_leaves_what_was_said_and_no_charge(
    site: Site, provider: FakeProvider, person: Person
) -> None:
    app = App(site.first.url, person)
    heard = app.hear(generation := app.send(), until=15)
    site.runners[0].kill()
    site.start_runner()
    ended = app.wait_for_end(generation)

    kept = ended["message"]["content"]
    assert (ended["status"], ended["charge"]) == ("interrupted", {"credits": "0"})
    # Redis still had what the runner did not live to save.
    assert kept.startswith(heard.text)
    assert spoken(STORY).startswith(kept)
    assert site.charges(person) == []
    app.hear(generation, heard)
    assert (heard.end["type"], heard.text) == ("generation.interrupted", kept)

    provider.default = Behaviour(text=" And so it ended.")
    path = f"/api/v1/chat/messages/{ended['message']['id']}/continue/"
    more = app.post(path, {"client_id": "go-on"}, 202)["generation"]["id"]
    assert app.wait_for_end(more)["message"]["content"] == f"{kept} And so it ended."
    assert len(site.charges(person)) == 1


async def test_f3_fifty_streams_move_to_another_process_on_sigterm(
    site: Site, provider: FakeProvider
) -> None:
    provider.default = Behaviour(text=STORY, rate=60)
    people = site.house.people(5, chats=STREAMS // 5)
    heard = [Heard() for _ in range(STREAMS)]
    chats = [(person, chat) for person in people for chat in person.chats]
    talking = [
        asyncio.create_task(talk(site.urls, person, chat, one))
        for (person, chat), one in zip(chats, heard, strict=True)
    ]
    await asyncio.gather(*(one.until(3, seconds=40) for one in heard))
    told = time.monotonic()
    os.kill(site.first.popen.pid, signal.SIGTERM)
    await asyncio.wait_for(asyncio.gather(*talking), 60)
    await asyncio.to_thread(site.first.popen.wait, 30)

    assert time.monotonic() - told < 40
    assert {tuple(one.closes) for one in heard} == {(1012,)}
    for one in heard:
        assert_told(site, one)
    assert [len(site.charges(person)) for person in people] == [STREAMS // 5] * 5
    assert len(provider.requests) == STREAMS


def test_f3_a_runner_told_to_stop_ends_its_replies_and_takes_no_more(
    site: Site, provider: FakeProvider, person: Person
) -> None:
    app = App(site.first.url, person)
    heard = app.hear(generation := app.send(), until=2)
    old = site.runners[0]
    old.popen.send_signal(signal.SIGTERM)
    app.hear(generation, heard)
    assert_told(site, heard)
    assert old.popen.wait(30) == 0
    # What is asked for meanwhile waits for the next runner.
    late = app.send("And then?")
    assert app.get(f"/api/v1/chat/generations/{late}/")["status"] == "queued"
    site.start_runner()
    assert app.wait_for_end(late)["status"] == "complete"


def readiness(web: WebProcess) -> tuple[int, str]:
    answer = requests.get(f"{web.url}/health/ready", timeout=10)
    return answer.status_code, answer.json()["status"]


async def test_f4_without_redis_messages_are_taken_and_answered(site: Site, person: Person) -> None:
    pids = [process.popen.pid for process in (*site.webs, *site.runners)]
    app = App(site.first.url, person)
    before, during = Heard(), Heard()
    talking = asyncio.create_task(talk([site.first.url], person, person.chats[1], before))
    await before.until(3)
    site.redis.stop()
    assert requests.get(f"{site.first.url}/health/live", timeout=5).status_code == 200
    assert await asyncio.to_thread(readiness, site.first) == (200, "degraded")
    generation = await asyncio.to_thread(app.send)
    # Both the reply that was running and new ones come, by the database.
    await asyncio.wait_for(talking, 40)
    await asyncio.wait_for(talk([site.second.url], person, person.chats[2], during), 40)
    for heard in (before, during):
        assert_told(site, heard)
    ended = await asyncio.to_thread(app.wait_for_end, generation)
    assert (ended["status"], ended["message"]["content"]) == ("complete", spoken(STORY))

    await asyncio.to_thread(site.redis.start)
    after = Heard()
    await asyncio.wait_for(talk([site.first.url], person, person.chats[3], after), 40)
    assert_told(site, after)
    assert await asyncio.to_thread(readiness, site.first) == (200, "ok")
    assert [process.popen.pid for process in (*site.webs, *site.runners)] == pids


def _wait_for_group(url: str, chat: str, seconds: float = 30) -> None:
    """Until the socket has joined the group of its chat again, which takes a few seconds."""
    deadline = time.monotonic() + seconds
    with redis.Redis.from_url(url) as client:
        while not any(chat.encode() in name for name in client.pubsub_channels()):
            assert time.monotonic() < deadline
            time.sleep(0.1)


async def _listen(socket: aiohttp.ClientWebSocketResponse, heard: Heard) -> None:
    while not heard.end:
        heard.take(await socket.receive_json())


async def test_f5_sockets_opened_before_redis_was_emptied_hear_of_everything(
    site: Site, provider: FakeProvider, person: Person
) -> None:
    chat = person.chats[0]
    app = App(site.second.url, person)
    async with aiohttp.ClientSession(headers=person.headers) as http:
        address = f"{site.first.url.replace('http', 'ws')}/ws/chat/{chat}/"
        async with http.ws_connect(address) as socket:
            assert (await socket.receive_json(timeout=10))["type"] == "session.ready"
            heard = Heard()
            # Listening all the while, as clients do; a line nobody reads from answers no ping.
            listening = asyncio.create_task(_listen(socket, heard))
            await asyncio.to_thread(site.redis.stop)
            await asyncio.to_thread(site.redis.start)
            await asyncio.to_thread(_wait_for_group, site.redis.url, chat)
            generation = await asyncio.to_thread(app.send)
            await asyncio.wait_for(listening, 30)
    assert heard.created == ["user", "assistant"]
    assert heard.generation == generation
    assert_told(site, heard)


@pytest.mark.parametrize(
    ("breaking", "mending"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["out-of-memory", "read-only"],
)
async def test_f6_a_redis_that_takes_no_writes_costs_no_message(
    site: Site, provider: FakeProvider, person: Person, breaking: tuple[str, ...], mending: tuple[str, ...]
) -> None:
    import redis

    provider.default = Behaviour(text=STORY, rate=300)
    client: Any = redis.Redis.from_url(site.redis.url)
    client.execute_command(*breaking)
    try:
        heard = [Heard() for _ in range(6)]
        talks = [
            talk([site.urls[number % 2]], person, person.chats[number], one)
            for number, one in enumerate(heard)
        ]
        apps = [App(site.urls[number % 2], person) for number in range(2)]
        apps[0].session, apps[1].session = person.chats[6:8]
        sends = [asyncio.to_thread(app.send) for app in apps]
        *_none, first, second = await asyncio.wait_for(asyncio.gather(*talks, *sends), 60)
        assert await asyncio.to_thread(readiness, site.first) in ((200, "ok"), (200, "degraded"))
    finally:
        client.execute_command(*mending)
        client.close()
    for one in heard:
        assert_told(site, one)
    for app, generation in zip(apps, (first, second), strict=True):
        ended = app.wait_for_end(generation)
        assert (ended["status"], ended["message"]["content"]) == ("complete", spoken(STORY))
    assert len(site.charges(person)) == 8


SET_ASIDE = """
from billing.selectors import get_wallet
from billing.services import holds
amount = get_wallet({user!r}).available - {left}
print(holds.reserve_credits(user_id={user!r}, amount=amount, reference="other", key="other").hold_id)
"""


@contextlib.contextmanager
def left_with(site: Site, person: Person, amount: int) -> Iterator[None]:
    """Everything but `amount` microcredits is set aside for something else."""
    done = site.house.manage("shell", "--verbosity", "0", "-c", SET_ASIDE.format(user=person.id, left=amount))
    yield
    release = "from billing.services import holds; holds.release_hold(hold_id={!r}, reason='over')"
    site.house.manage("shell", "--verbosity", "0", "-c", release.format(done.strip()))


def test_m2_credits_for_one_pay_one_over_every_face_of_four_processes(
    site: Site, provider: FakeProvider
) -> None:
    (person,) = site.house.people(1, chats=46)
    provider.default = Behaviour(text="Once.")
    app = App(site.first.url, person)
    app.wait_for_end(app.send())
    (amount,) = site.house.sql(
        "SELECT max(daily + bonus + purchased)::bigint FROM billing_hold WHERE user_id = %s", person.id
    )[0]
    provider.requests.clear()
    provider.default = Behaviour(text="Once.", first_delay=4)
    more = WebProcess(site.house, WEB_CONCURRENCY="2")
    try:
        urls = [*site.urls, more.wait_until_ready().url]
        with left_with(site, person, amount):
            answers = asyncio.run(_send_over_every_face(urls, person))
            started = next(answer for answer in answers if answer != 402)
            assert answers.count(402) == len(answers) - 1
            assert App(site.first.url, person).wait_for_end(str(started))["status"] == "complete"
    finally:
        more.end()
    assert len(provider.requests) == 1
    assert len(site.charges(person)) == 2


async def _send_over_every_face(urls: list[str], person: Person) -> list[int | str]:
    """For each of 45 messages, one a chat: the generation's id, or the status of the refusal."""
    work: list[Awaitable[int | str]] = []
    async with aiohttp.ClientSession(headers=person.headers) as http:
        for number, chat in enumerate(person.chats[1:]):
            url = urls[number // 3 % len(urls)]
            way = (send_by_rest, send_by_sse, send_by_socket)[number % 3]
            work.append(way(http, url, chat))
        return list(await asyncio.gather(*work))


def test_m6_a_runner_killed_between_hold_and_first_word_costs_nothing(
    site: Site, provider: FakeProvider, person: Person
) -> None:
    provider.default = Behaviour(text=STORY, first_delay=20)
    app = App(site.first.url, person)
    generation = app.send()
    assert provider.wait_until(lambda: len(provider.requests) == 1)
    site.runners[0].kill()
    site.start_runner()
    ended = app.wait_for_end(generation)
    assert (ended["status"], ended["charge"]) == ("interrupted", {"credits": "0"})
    assert site.charges(person) == []


def test_m7_a_runner_killed_between_last_word_and_capture_is_captured_once(
    site: Site, provider: FakeProvider, person: Person
) -> None:
    provider.default = Behaviour(text=STORY, rate=300)
    app = App(site.first.url, person)
    generation = app.send()
    with site.house.cluster.connect(database=site.house.database) as lock, lock.transaction():
        app.hear(generation, until=3)
        # Nobody can take anything from this wallet now: what follows the last word waits.
        lock.execute("SELECT 1 FROM billing_wallet WHERE user_id = %s FOR UPDATE", [person.id])
        deadline = time.monotonic() + 20
        while site.house.sql("SELECT outcome FROM chat_generation WHERE id = %s", generation) != [
            ("complete",)
        ]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        site.runners[0].kill()
    site.start_runner()
    ended = app.wait_for_end(generation)
    assert (ended["status"], ended["message"]["content"]) == ("complete", spoken(STORY))
    assert site.charges(person) == [round(float(ended["charge"]["credits"]) * 1_000_000)]
    assert len(provider.requests) == 1


def test_f7_postgresql_restarts_in_mid_reply(site: Site, provider: FakeProvider, person: Person) -> None:
    provider.default = Behaviour(text=STORY, rate=40)
    app = App(site.first.url, person)
    heard = app.hear(generation := app.send(), until=5)
    postgres.stop(site.house.data_dir)
    time.sleep(1)
    postgres.ensure_running(site.house.data_dir)
    site.first.wait_until_ready()
    ended = app.wait_for_end(generation)

    # The reply went on while the database was away, and was saved when it came back.
    assert (ended["status"], ended["message"]["content"]) == ("complete", spoken(STORY))
    app.hear(generation, heard)
    assert_told(site, heard)
    assert len(site.charges(person)) == 1
    app.hear(app.send("And then?"), again := Heard())
    assert again.end["type"] == "generation.completed"


def test_several_processes_on_one_socket_live_and_end_together(site: Site, person: Person) -> None:
    web = WebProcess(site.house, WEB_CONCURRENCY="2")
    try:
        web.wait_until_ready()
        children = _children(web.popen.pid)
        os.kill(children[0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while len(set(_children(web.popen.pid)) - {children[0]}) < 2:
            assert time.monotonic() < deadline, "the killed process was not replaced"
            time.sleep(0.1)
        web.wait_until_ready()
        app = App(web.url, person)
        heard = app.hear(app.send())
        assert_told(site, heard)
        children = _children(web.popen.pid)
        web.terminate(30)
        assert not any(os.path.exists(f"/proc/{pid}") for pid in children)
    finally:
        for pid in _children(web.popen.pid):
            os.kill(pid, signal.SIGKILL)
        web.end()


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return [int(child) for child in children.read().split()]
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("what", ["suspension", "role", "password", "sign-out"])
async def test_x10_x26_open_lines_are_cut_within_two_seconds(
    site: Site, provider: FakeProvider, person: Person, what: str
) -> None:
    """The socket and the stream hang on one process, the staff member on another."""
    account = f"/admin/accounts/user/{person.id}"
    staff = await asyncio.to_thread(Staff, site.second.url)
    role = await asyncio.to_thread(staff.option, f"{account}/change/", "support")
    reason = {"reason": "test", "_form_submitted": "on"}
    new = {"password1": "another-passphrase", "password2": "another-passphrase", "usable_password": "true"}
    acts = {
        "suspension": lambda: staff.post(f"{account}/suspend/", reason),
        "role": lambda: staff.change(f"{account}/change/", groups=[role]),
        "password": lambda: staff.post(f"{account}/password/", new),
        "sign-out": lambda: staff.post(f"{account}/end_sessions/", reason),
    }
    async with (
        aiohttp.ClientSession(headers=person.headers) as http,
        http.ws_connect(f"{site.first.url.replace('http', 'ws')}/ws/chat/{person.chats[0]}/") as socket,
        contextlib.aclosing(stream(http, site.first.url, person.chats[1])) as events,
    ):
        ready = await socket.receive_json(timeout=20)
        async for event in events:
            if event["type"] == "generation.delta":
                break
        await asyncio.to_thread(acts[what])
        async with asyncio.timeout(2):
            closed = await socket.receive()
            async for event in events:
                assert event["type"] in ("generation.delta", "generation.stopped")
        me = f"{site.first.url}/api/v1/me/"
        async with http.get(me) as answer:
            status = answer.status

    assert ready["type"] == "session.ready"
    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 4401)
    assert status == 401
    await asyncio.to_thread(site.wait_until_quiet)
