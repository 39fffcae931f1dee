"""What the gateway asks of a provider, and what it hears back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ai.types import CompletionRequest, PromptMessage

Finish = Literal["complete", "length", "refused"]

_OPENING = "(The conversation begins.)"
_CONTINUE = "(Go on from exactly where you stopped.)"


class ProviderError(Exception):
    """A provider's failure. `retryable`: the same model may do better in a moment.

    `fallback`: another model may do better; not so where the conversation itself was not accepted.
    """

    def __init__(
        self,
        kind: str,
        detail: str = "",
        *,
        retryable: bool = False,
        fallback: bool = True,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.detail = detail
        self.retryable = retryable
        self.fallback = fallback
        self.http_status = http_status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """One request to one model, after the catalogue and the limits had their say."""

    request: CompletionRequest
    model: str
    max_output_tokens: int
    temperature: float | None
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, to the first text, between texts; `deadline` is the loop's time of the end."""

    connect: float
    first_token: float
    token_gap: float
    deadline: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class HttpCall:
    url: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class ReportedUsage:
    """What the provider said, unchecked: any JSON value may stand here. None where it said nothing."""

    input_tokens: Any = None
    output_tokens: Any = None
    cached_tokens: Any = None
    cache_write_tokens: Any = None


@dataclass(slots=True)
class Decoded:
    """What a stream has told so far beside its text."""

    usage: ReportedUsage = field(default_factory=ReportedUsage)
    finish: Finish | None = None
    # The provider's own mark that nothing was cut off has been seen.
    is_ended: bool = False
    # The format has no such mark: the reply is whole when the stream ends after a finish reason.
    ends_with_stream: bool = False
    # It was we who ended the reply, since the model did not keep to its limit.
    is_runaway: bool = False
    # Output that is not shown (reasoning, tool calls): a sign of life for the time-outs.
    hidden_pieces: int = 0


class Decoder(Protocol):
    """Turns the events of one reply into text."""

    state: Decoded
    # An end mark that is not JSON; b"" where the format has none.
    terminator: bytes

    def decode(self, event: Any) -> str:
        """The text of one event (parsed JSON), "" where it has none. Raises ProviderError."""
        ...


class ProviderStream(Protocol):
    """A reply being received."""

    state: Decoded

    @property
    def estimated_tokens(self) -> int:
        """Our own count of the text received so far."""
        ...

    async def read(self) -> str:
        """The next text; "" once the reply is whole. Raises ProviderError."""
        ...

    async def finish(self) -> None:
        """The reply is whole: give the connection back."""
        ...

    def close(self) -> None:
        """Drop the connection now."""
        ...


def join_url(base: str, path: str, *, drop: str = "") -> str:
    """`base` + `path`, one slash between; `drop` at the end of `base`, which `path` repeats, is left out."""
    base = base.rstrip("/")
    if drop and base.endswith(drop):
        base = base[: -len(drop)]
    return f"{base}{path}"


def merge_options(body: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with the catalogue's extra options; objects are merged one level deep."""
    for key, value in options.items():
        own = body.get(key)
        body[key] = {**own, **value} if isinstance(own, dict) and isinstance(value, dict) else value
    return body


def conversation(messages: tuple[PromptMessage, ...]) -> list[PromptMessage]:
    """The messages as every provider takes them: none empty, roles alternating, the user first and last."""
    turns: list[PromptMessage] = []
    for message in messages:
        if not message.text.strip():
            continue
        if turns and turns[-1].role == message.role:
            turns[-1] = PromptMessage(message.role, f"{turns[-1].text}\n\n{message.text}")
        else:
            turns.append(message)
    if not turns or turns[0].role == "assistant":
        turns.insert(0, PromptMessage("user", _OPENING))
    if turns[-1].role == "assistant":
        turns.append(PromptMessage("user", _CONTINUE))
    return turns


def count(value: Any) -> Any:
    """`value` if it is a number, else None; whether it can be true is for the gateway to say."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
