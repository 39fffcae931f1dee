"""Databases of the benchmarks' own, what pgbench reaches in them, and what every web process has beside."""

import asyncio
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

CLIENTS = 8
USER_FUNCTION = """
CREATE FUNCTION bench_user(bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS
    $$ SELECT ('00000000-0000-7000-8000-' || lpad($1::text, 12, '0'))::uuid $$;
"""
_USERS = """
INSERT INTO accounts_user (
    id, password, is_superuser, is_staff, is_active, display_name, pronouns, locale, time_zone, avatar_key,
    unverified_phone, session_epoch, created_at)
SELECT bench_user(n), '', false, false, true, 'Bench', '', '', '', '', '', 0, now() - interval '90 days'
  FROM generate_series({first}, {last}) n
"""


def users(first: int, last: int) -> str:
    """The statement that makes people with these numbers."""
    return _USERS.format(first=first, last=last)


def user_id(number: int) -> UUID:
    """What `bench_user` answers."""
    return UUID(f"00000000-0000-7000-8000-{number:012d}")


@contextmanager
def own_database(name: str, *preparations: str) -> Iterator[None]:
    """A migrated database, filled by `preparations` as the superuser and dropped afterwards."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from psycopg import sql

    from config.embedded import postgres

    cluster = postgres.ensure_running(settings.DATA_DIR)
    identifier = sql.Identifier(name)
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier)
    with cluster.connect() as admin:
        admin.execute(drop)
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, sql.Identifier(postgres.OWNER_ROLE))
        )
    options = connection.settings_dict["OPTIONS"]
    pool = options.pop("pool", None)
    original = dict(connection.settings_dict)
    try:
        connection.settings_dict.update(cluster.connection(postgres.OWNER_ROLE), NAME=name)
        call_command("migrate", verbosity=0)
        connection.close()
        with cluster.connect(name) as admin:
            admin.execute("SET synchronous_commit = off")
            admin.execute(USER_FUNCTION)
            for preparation in preparations:
                admin.execute(preparation)
            admin.execute("RESET session_replication_role")
            admin.execute("VACUUM ANALYZE")
        use_database(name)
        options["pool"] = pool or {"min_size": 2, "max_size": 24, "timeout": 10}
        yield
    finally:
        connection.close_pool()
        connection.settings_dict.update(original)
        with cluster.connect() as admin:
            admin.execute(drop)


def use_database(name: str) -> None:
    """Let Django's connections go to another database, as the application's role."""
    from django.conf import settings
    from django.db import connection

    from config.embedded import postgres

    cluster = postgres.load_cluster(settings.DATA_DIR)
    connection.settings_dict.update(cluster.connection(postgres.APP_ROLE), NAME=name)


def as_superuser(name: str) -> Any:
    """A connection past the application's rights, for statements that show what the database can do."""
    from django.conf import settings

    from config.embedded import postgres

    return postgres.load_cluster(settings.DATA_DIR).connect(name)


def pgbench(name: str, script: str, seconds: float, clients: int = CLIENTS) -> float:
    """How often a second `script` runs."""
    from django.conf import settings

    from config.embedded import postgres

    cluster = postgres.load_cluster(settings.DATA_DIR)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [
                postgres.binary("pgbench"),
                *("--no-vacuum", "--protocol", "prepared", "--file", file.name),
                *("--client", str(clients), "--jobs", "2", "--time", str(max(1, round(seconds)))),
                *("--host", "127.0.0.1", "--port", str(cluster.port), "--username", "postgres", name),
            ],
            env={**os.environ, "PGPASSWORD": cluster.superuser_password},
            capture_output=True,
            text=True,
            check=False,
        )
    rate = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode or rate is None:
        raise RuntimeError(done.stderr[-2000:])
    return float(rate[1])


@contextmanager
def sockets_loop() -> Iterator[None]:
    """A loop that carries signals to sockets, as every web process has one."""
    from common import realtime

    async def become_home() -> None:
        realtime.use_running_loop()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(become_home(), loop).result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def check_ledger(users: Collection[UUID] | None = None) -> None:
    """Figures of a ledger that came out wrong are none."""
    from billing import invariants

    violations = invariants.find_violations(users=users)
    if violations:
        raise RuntimeError(f"the ledger is wrong after the benchmark: {violations}")
