"""How work finds a runner at once: directly in this process, or by PostgreSQL's NOTIFY in another one.

A wake-up may be lost; runners also look by themselves every few seconds.
"""

from collections.abc import Callable
from uuid import UUID

from django.db import connection, transaction

WORK_CHANNEL = "parlor_generation"
STOP_CHANNEL = "parlor_stop"

# Answers whether the runner of this process takes the work now.
_local_runner: Callable[[], bool] | None = None


def set_local_runner(wake: Callable[[], bool] | None) -> None:
    global _local_runner
    _local_runner = wake


def announce_work() -> None:
    """Tell a runner, once the current transaction has committed, that a generation is queued."""
    transaction.on_commit(_announce, robust=True)


def announce_stop(generation_id: UUID) -> None:
    """Tell the runner that holds the generation that it shall stop."""
    _notify(STOP_CHANNEL, str(generation_id))


def _announce() -> None:
    if _local_runner is None or not _local_runner():
        _notify(WORK_CHANNEL, "")


def _notify(channel: str, payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])
