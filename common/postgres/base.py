"""Django's PostgreSQL backend with a pool that gets over a restarted server at once.

psycopg's pool asks each idle connection "are you there?" before handing it out, which costs a round trip
every time, and after a restart it goes through its dead connections one by one with growing pauses. Here a
connection is asked only if its socket has something to say, and one that is dead takes all others with it.
"""

import select
from collections.abc import Callable
from typing import Any, ClassVar

import psycopg
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    _connection_pools: "ClassVar[dict[str, ConnectionPool[Any]]]"
    _configure_connection: "Callable[[psycopg.Connection[Any]], None]"

    @property
    def queries_logged(self) -> bool:
        """Only when asked for: in DEBUG Django formats each statement twice and keeps 9,000 a connection."""
        return bool(self.force_debug_cursor)

    @property
    def pool(self) -> "ConnectionPool[Any] | None":
        options = self.settings_dict["OPTIONS"].get("pool")
        if not options or self.alias == NO_DB_ALIAS:
            return None
        if self.alias not in self._connection_pools:
            self._connection_pools.setdefault(self.alias, self._make_pool(options))
        return self._connection_pools[self.alias]

    def _make_pool(self, options: dict[str, Any]) -> "ConnectionPool[Any]":
        def check(connection: "psycopg.Connection[Any]") -> None:
            if not _has_something_to_say(connection):
                return
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.Error:
                pool.drain()
                raise

        pool: ConnectionPool[Any] = ConnectionPool(
            kwargs={**self.get_connection_params(), "autocommit": True},
            open=False,
            configure=self._configure_connection,
            check=check,
            **options,
        )
        return pool


def _has_something_to_say(connection: "psycopg.Connection[Any]") -> bool:
    """Between two statements a server speaks only to say goodbye, or to close without a word."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
