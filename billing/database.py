"""Calls of the SQL functions that move credits, and the one place that decides what may be tried again."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from billing.errors import LedgerUnavailable
from billing.models import Wallet

T = TypeVar("T")

_WALLET_FIELDS = [field.attname for field in Wallet._meta.concrete_fields]
_WALLET_COLUMNS = ", ".join(str(field.column) for field in Wallet._meta.concrete_fields)
RETRY_SECONDS = 6.0
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5
_SERIALIZATION_FAILURE = "40001"
_DEADLOCK = "40P01"
# Two wallets meeting on one business key: the second look finds the first one's row.
_UNIQUE_VIOLATION = "23505"
_SERVER_GOES_OR_COMES = ("57P01", "57P02", "57P03", "53300")
_RETRYABLE = {_SERIALIZATION_FAILURE, _DEADLOCK, _UNIQUE_VIOLATION, *_SERVER_GOES_OR_COMES}


def call(function: str, *arguments: Any, now: datetime | None = None) -> tuple[Any, ...]:
    """The one row a money function answers; its last two arguments are the operator's zone and `now`.

    Every such function does its work once per key, so outside a transaction it is simply called again
    after a serialization failure, a deadlock or a lost connection. Inside one the error is the caller's.
    Raises LedgerUnavailable when trying again did not help.
    """
    return retrying(lambda: _call(function, arguments, now)[0])


def clock() -> datetime:
    """The database's time, which all processes share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def wallet(function: str, *arguments: Any, now: datetime | None = None) -> Wallet | None:
    """The wallet a money function answers, or None."""
    row = retrying(lambda: _call(function, arguments, now, columns=_WALLET_COLUMNS)[0])
    return None if row[0] is None else Wallet.from_db("default", _WALLET_FIELDS, row)


def call_many(function: str, *arguments: Any, now: datetime | None = None) -> list[tuple[Any, ...]]:
    """All rows of a money function; otherwise like `call`."""
    return retrying(lambda: _call(function, arguments, now))


def retrying(operation: Callable[[], T]) -> T:
    """Run `operation`, and again while the database says that it may.

    For operations that are whole transactions and harmless when repeated. Inside somebody's transaction it
    runs once, because a broken transaction can only be repeated from its beginning.
    """
    if connection.in_atomic_block:
        return operation()
    deadline = time.monotonic() + RETRY_SECONDS
    pause = _FIRST_PAUSE
    while True:
        try:
            return operation()
        except (DatabaseError, InterfaceError, psycopg.Error) as error:
            if not is_retryable(error):
                raise
            if connection.connection is not None and not connection.is_usable():
                connection.close()
            if time.monotonic() + pause > deadline:
                raise LedgerUnavailable from error
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter is no secret
        pause = min(pause * 2, _LONGEST_PAUSE)


def atomically(operation: Callable[[], T]) -> T:
    """Run `operation` in a transaction, and again as a whole while the database says that it may."""

    def work() -> T:
        with transaction.atomic():
            return operation()

    return retrying(work)


def is_retryable(error: BaseException) -> bool:
    """Whether the statement had no effect, or an effect that repeating it would find."""
    cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is None:
        # The client lost or never had its connection; the server said nothing.
        return isinstance(error, (OperationalError, InterfaceError, psycopg.OperationalError))
    return sqlstate in _RETRYABLE or sqlstate.startswith("08")


def _call(
    function: str, arguments: tuple[Any, ...], now: datetime | None, columns: str = "*"
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            _statement(function, len(arguments) + 2, columns), (*arguments, settings.TIME_ZONE, now)
        )
        return cursor.fetchall()


@cache
def _statement(function: str, arguments: int, columns: str) -> str:
    return f"SELECT {columns} FROM {function}({', '.join(['%s'] * arguments)})"  # noqa: S608 - our own names
