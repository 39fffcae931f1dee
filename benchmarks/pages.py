"""The pages about money with a short and a long history: as many statements, and little time."""

import time
from collections.abc import Iterator
from typing import Any

from benchmarks import database
from benchmarks.report import Figure

PAGES = {"wallet": "/wallet/", "usage": "/wallet/usage/"}
CPU_MS = 50
_VIEWS = 20


def run(histories: dict[int, int]) -> Iterator[Figure]:
    """`histories` are numbers of wallets with how many charges each has, small ones first."""
    for page, path in PAGES.items():
        counts = []
        for number, charges in histories.items():
            statements, milliseconds = _look(number, path)
            counts.append(statements)
            title = f"server CPU of the {page} page with {charges:,} charges, ms"
            yield Figure(title, milliseconds, CPU_MS, at_most=True)
        few, many = counts[0], counts[-1]
        title = f"statements of the {page} page with {max(histories.values()):,} charges, as with few"
        yield Figure(title, many, few, at_most=True)


def _look(number: int, path: str) -> tuple[int, float]:
    """Statements of one view, and what CPU one takes in this process with the client that asks."""
    from django.db import connection
    from django.test import Client

    from accounts.models import User

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(id=database.user_id(number)))
    # The first views fill caches and open the wallet's day.
    for _view in range(3):
        if client.get(path).status_code != 200:
            raise RuntimeError(f"{path} cannot be seen")
    statements: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        client.get(path)
    started = time.process_time()
    for _view in range(_VIEWS):
        client.get(path)
    return len(statements), (time.process_time() - started) / _VIEWS * 1000
