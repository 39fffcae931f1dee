"""Two web processes, a runner and Redis, and what happens when one of them goes away."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.testing.fixtures import RedisServer
from tests.processes.client import App, Heard
from tests.servers import Installation, Process, WebProcess, installation

pytestmark = pytest.mark.processes


@dataclass
class Site:
    house: Installation
    redis: RedisServer
    first: WebProcess
    second: WebProcess
    runner: Process


@pytest.fixture
def site(redis_server: RedisServer, tmp_path: Path) -> Iterator[Site]:
    settings = {"AI_ECHO_DELAY_MS": "120", "LOG_LEVEL": "WARNING", "CHAT_LEASE_SECONDS": "3"}
    with installation(**settings) as house:
        house.manage("migrate", "--verbosity", "0")
        house.manage("load_demo", "--verbosity", "0")
        house.spread_out(redis_server.url)
        processes = [WebProcess(house), WebProcess(house)]
        runner = Process(house, "manage.py", "run_generations")
        made = Site(house, redis_server, *processes, runner)
        try:
            for process in processes:
                process.wait_until_ready()
            yield made
        finally:
            for process in (*processes, runner):
                process.end()


def assert_settled(site: Site) -> None:
    site.house.manage("check_ledger")
    assert site.house.sql("SELECT count(*) FROM billing_hold WHERE state = 'held'") == [(0,)]


def test_f1_another_process_takes_the_reader_over_without_a_seam(site: Site) -> None:
    app = App(site.first.url)
    generation = app.send()
    heard = Heard()
    for event in app.events(generation):
        heard.take(event)
        if heard.last_seq == 4:
            break
    site.first.kill()
    for event in app.events(generation, after=heard.last_seq, url=site.second.url):
        heard.take(event)
    assert heard.end["type"] == "generation.completed"
    rows = site.house.sql(
        "SELECT content, charge FROM chat_message WHERE id = %s", heard.end["message"]["id"]
    )
    assert rows[0][0] == heard.text
    charges = site.house.sql("SELECT -amount FROM billing_ledgertransaction WHERE kind = 'charge'")
    assert charges == [(rows[0][1],)]
    assert_settled(site)
