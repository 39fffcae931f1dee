"""Whether this process can serve: the database must answer; Redis being away only degrades."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min
from django.utils import timezone

from common import metrics
from common.models import OutboxMessage

_draining = threading.Event()
_migrations_applied = False
_extra_checks: dict[str, Callable[[], str]] = {}
_gauge_updaters: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Readiness:
    status: str
    checks: dict[str, str]


def start_draining() -> None:
    """From now on readiness fails, so that the balancer sends nobody new."""
    _draining.set()


def register_check(name: str, check: Callable[[], str]) -> None:
    """Add a check to the readiness report; it answers "ok", "degraded" or "unavailable"."""
    _extra_checks[name] = check


def register_gauges(update: Callable[[], None]) -> None:
    """Have `update` called before metrics are read."""
    _gauge_updaters.append(update)


def readiness() -> Readiness:
    checks = {"process": "unavailable" if _draining.is_set() else "ok", "database": _database()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
    if settings.REDIS_URL:
        checks["redis"] = _redis()
    checks.update({name: check() for name, check in _extra_checks.items()})
    worst = "ok"
    for state in checks.values():
        if state == "unavailable":
            worst = "unavailable"
        elif state == "degraded" and worst == "ok":
            worst = "degraded"
    return Readiness(worst, checks)


def update_gauges() -> None:
    waiting = OutboxMessage.objects.filter(state=OutboxMessage.State.PENDING).aggregate(
        count=Count("id"), oldest=Min("created_at")
    )
    metrics.OUTBOX_PENDING.set(waiting["count"])
    age = (timezone.now() - waiting["oldest"]).total_seconds() if waiting["oldest"] else 0
    metrics.OUTBOX_OLDEST.set(max(age, 0))
    for update in _gauge_updaters:
        update()


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unavailable"
    return "ok"


def _migrations() -> str:
    global _migrations_applied
    _migrations_applied = _migrations_applied or not has_pending_migrations()
    return "ok" if _migrations_applied else "unavailable"


def has_pending_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _redis() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        client.ping()
    except redis.RedisError:
        return "degraded"
    finally:
        client.close()
    return "ok"
