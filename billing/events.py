"""What open sockets are told about a wallet."""

from uuid import UUID

from accounts.models import user_group
from common import realtime
from common.credits import format_credits


def publish_wallet_changed(user_id: UUID, available: int, tier: str = "") -> None:
    """Tell the user's sockets, after the current transaction, what can be spent now, and of a tier."""
    wallet = {"available": format_credits(available)}
    if tier:
        wallet["tier"] = tier
    realtime.publish(user_group(user_id), {"type": "wallet.changed", "wallet": wallet})
