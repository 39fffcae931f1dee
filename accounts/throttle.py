"""A ceiling on failed log-ins of the whole site, for guessers who change addresses and accounts at will.

The limits per account and per address are allauth's (`ACCOUNT_RATE_LIMITS`); all live in the shared cache.
"""

import time

from django.conf import settings
from django.core.cache import cache

_WINDOW_SECONDS = 60


def too_many_failures() -> bool:
    return int(cache.get(_key(), 0)) >= settings.ACCOUNTS_FAILED_LOGINS_PER_MINUTE


def count_failure() -> None:
    key = _key()
    cache.add(key, 0, timeout=2 * _WINDOW_SECONDS)
    try:
        cache.incr(key)
    except ValueError:
        cache.set(key, 1, timeout=2 * _WINDOW_SECONDS)


def _key() -> str:
    return f"accounts:failed-logins:{int(time.time() // _WINDOW_SECONDS)}"
