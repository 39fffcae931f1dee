"""What goes into a model call and what comes out of it."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Status = Literal["complete", "length", "refused", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class PromptMessage:
    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class SystemBlock:
    """A part of the system prompt. Blocks that stay the same from turn to turn come first, with `cache`."""

    text: str
    cache: bool = False


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One reply to make. `model` is a catalogue slug, None the default model."""

    model: str | None
    system: tuple[SystemBlock, ...]
    messages: tuple[PromptMessage, ...]
    max_output_tokens: int
    temperature: float | None
    user_id: UUID
    purpose: str
    reference: str
    persona_name: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `input_tokens` includes the cached and the cache-written ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one model; `kind` is "ok" or the kind of error."""

    model: str
    provider: str
    kind: str
    http_status: int | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended. Cost is in millionths of a US dollar, by the prices at the time of the call."""

    call_id: UUID
    model: str
    provider: str
    status: Status
    usage: Usage
    cost_micro_usd: int
    error_code: str
    error_detail: str
    first_token_ms: int | None
    duration_ms: int
    attempts: tuple[Attempt, ...]
