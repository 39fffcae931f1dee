"""Several calls with one secret at the same time, told apart from one that comes later."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.core.cache import cache

_LONGEST_CALL_SECONDS = 10


@contextmanager
def under_way(secret: str) -> Iterator[bool]:
    """Whether other calls with the same secret are being answered right now, in whatever process."""
    key = f"accounts:under-way:{hashlib.sha256(secret.encode()).hexdigest()}"
    cache.add(key, 0, timeout=_LONGEST_CALL_SECONDS)
    try:
        count = cache.incr(key)
    except ValueError:
        cache.set(key, 1, timeout=_LONGEST_CALL_SECONDS)
        count = 1
    try:
        yield count > 1
    finally:
        with suppress(ValueError):
            cache.decr(key)
