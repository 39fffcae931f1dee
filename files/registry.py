"""What this app must be told by others: how much room somebody has, and which keys they show.

Upper apps register in their AppConfig.ready(); this one never imports them.
"""

from collections.abc import Callable, Iterable
from uuid import UUID

QuotaFunction = Callable[[UUID], int]
# Which of these keys are in use, and as what, in words for their owner.
UseFunction = Callable[[Iterable[str]], dict[str, str]]

_quotas: list[QuotaFunction] = []
_uses: list[UseFunction] = []


def register_quota(function: QuotaFunction) -> None:
    """`function` answers the bytes a user may fill."""
    _quotas[:] = [function]


def quota_of(user_id: UUID) -> int:
    return _quotas[0](user_id) if _quotas else 0


def register_use(function: UseFunction) -> None:
    if function not in _uses:
        _uses.append(function)


def uses_of(keys: Iterable[str]) -> dict[str, str]:
    """The keys somebody shows, each with where."""
    wanted = [key for key in keys if key]
    return {key: words for function in _uses for key, words in function(wanted).items()}
