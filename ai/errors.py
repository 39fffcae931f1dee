"""What can go wrong between us and a model provider."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from common.errors import Unavailable

if TYPE_CHECKING:
    from ai.types import CallOutcome

# What the user is told about each kind of failure; every other kind gets the general sentence.
_DETAILS: Mapping[str, Any] = {
    "busy": _("Too many replies are being written right now. Please try again in a moment."),
    "rate_limited": _("The AI provider is asking us to slow down. Please try again in a moment."),
    "overloaded": _("The AI provider is overloaded. Please try again in a moment."),
    "circuit_open": _("The AI provider is having trouble. Please try again in a moment."),
    "first_token_timeout": _("The AI provider did not answer in time. Please try again."),
    "token_timeout": _("The AI provider stopped in the middle of the reply. Please try again."),
    "total_timeout": _("The reply took too long. Please try again."),
    "truncated": _("The connection to the AI provider broke in the middle of the reply. Please try again."),
    "empty": _("The AI provider sent an empty reply. Please try again."),
    "rejected": _("The AI provider did not accept this conversation."),
}
_GENERAL = _("The AI provider could not be reached. Please try again later.")


class ModelUnavailable(Unavailable):
    """The model is unknown, switched off, or its provider has no key."""

    kind = "model"
    title = _("This model is not available")


class SpendCapReached(Unavailable):
    """The operator's daily limit for provider costs is used up; no new calls until midnight."""

    kind = "spend_cap"
    retryable = False
    title = _("Today's AI budget is used up. Please come back tomorrow.")


class ProviderFailed(Unavailable):
    """No reply, or not a whole one. `kind` is a stable word; `retryable` says that trying again may help.

    `outcome` tells what was spent until then; `provider_detail` is for logs and staff, never for users.
    """

    def __init__(
        self,
        kind: str,
        *,
        retryable: bool,
        provider_detail: str = "",
        retry_after: int | None = None,
        outcome: "CallOutcome | None" = None,
    ) -> None:
        extra: dict[str, Any] = {} if retry_after is None else {"retry_after": retry_after}
        super().__init__(_DETAILS.get(kind, _GENERAL), **extra)
        self.kind = kind
        self.retryable = retryable
        self.provider_detail = provider_detail
        self.outcome = outcome
