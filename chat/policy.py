"""What a reply costs by the way it ended, and what the user is told about it.

- A finished reply costs what the model read and wrote.
- Stopped by the user: what the model read, and what was written until then. Before the first word: nothing.
- Failed, declined by the model or interrupted by us: nothing, even where a part of the text was kept.
"""

from typing import Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.errors import OwnMessageLimit

STOPPED = "stopped"
STOPPED_EARLY = "stopped_early"
SUPERSEDED = "superseded"
LENGTH = "length"
INTERRUPTED = "interrupted"
NOT_STARTED = "not_started"
FAILED = "provider_unavailable"
TOO_LONG = "reply_too_long"
INTERNAL = "internal_error"
EMPTY = "empty_reply"
BLOCKED = "content_blocked"

DETAILS: Final[dict[str, Promise]] = {
    STOPPED: _("Stopped. You paid for what was said."),
    STOPPED_EARLY: _("Stopped before the first word. Nothing was charged."),
    SUPERSEDED: _("Stopped because the conversation moved on. You paid for what was said."),
    LENGTH: _("The reply reached its longest length; you can have it continued."),
    INTERRUPTED: _("The reply was interrupted on our side. Nothing was charged; you can have it continued."),
    NOT_STARTED: _("The reply could not be started in time. Nothing was charged; please try again."),
    FAILED: _("The model could not be reached or broke off. Nothing was charged; please try again."),
    TOO_LONG: _("The reply grew beyond every limit and was ended."),
    INTERNAL: _("Something went wrong on our side. Nothing was charged; please try again."),
    EMPTY: _("The model answered with nothing. Nothing was charged; please try again."),
    BLOCKED: _("The model declined to answer this. Nothing was charged."),
}

# Below this a reply is of no use, and none is begun.
SHORTEST_REPLY_TOKENS = 64
_CHARGED = frozenset({"complete", "stopped"})


def detail_for(code: str) -> str:
    return str(DETAILS.get(code, ""))


def charged_tokens(*, status: str, has_text: bool, input_tokens: int, output_tokens: int) -> int:
    """How many tokens a reply that ended in `status` is paid for."""
    if status not in _CHARGED or not has_text:
        return 0
    return input_tokens + output_tokens


def reservation(*, prompt_tokens: int, prompt_budget: int, max_output_tokens: int, token_price: int) -> int:
    """The realistic worst case of a reply, in microcredits."""
    return (min(prompt_tokens, prompt_budget) + max_output_tokens) * token_price


def output_within(cap: int, *, hold: int, max_output_tokens: int, token_price: int) -> int:
    """How long a reply may become so that its `hold` fits `cap` (microcredits).

    Raises OwnMessageLimit where not even a short one fits.
    """
    excess = hold - cap
    if excess <= 0:
        return max_output_tokens
    fitting = max_output_tokens + -excess // token_price
    shortest = min(SHORTEST_REPLY_TOKENS, max_output_tokens)
    if fitting < shortest:
        raise OwnMessageLimit(limit=cap, required=hold - (max_output_tokens - shortest) * token_price)
    return fitting


def prompt_budget(context_window: int, max_output_tokens: int) -> int:
    """How many tokens the prompt may take in a model's window."""
    return max(512, min(settings.CHAT_MAX_CONTEXT_TOKENS, context_window - max_output_tokens))
