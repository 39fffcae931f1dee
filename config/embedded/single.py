"""Without Redis exactly one process may serve a database; the database itself keeps that promise."""

import psycopg
from django.db import connection

_LOCK_KEY = 7_305_809_114


class SecondProcess(RuntimeError):
    """Another process already serves this database, and there is no Redis to share work through."""


class SingleProcessLock:
    """A session-level advisory lock on its own connection: it ends with the process, however that ends."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection | None = None

    async def acquire(self) -> None:
        parameters = {
            key: value for key, value in connection.get_connection_params().items() if key in _CONNECTION
        }
        self._connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        cursor = await self._connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_KEY])
        row = await cursor.fetchone()
        if row is None or not row[0]:
            await self.release()
            raise SecondProcess(
                "Another Parlor process already uses this database. More than one needs Redis: set REDIS_URL."
            )

    async def release(self) -> None:
        held, self._connection = self._connection, None
        if held is not None:
            await held.close()


_CONNECTION = {"dbname", "user", "password", "host", "port", "sslmode", "sslrootcert"}
