"""Signals to open sockets, over connections that may have died with Redis."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from common import realtime


class Layer:
    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.sent: list[tuple[str, Any]] = []

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise RedisConnectionError("Connection closed by server.")
        self.sent.append((group, message["event"]))


@pytest.mark.parametrize(("failures", "arrives"), [(0, True), (1, True), (2, False)])
async def test_a_signal_is_sent_once_more_over_a_new_connection(
    monkeypatch: pytest.MonkeyPatch, failures: int, arrives: bool
) -> None:
    """Where Redis is really away, the signal is lost and its cause goes on."""
    layer = Layer(failures)
    monkeypatch.setattr(realtime, "get_channel_layer", lambda: layer)

    await realtime.apublish("user.1", {"type": "x"})

    assert layer.sent == [("user.1", {"type": "x"})] * arrives
