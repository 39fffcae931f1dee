"""`make run` as operators meet it: one process, a drain, a quick second start."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.processes.client import App, Heard
from tests.servers import Installation, Process, WebProcess, installation

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def house() -> Iterator[Installation]:
    with installation(AI_ECHO_DELAY_MS="60", LOG_LEVEL="WARNING") as made:
        first = WebProcess(made)
        first.wait_until_ready()
        assert first.terminate() == -15
        yield made


@pytest.fixture
def web(house: Installation) -> Iterator[WebProcess]:
    process = WebProcess(house)
    yield process.wait_until_ready()
    process.end()


def test_the_second_start_is_ready_within_eight_seconds(house: Installation) -> None:
    started = time.monotonic()
    process = WebProcess(house)
    try:
        process.wait_until_ready()
        assert time.monotonic() - started < 8
    finally:
        process.end()


def test_a_second_process_on_the_same_database_refuses_to_start(house: Installation, web: WebProcess) -> None:
    second = WebProcess(house)
    assert second.popen.wait(30) != 0
    assert "More than one needs Redis" in second.log


def test_several_processes_without_redis_refuse_to_start(house: Installation) -> None:
    process = Process(house, "-m", "config.embedded", "run", WEB_CONCURRENCY="2")
    assert process.popen.wait(30) != 0
    assert "common.E001" in process.log


def test_f3_told_to_stop_it_lets_the_reply_end_and_goes_quickly(house: Installation, web: WebProcess) -> None:
    app = App(web.url)
    generation = app.send()
    heard = Heard()
    for event in app.events(generation):
        heard.take(event)
        if heard.last_seq == 2:
            os.kill(web.popen.pid, 15)
        if heard.end:
            break
    assert heard.end["type"] == "generation.completed"
    web.popen.wait(30)
    rows = house.sql("SELECT status, content FROM chat_message WHERE id = %s", heard.end["message"]["id"])
    assert rows == [("complete", heard.text)]
    house.manage("check_ledger")
    assert house.sql("SELECT count(*) FROM billing_hold WHERE state = 'held'") == [(0,)]


def test_f2_killed_in_mid_reply_it_keeps_the_words_and_charges_nothing(house: Installation) -> None:
    process = WebProcess(house, CHAT_LEASE_SECONDS="3", AI_ECHO_DELAY_MS="150")
    process.wait_until_ready()
    app = App(process.url)
    generation = app.send()
    heard = Heard()
    for event in app.events(generation):
        heard.take(event)
        if heard.last_seq == 12:
            break
    process.kill()
    again = WebProcess(house, port=process.port, CHAT_LEASE_SECONDS="3")
    try:
        again.wait_until_ready()
        ended = app.wait_for_end(generation)
        assert (ended["status"], ended["charge"]) == ("interrupted", {"credits": "0"})
        kept = ended["message"]["content"]
        assert kept
        assert heard.text.startswith(kept) or kept.startswith(heard.text)
        assert house.sql("SELECT count(*) FROM billing_hold WHERE state = 'held'") == [(0,)]
        app.post(f"/api/v1/chat/messages/{ended['message']['id']}/continue/", {"client_id": "go-on"}, 202)
    finally:
        again.end()
    house.manage("check_ledger")
