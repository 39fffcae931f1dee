"""Our own count of tokens: an estimate for holds, budgets, and for providers that report nothing usable."""

from collections.abc import Iterable

from ai.types import CompletionRequest

MESSAGE_OVERHEAD = 4


def estimate_tokens(text: str) -> int:
    """About how many tokens a model makes of `text`.

    Four ASCII characters a token; characters of other scripts weigh more the longer their UTF-8 form is:
    1.6 a token for Cyrillic or Greek, 1 for Chinese or Hindi, 0.7 for emoji.
    """
    characters = len(text)
    if text.isascii():
        return (characters + 3) // 4
    extra = len(text.encode("utf-8", "replace")) - characters
    return (2 * characters + 3 * extra + 7) // 8


def estimate_prompt_tokens(texts: Iterable[str]) -> int:
    return sum(estimate_tokens(text) + MESSAGE_OVERHEAD for text in texts)


def estimate_request_tokens(request: CompletionRequest) -> int:
    """About how many input tokens a provider will count for `request`."""
    texts = [*(block.text for block in request.system), *(message.text for message in request.messages)]
    return estimate_prompt_tokens(texts)
