"""What can go wrong with credits, each with the stable code of the API."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from common.credits import format_credits
from common.errors import DomainError, LimitReached, NotFound, PermissionDenied, Unavailable


class InsufficientCredits(DomainError):
    """402, with what is needed, what is there, and the packs that would cover the difference."""

    code = "insufficient_credits"
    status = 402
    title = _("Not enough credits")

    def __init__(self, *, required: int, available: int, packs: list[dict[str, Any]]) -> None:
        super().__init__(
            _("This needs %(required)s credits and you have %(available)s.")
            % {"required": format_credits(required), "available": format_credits(available)},
            required=format_credits(required),
            available=format_credits(available),
            packs=packs,
        )
        self.required = required
        self.available = available


class CreditsOwed(InsufficientCredits):
    """402: credits were spent whose payment went back; nothing can be spent until they are paid off."""

    def __init__(self, *, required: int, owed: int, packs: list[dict[str, Any]]) -> None:
        super().__init__(required=required, available=0, packs=packs)
        self.detail = _(
            "A payment of yours went back after its credits were spent. You owe %(owed)s credits."
        ) % {"owed": format_credits(owed)}
        self.extra["owed"] = format_credits(owed)


class PaymentRefused(DomainError):
    code = "payment_refused"
    status = 402
    title = _("The payment was refused")


class EmailNotVerified(PermissionDenied):
    code = "email_not_verified"
    title = _("Verify your email address first")


class SpendingPaused(PermissionDenied):
    title = _("You have paused spending")

    def __init__(self) -> None:
        super().__init__(paused=True)


class OwnMessageLimit(LimitReached):
    def __init__(self, *, limit: int, required: int) -> None:
        super().__init__(
            _("This could cost more than the most you allow for a message."),
            limit=format_credits(limit),
            used=format_credits(required),
            own="message",
        )


class OwnDayLimit(LimitReached):
    def __init__(self, *, limit: int) -> None:
        super().__init__(
            _("You have reached the most you allow for a day."),
            limit=format_credits(limit),
            used=format_credits(limit),
            own="day",
        )


class DailyMessageLimit(LimitReached):
    def __init__(self, *, limit: int, used: int) -> None:
        super().__init__(_("You have sent all of today's messages."), limit=limit, used=used)


class WalletSuspended(PermissionDenied):
    title = _("This wallet is suspended")


class KeyReused(DomainError):
    code = "idempotency_key_reused"
    status = 422
    title = _("This key was used for another amount")


class UnknownWallet(NotFound):
    title = _("There is no such wallet")


class UnknownHold(NotFound):
    title = _("There is no such hold")


class LedgerUnavailable(Unavailable):
    """The database could not be reached or stayed contended; nothing is known to have happened."""

    def __init__(self) -> None:
        super().__init__(_("Your wallet cannot be reached right now. Please try again."), retry_after=5)


class NotOurs(Exception):
    """A store tells of people or things that are none of ours; nothing is done."""


class Quarantined(Exception):
    """A store tells what our books contradict; nothing is done until staff have looked."""
