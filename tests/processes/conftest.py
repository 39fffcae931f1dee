"""A site that tests may break: its processes and servers are mended before the next one."""

import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.utils import timezone

from ai.testing.fake_provider import Behaviour, FakeProvider
from billing import invariants
from common.testing.fixtures import RedisServer
from config.embedded import postgres
from tests.servers import Installation, Person, Process, WebProcess, installation

# Characters of one to four bytes, right-to-left, joined and combined ones, quotes and line ends.
STORY = " ".join(
    f"{number}: “naïve” 東京の夜 🦊👩‍🚀 e\u0301 שלום \\n \u2028 <b>&amp;</b>" for number in range(40)
)


def assert_settled(house: Installation) -> None:
    """Nothing is held or running any more, and the ledger keeps all its promises."""
    live = house.sql("SELECT id, status FROM chat_generation WHERE status IN ('queued', 'streaming')")
    assert live == []
    assert house.sql("SELECT id, reference FROM billing_hold WHERE state = 'held'") == []
    now = timezone.now()
    assert house.sql(invariants._statement(is_narrow=False), stale=now, now=now) == []


def spoken(text: str) -> str:
    """The text as the fake provider says it, which is word by word."""
    return "".join(re.findall(r"\s*\S+\s*", text))


@pytest.fixture(scope="session")
def base() -> Iterator[Installation]:
    with installation(LOG_LEVEL="WARNING") as made:
        made.prepare()
        yield made


@pytest.fixture(scope="session")
def provider_server() -> Iterator[FakeProvider]:
    server = FakeProvider().start()
    yield server
    server.stop()


@pytest.fixture
def provider(provider_server: FakeProvider) -> Iterator[FakeProvider]:
    """Tells a story of some seconds unless told otherwise."""
    provider_server.reset()
    provider_server.default = Behaviour(text=STORY, rate=120)
    yield provider_server
    provider_server.reset()


@dataclass
class Site:
    """Two web processes, a runner and Redis over one database."""

    house: Installation
    redis: RedisServer
    webs: list[WebProcess] = field(default_factory=list)
    runners: list[Process] = field(default_factory=list)

    @property
    def first(self) -> WebProcess:
        return self.webs[0]

    @property
    def second(self) -> WebProcess:
        return self.webs[1]

    @property
    def urls(self) -> list[str]:
        return [web.url for web in self.webs]

    def start_runner(self, **extra: str) -> Process:
        runner = Process(self.house, "manage.py", "run_generations", **extra)
        self.runners.append(runner)
        return runner

    def mend(self) -> None:
        """Everything runs again; what does already stays as it is."""
        if self.redis.process is None or self.redis.process.poll() is not None:
            self.redis.start()
        self.webs = [
            web if web.is_alive else WebProcess(self.house, port=web.port)
            for web in self.webs or [WebProcess(self.house), WebProcess(self.house)]
        ]
        self.runners = [runner for runner in self.runners if runner.is_alive]
        if not self.runners:
            self.start_runner()
        for web in self.webs:
            web.wait_until_ready()

    def end(self) -> None:
        for process in (*self.webs, *self.runners):
            process.end()
        self.redis.stop()

    def wait_until_quiet(self, seconds: float = 30) -> None:
        """Until no reply is being made."""
        deadline = time.monotonic() + seconds
        while self.house.sql("SELECT 1 FROM chat_generation WHERE status IN ('queued', 'streaming')"):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def charges(self, person: Person) -> list[int]:
        """What this person paid, reply by reply, in microcredits."""
        rows = self.house.sql(
            "SELECT -amount FROM billing_ledgertransaction WHERE kind = 'charge' AND user_id = %s"
            " ORDER BY number",
            person.id,
        )
        return [int(row[0]) for row in rows]


@pytest.fixture(scope="session")
def shared_site(base: Installation, provider_server: FakeProvider) -> Iterator[Site]:
    house = base.copy(
        "spread_out",
        ANTHROPIC_API_KEY="test",
        ANTHROPIC_BASE_URL=provider_server.url,
        CHAT_LEASE_SECONDS="3",
        CHAT_SLOW_READER_SECONDS="3",
        CHAT_SOCKETS_PER_USER="100",
    )
    with tempfile.TemporaryDirectory(prefix="parlor-redis-") as folder:
        redis = RedisServer(Path(folder))
        house.spread_out(redis.url)
        made = Site(house, redis)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture
def site(shared_site: Site, provider: FakeProvider) -> Iterator[Site]:
    postgres.ensure_running(shared_site.house.data_dir)
    shared_site.mend()
    yield shared_site
    assert_settled(shared_site.house)


@pytest.fixture(scope="session")
def _crowd(shared_site: Site) -> Iterator[Person]:
    """People nobody has been yet: their limits and wallets are untouched."""
    return iter(shared_site.house.people(24, chats=10))


@pytest.fixture
def person(_crowd: Iterator[Person]) -> Person:
    return next(_crowd)
