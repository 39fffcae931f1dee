from collections.abc import Callable, Iterator

import pytest

from accounts.models import User
from chat.tests.factories import RunnerThread
from chat.tests.live import LiveClient, LiveServer


@pytest.fixture
def runner(transactional_db: None) -> Iterator[RunnerThread]:
    """The embedded runner, in a thread of its own; gone before the tables are emptied."""
    thread = RunnerThread()
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture
def live(transactional_db: None, fake_provider: object) -> Iterator[LiveServer]:
    """A web server with its runner, whose models are the fake provider's."""
    server = LiveServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def device(live: LiveServer) -> Iterator[Callable[[User | None], LiveClient]]:
    """`device(user)` is a client of the live server."""
    clients: list[LiveClient] = []

    def make(user: User | None) -> LiveClient:
        clients.append(LiveClient(live, user))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
