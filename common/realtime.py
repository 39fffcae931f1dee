"""Rare signals to open sockets. They may be lost: whoever needs the truth reads the database."""

from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

logger = structlog.get_logger("parlor.realtime")


def publish(group: str, event: dict[str, Any]) -> None:
    """Send `event` to a group's sockets once the current transaction has committed."""
    transaction.on_commit(lambda: _send_quietly(group, event), robust=True)


async def apublish(group: str, event: dict[str, Any]) -> None:
    """Send `event` at once from async code."""
    layer = get_channel_layer()
    # Redis being away costs a signal, never the work that caused it.
    try:
        await layer.group_send(group, {"type": "realtime.event", "event": event})
    except (OSError, ConnectionError, TimeoutError) as error:
        logger.warning("realtime_unavailable", error=type(error).__name__)


def _send_quietly(group: str, event: dict[str, Any]) -> None:
    async_to_sync(apublish)(group, event)
