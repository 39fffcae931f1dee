"""The daily allowance: opened on the first use of a day, ahead of time by a job, or by staff on a button."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from billing import database
from billing.errors import UnknownWallet

# One chunk is one transaction, and a charge may wait for it: 100 wallets take some 20 ms.
REFRESH_CHUNK = 100
# Wallets nobody has used for longer are opened by their owners' next visit, not every night.
REFRESH_DAYS = 7
_FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Refresh:
    seen: int
    opened: int


def open_wallet(*, user_id: UUID, now: datetime | None = None) -> None:
    """Make the user's wallet where there is none and put today's allowance in. Raises UnknownWallet."""
    if database.call("billing_open_wallet", user_id, now=now)[0] is None:
        raise UnknownWallet


def refresh_allowances(*, now: datetime | None = None) -> Refresh:
    """Open the day for every wallet used lately, in chunks; any number of runs on a day open it once."""
    used_since = timezone.localdate(now) - timedelta(days=REFRESH_DAYS)
    after, total_seen, total_opened = _FIRST_ID, 0, 0
    while True:
        seen, opened, after = database.call(
            "billing_refresh_allowances", after, used_since, REFRESH_CHUNK, now=now
        )
        total_seen, total_opened = total_seen + seen, total_opened + opened
        if seen < REFRESH_CHUNK:
            return Refresh(total_seen, total_opened)
