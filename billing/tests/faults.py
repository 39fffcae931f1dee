"""Faults inside the database: the n-th write of a statement fails, or its connection dies there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from common.testing.database import as_superuser

TABLES = (
    "billing_wallet",
    "billing_hold",
    "billing_ledgertransaction",
    "billing_ledgerentry",
    "billing_payment",
    "billing_refund",
    "billing_dispute",
    "billing_subscription",
)

# The counter is a sequence, since a sequence remembers what a rolled-back transaction did.
_CREATE = """
CREATE SCHEMA faults;
CREATE SEQUENCE faults.writes;
CREATE TABLE faults.plan (kind text NOT NULL, at bigint NOT NULL);
INSERT INTO faults.plan VALUES ('none', 0);
CREATE FUNCTION faults.strike() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    plan faults.plan;
BEGIN
    SELECT * INTO plan FROM faults.plan;
    IF plan.kind <> 'none' AND nextval('faults.writes') = plan.at THEN
        IF plan.kind = 'kill' THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
        ELSE
            RAISE EXCEPTION 'injected' USING ERRCODE = plan.kind;
        END IF;
    END IF;
    RETURN NULL;
END $$;
"""
_TRIGGERS = """
CREATE TRIGGER faults_after_statement AFTER INSERT OR UPDATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION faults.strike();
CREATE CONSTRAINT TRIGGER faults_at_commit AFTER INSERT OR UPDATE ON {table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION faults.strike();
"""


class Faults:
    """`plan("40001", 3)`: the third write from now on fails so, in whatever statement it stands."""

    def __init__(self) -> None:
        self._admin = as_superuser()

    def plan(self, kind: str, at: int) -> None:
        self._admin.execute("ALTER SEQUENCE faults.writes RESTART")
        self._admin.execute("UPDATE faults.plan SET kind = %s, at = %s", [kind, at])

    def clear(self) -> bool:
        """End the plan; whether it had struck."""
        kind, at = self._admin.execute("SELECT kind, at FROM faults.plan").fetchone()
        last, is_called = self._admin.execute("SELECT last_value, is_called FROM faults.writes").fetchone()
        self._admin.execute("UPDATE faults.plan SET kind = 'none'")
        return kind != "none" and is_called and last >= at

    def terminate(self, backend: int) -> None:
        """End a connection from the server's side; it is gone when this returns."""
        self._admin.execute("SELECT pg_terminate_backend(%s)", [backend])
        gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
        while not self._admin.execute(gone, [backend]).fetchone()[0]:
            time.sleep(0.001)

    def close(self) -> None:
        self._admin.execute("DROP SCHEMA faults CASCADE")
        self._admin.close()


@contextmanager
def installed() -> Iterator[Faults]:
    faults = Faults()
    with as_superuser() as admin:
        admin.execute(_CREATE)
        for table in TABLES:
            admin.execute(_TRIGGERS.format(table=table))
    try:
        yield faults
    finally:
        faults.close()
