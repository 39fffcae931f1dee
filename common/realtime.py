"""Rare signals to open sockets. They may be lost: whoever needs the truth reads the database."""

import asyncio
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

logger = structlog.get_logger("parlor.realtime")

# The event loop this process's sockets live in. Channel layers belong to one loop; a signal sent from
# another thread must be carried there.
_home: asyncio.AbstractEventLoop | None = None


def use_running_loop() -> None:
    """Send every signal of this process through the loop that runs now; sockets call it when they open."""
    global _home
    _home = asyncio.get_running_loop()


def publish(group: str, event: dict[str, Any]) -> None:
    """Send `event` to a group's sockets once the current transaction has committed."""
    transaction.on_commit(lambda: _send_quietly(group, event), robust=True)


async def apublish(group: str, event: dict[str, Any]) -> None:
    """Send `event` at once from async code."""
    message = {"type": "realtime.event", "event": event}
    # Redis being away costs a signal, never the work that caused it.
    try:
        await _send(group, message)
    except (OSError, TimeoutError, RedisError, ChannelFull) as error:
        logger.warning("realtime_unavailable", error=type(error).__name__)


async def _send(group: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    try:
        await layer.group_send(group, message)
    except (OSError, RedisConnectionError):
        # A connection of before a restart of Redis says so only when it is used; the next one is new.
        await layer.group_send(group, message)


def _send_quietly(group: str, event: dict[str, Any]) -> None:
    home = _home
    if home is not None and home.is_running():
        asyncio.run_coroutine_threadsafe(apublish(group, event), home)
    else:
        async_to_sync(apublish)(group, event)
