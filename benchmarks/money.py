"""Allowances, webhooks, exports and pages about money, in one database of their own."""

import random
from collections.abc import Iterator

from benchmarks import allowances, database, exports, pages, rows, webhooks
from benchmarks.report import Figure, Result

DATABASE = "parlor_bench_money"
# The whole ledger has tens of millions of entries by the end; the invariants are looked at for some of it.
_CHECKED = 2_000
_BUYERS = 1_000


def run(*, quick: bool, seed: int) -> Iterator[Figure | Result]:
    """Measure in a database of a million wallets (quick: a hundred thousand), which is dropped afterwards."""
    from django.conf import settings

    random.seed(seed)
    wallets = 100_000 if quick else 1_000_000
    buyers = range(wallets + 1, wallets + 1 + (30 if quick else 150))
    first = wallets + _BUYERS
    viewed = {first: 20, first + 1: 2_000}
    exported = {first + 2: wallets // 10, first + 3: wallets}
    zone = settings.TIME_ZONE
    preparations = [
        *rows.wallets(1, wallets, zone=zone),
        *rows.wallets(buyers[0], buyers[-1], zone=zone),
        *(
            part
            for history in (viewed, exported)
            for number, count in history.items()
            for part in rows.charges(number, count, zone=zone)
        ),
    ]
    with database.own_database(DATABASE, *preparations), database.sockets_loop():
        yield from pages.run(viewed)
        yield from exports.run(DATABASE, exported)
        yield from webhooks.run(
            DATABASE, people=buyers, events=400 if quick else 2_000, rounds=2 if quick else 3
        )
        yield from allowances.run(DATABASE, wallets)
        numbers = [*random.sample(range(1, wallets + 1), _CHECKED), *buyers, *viewed, *exported]
        database.check_ledger({database.user_id(number) for number in numbers})
