"""Are the tests of the ledger any good? Each money function is broken in one place at a time, and the state
machine must notice. `--ledger-mutants 3000` walks at most so many steps for each; else this is left out.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import current_app
from django.db import connection

from billing.tests import faults
from billing.tests.ledger_machine import Machine
from common.testing.database import as_superuser, restore_seed_rows

pytestmark = pytest.mark.django_db(transaction=True)
FUNCTIONS = (
    "billing_post",
    "billing_available",
    "billing_balance",
    "billing_entitlement",
    "billing_start_day",
    "billing_apply_tier",
    "billing_lock_wallet",
    "billing_reserve",
    "billing_settle",
    "billing_capture",
    "billing_release",
    "billing_expire_holds",
    "billing_grant",
    "billing_book_payment",
    "billing_book_return",
    "billing_freeze",
    "billing_unfreeze",
    "billing_refresh_allowances",
)
# Most are noticed within so many steps.
_QUICK = 200
CHANGES = (
    (r"(?<![<>=|])<=(?!=)", "<"),
    (r"(?<![<>=|])>=(?!=)", ">"),
    (r"(?<=\s)<(?=\s)", "<="),
    (r"(?<=\s)>(?=\s)", ">="),
    (r"(?<=\s)\+(?=\s)", "-"),
    (r"(?<=\s)-(?=\s)", "+"),
    (r"\bleast\b", "greatest"),
    (r"\bgreatest\b", "least"),
    (r"\bAND\b", "OR"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIF NOT FOUND\b", "IF FOUND"),
    (r"\bIF FOUND\b", "IF NOT FOUND"),
    (r"\bCONTINUE WHEN NOT FOUND\b", "CONTINUE WHEN FOUND"),
    (r"(?<=\[)-(?=\w)", "+"),
    (r"(?<=, )-(?=\w)", "+"),
)


@contextmanager
def _broken(definition: str, mutant: str) -> Iterator[None]:
    with as_superuser() as admin:
        admin.execute(mutant)
    try:
        yield
    finally:
        with as_superuser() as admin:
            admin.execute(definition)


def _mutants(definition: str) -> Iterator[tuple[str, str]]:
    """What was changed, and the function with it; comments and declarations of types are left alone."""
    start = definition.index("BEGIN") if "BEGIN" in definition else definition.index("AS $")
    for pattern, replacement in CHANGES:
        for found in re.finditer(pattern, definition):
            line = (
                definition[: found.start()].rpartition("\n")[2]
                + definition[found.start() :].partition("\n")[0]
            )
            if found.start() < start or line.strip().startswith("--"):
                continue
            mutant = definition[: found.start()] + replacement + definition[found.end() :]
            yield f"{found[0]} → {replacement} in: {line.strip()}", mutant


def _survives(steps: int, settings: Any, struck: faults.Faults) -> bool:
    connection.close()
    restore_seed_rows()
    struck.clear()
    machine = Machine(7, settings, struck)
    try:
        for number in range(1, steps + 1):
            machine.step(number)
        machine.compare_everything()
    except Exception:
        return False
    return True


def test_every_broken_money_function_is_noticed(
    request: pytest.FixtureRequest, settings: Any, db: Any
) -> None:
    steps = request.config.getoption("--ledger-mutants")
    if not steps:
        pytest.skip("asked for by --ledger-mutants only: it takes an hour")
    write = request.config.get_terminal_writer().line
    current_app.conf.task_always_eager = False
    request.addfinalizer(lambda: setattr(current_app.conf, "task_always_eager", True))
    survivors, tried = [], 0
    with faults.installed() as struck:
        assert _survives(steps, settings, struck), "the functions as they are must pass"
        for name in FUNCTIONS:
            with as_superuser() as admin:
                rows = admin.execute("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", [name])
                (definition,) = rows.fetchone()
            for change, mutant in _mutants(definition):
                try:
                    with _broken(definition, mutant):
                        tried += 1
                        if _survives(_QUICK, settings, struck) and _survives(steps, settings, struck):
                            survivors.append(f"{name}: {change}")
                            write(f"survived: {name}: {change}")
                except Exception as error:
                    # It does not even compile.
                    write(f"refused: {name}: {change}: {type(error).__name__}")
    connection.close()
    write(f"{tried} mutants, {len(survivors)} survived")
