"""What people allow themselves to spend: a pause, a most for a message and a day, and a warning."""

from typing import Any
from uuid import UUID

from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from billing import selectors
from billing.models import MAX_AMOUNT, Wallet
from billing.selectors import WalletView
from billing.services import allowance
from common.errors import Invalid

_COLUMNS = {"per_message": "message_cap", "per_day": "day_cap", "low_balance": "low_balance"}


def change_own_limits(*, user_id: UUID, **changes: bool | int | None) -> WalletView:
    """Change some of `paused`, `per_message`, `per_day` and `low_balance`, and answer the wallet.

    Amounts are microcredits, None takes a limit away; what is not named stays. They count from the next
    reply on. Raises Invalid for amounts that are no limit, UnknownWallet.
    """
    values: dict[str, Any] = {column: changes[name] for name, column in _COLUMNS.items() if name in changes}
    for name, column in _COLUMNS.items():
        _check(name, values.get(column))
    if "paused" in changes:
        # Pausing again keeps the moment of the first time.
        values["paused_at"] = Coalesce("paused_at", Now()) if changes["paused"] else None
    allowance.open_wallet(user_id=user_id)
    if values:
        Wallet.objects.filter(user_id=user_id).update(**values)
    return selectors.get_wallet(user_id)


def _check(name: str, amount: object) -> None:
    if amount is None:
        return
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise Invalid.field(
            name, "out_of_range", _("Give an amount above zero, up to a billion credits, or nothing.")
        )
