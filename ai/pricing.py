"""Which token counts to believe, and what they cost the operator."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ai.models import AIModel
from ai.providers.base import ReportedUsage
from ai.types import Usage

# Tokenizers differ, and providers add a little to every prompt; past this a count is an error of theirs.
_LEAST_SHARE = 8
_MOST_TIMES = 4
_ALLOWANCE = 2_000


def believable_usage(
    reported: ReportedUsage, *, own_input: int, own_output: int, max_output: int, context_window: int
) -> Usage:
    """The provider's counts where they can be true, our own where they are missing, negative, huge or NaN."""
    own_output = min(own_output, max_output)
    output = _believed(reported.output_tokens, at_least=1 if own_output else 0, at_most=max_output)
    output_tokens = own_output if output is None else output
    input_tokens = _believed(
        reported.input_tokens,
        at_least=max(1, own_input // _LEAST_SHARE),
        at_most=min(context_window, own_input * _MOST_TIMES + _ALLOWANCE),
    )
    if input_tokens is None:
        return Usage(own_input, output_tokens)
    cached = _believed(reported.cached_tokens or 0, at_least=0, at_most=input_tokens)
    written = _believed(reported.cache_write_tokens or 0, at_least=0, at_most=input_tokens)
    if cached is None or written is None:
        return Usage(own_input, output_tokens)
    if cached + written > input_tokens:
        return Usage(input_tokens, output_tokens)
    return Usage(input_tokens, output_tokens, cached, written)


def _believed(value: Any, *, at_least: int, at_most: int) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if at_least <= value <= at_most else None


def cost_micro_usd(model: AIModel, usage: Usage) -> int:
    """What the operator pays. A price in dollars per million tokens is one in micro-dollars per token."""
    fresh = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    cost = (
        fresh * model.input_price
        + usage.cached_tokens * model.cached_price
        + usage.cache_write_tokens * model.cache_write_price
        + usage.output_tokens * model.output_price
    )
    return int(Decimal(cost).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def is_free(model: AIModel) -> bool:
    prices = (model.input_price, model.cached_price, model.cache_write_price, model.output_price)
    return not any(prices)
