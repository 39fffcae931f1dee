"""How code reaches the database: transactions said out loud, and a pool of threads for async callers."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections, connection

P = ParamSpec("P")
R = TypeVar("R")

_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None


class TransactionRequired(RuntimeError):
    """A step that is only right inside its caller's transaction was called outside one."""


def transaction_required() -> None:
    """Raise TransactionRequired unless the caller has opened a transaction."""
    if not connection.in_atomic_block:
        raise TransactionRequired("Call this inside transaction.atomic().")


async def in_thread(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run database code from async code, in a pool of threads of its own.

    Not asgiref's `sync_to_async`: its thread-sensitive mode runs one call at a time in the whole process.
    """
    context = contextvars.copy_context()
    call = functools.partial(context.run, _clean_call, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool(), call)


def close_thread_pool() -> None:
    """End the pool's threads; the next call makes new ones."""
    global _executor
    with _lock:
        pool, _executor = _executor, None
    if pool is not None:
        pool.shutdown(wait=True)


def _pool() -> ThreadPoolExecutor:
    global _executor
    with _lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(settings.DATABASE_THREADS, thread_name_prefix="database")
        return _executor


def _clean_call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()
