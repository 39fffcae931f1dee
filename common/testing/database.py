"""The test database: made by the owner role, used by the application's role, put back by the superuser."""

from functools import cache
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection, connections
from psycopg import sql

from config.embedded import postgres


def start_server(data_dir: Path) -> postgres.Cluster:
    return postgres.ensure_running(data_dir)


def stop_server(data_dir: Path) -> None:
    postgres.stop(data_dir)


def restart_server() -> None:
    """Stop the server as an operator would, in the middle of whatever runs, and start it again."""
    postgres.stop(settings.DATA_DIR)
    postgres.ensure_running(settings.DATA_DIR)


def use_role(role: str) -> None:
    """Let every new connection of the suite sign in as `role`."""
    for other in connections.all():
        other.close()
    cluster = postgres.load_cluster(settings.DATA_DIR)
    login = cluster.connection(role)
    connection.settings_dict.update({"USER": login["USER"], "PASSWORD": login["PASSWORD"]})


def remember_seed_rows() -> None:
    """Copy what the migrations put into the tables, so that it can be put back after a test."""
    with as_superuser() as admin:
        admin.execute("CREATE SCHEMA seed")
        for table in _tables(admin):
            if admin.execute(
                sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
            ).fetchone()[0]:
                admin.execute(
                    sql.SQL("CREATE TABLE seed.{0} AS TABLE public.{0}").format(sql.Identifier(table))
                )
        name = sql.Identifier(str(connection.settings_dict["NAME"]))
        # A crash of the test server may lose the last tests' rows; nobody will miss them.
        admin.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))


def restore_seed_rows() -> None:
    """Empty every table and put the migrations' rows back, past triggers and foreign keys."""
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(_restore_statement(str(connection.settings_dict["NAME"])))


@cache
def _restore_statement(database: str) -> sql.Composed:
    with as_superuser() as admin:
        seeded = {
            row[0] for row in admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'seed'")
        }
        statements = [
            sql.SQL("DELETE FROM public.{};").format(sql.Identifier(name)) for name in _tables(admin)
        ]
        for table in sorted(seeded):
            columns = [
                sql.Identifier(row[0])
                for row in admin.execute(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
                    " AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
                    [table],
                )
            ]
            names = sql.SQL(", ").join(columns)
            statements.append(
                sql.SQL(
                    "INSERT INTO public.{0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM seed.{0};"
                ).format(sql.Identifier(table), names)
            )
        return sql.SQL("\n").join(statements)


def close_other_sessions() -> None:
    """End what threads of the suite left open; a database in use cannot be dropped."""
    with as_superuser() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _tables(admin: psycopg.Connection) -> list[str]:
    rows = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [row[0] for row in rows]


def as_superuser() -> psycopg.Connection:
    """A connection past every grant, for what only somebody with the keys to the server could do."""
    cluster = postgres.load_cluster(settings.DATA_DIR)
    return cluster.connect(database=str(connection.settings_dict["NAME"]))
