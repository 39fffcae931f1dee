"""M43: ten thousand random steps over a few wallets, each compared with a second implementation in Python.

Clocks jump forward and back, the operator's time zone changes, transactions are rolled back, connections die
before and after commits and writes fail inside statements. The invariants are checked after every step, for
the wallets it touched, and over everything now and then. `--ledger-seed` repeats a run.
"""

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from celery import current_app
from django.db import connection

from billing.tests import faults
from billing.tests.ledger_machine import Machine

pytestmark = pytest.mark.django_db(transaction=True)
FULL_CHECK_EVERY = 2500


@pytest.fixture
def struck(transactional_db: None) -> Iterator[faults.Faults]:
    with faults.installed() as installed:
        yield installed
    connection.close()


def test_m43_the_ledger_agrees_with_its_model_after_every_random_step(
    request: pytest.FixtureRequest, settings: Any, struck: faults.Faults
) -> None:
    steps = request.config.getoption("--ledger-steps")
    seed = request.config.getoption("--ledger-seed") or random.SystemRandom().randrange(2**32)
    request.config.get_terminal_writer().line(f"\nledger machine: {steps} steps, --ledger-seed={seed}")
    # Mails that payments promise wait in the outbox: this is about the ledger.
    current_app.conf.task_always_eager = False
    request.addfinalizer(lambda: setattr(current_app.conf, "task_always_eager", True))
    machine = Machine(seed, settings, struck)
    for number in range(1, steps + 1):
        before = (machine.now, deepcopy(machine.counts))
        try:
            machine.step(number)
            if number % FULL_CHECK_EVERY == 0:
                machine.compare_everything()
        except BaseException as error:
            error.add_note(
                f"step {number} ({machine.doing}) of --ledger-seed={seed} at {before[0]}: {before[1]}"
            )
            raise
    machine.compare_everything()
    if steps >= 10_000:
        assert min(machine.counts.values()) > 0
        assert {
            "reserved",
            "refused insufficient",
            "refused messages",
            "refused suspended",
            "key repeated",
            "capture captured applied",
            "capture captured no-op",
            "capture expired applied",
            "release released applied",
            "expired",
            "granted",
            "grant repeated",
            "rolled back",
            "killed before commit",
            "answer lost",
            "fault inside",
            "refreshed",
            "refused owing",
            "refused paused",
            "refused message cap",
            "refused day cap",
            "pack paid",
            "plan paid",
            "payment told again",
            "refunded",
            "disputed",
            "dispute won",
            "dispute lost",
            "subscription active",
            "subscription grace",
            "subscription on_hold",
            "subscription cancelled",
            "subscription expired",
            "subscription moved on",
        } <= set(machine.counts)
