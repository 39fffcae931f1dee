"""Hearing of new work and of stops at once, over a database connection of its own."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import structlog
from django.db import connections

from chat.wakeups import STOP_CHANNEL, WORK_CHANNEL
from common.ids import parse_uuid

logger = structlog.get_logger("parlor.runner")

_RETRY_SECONDS = 1.0
_CHECK_SECONDS = 30.0


class Listener:
    """LISTENs until cancelled and connects anew for ever; `on_connect` makes up for what was missed."""

    def __init__(
        self, *, on_work: Callable[[], None], on_stop: Callable[[UUID], None], on_connect: Callable[[], None]
    ) -> None:
        self._on_work = on_work
        self._on_stop = on_stop
        self._on_connect = on_connect

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                logger.warning("listener_disconnected", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True)
        async with connection:
            for channel in (WORK_CHANNEL, STOP_CHANNEL):
                await connection.execute(f"LISTEN {channel}")
            self._on_connect()
            while True:
                async for notice in connection.notifies(timeout=_CHECK_SECONDS):
                    self._dispatch(notice.channel, notice.payload)
                # A dead peer shows itself only when it is spoken to.
                await connection.execute("SELECT 1")

    def _dispatch(self, channel: str, payload: str) -> None:
        if channel == WORK_CHANNEL:
            self._on_work()
        elif (generation_id := parse_uuid(payload)) is not None:
            self._on_stop(generation_id)


def _parameters() -> dict[str, Any]:
    settings = connections["default"].settings_dict
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    given = {parameter: settings[name] for name, parameter in names.items() if settings.get(name)}
    options = {
        key: value
        for key, value in settings.get("OPTIONS", {}).items()
        if key not in {"pool", "assume_role", "server_side_binding", "isolation_level"}
    }
    return {**options, **given, "connect_timeout": 5}
