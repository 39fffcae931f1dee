"""What the three providers write on the wire, for the fake one. Every function returns event-stream bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Counts:
    """The usage to report; any JSON value, None for a count that is left out."""

    input: Any
    output: Any
    cached: Any = None
    written: Any = None


class Wire(Protocol):
    name: str

    def start(self, model: str, counts: Counts) -> bytes: ...
    def delta(self, text: str) -> bytes: ...
    def end(self, finish: str, counts: Counts) -> bytes: ...
    def cut_end(self, counts: Counts) -> bytes:
        """The end without its mark: what is missing when a stream stops a moment too early."""
        ...

    def error(self, kind: str, message: str) -> bytes: ...
    def ping(self) -> bytes: ...
    def junk(self) -> bytes: ...
    def error_body(self, status: int, message: str) -> dict[str, Any]: ...


def event(data: Mapping[str, Any], name: str = "") -> bytes:
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}\n\n".encode(
        "utf-8", "surrogatepass"
    )


def _present(**counts: Any) -> dict[str, Any]:
    return {name: value for name, value in counts.items() if value is not None}


class AnthropicWire:
    name = "anthropic"
    _finishes = {"complete": "end_turn", "length": "max_tokens", "refused": "refusal"}

    def _usage(self, counts: Counts, output: Any) -> dict[str, Any]:
        usage = _present(
            output_tokens=output,
            cache_read_input_tokens=counts.cached,
            cache_creation_input_tokens=counts.written,
        )
        if counts.input is not None:
            # Anthropic leaves the cached tokens out of this one.
            usage["input_tokens"] = counts.input - (counts.cached or 0) - (counts.written or 0)
        return usage

    def start(self, model: str, counts: Counts) -> bytes:
        message = {"id": "msg_fake", "type": "message", "role": "assistant", "model": model, "content": []}
        usage = self._usage(counts, 1 if counts.output is not None else None)
        return (
            event({"type": "message_start", "message": {**message, "usage": usage}}, "message_start")
            + event(
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                "content_block_start",
            )
            + self.ping()
        )

    def delta(self, text: str) -> bytes:
        return event(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            "content_block_delta",
        )

    def cut_end(self, counts: Counts) -> bytes:
        return event({"type": "content_block_stop", "index": 0}, "content_block_stop")

    def end(self, finish: str, counts: Counts) -> bytes:
        delta = {"stop_reason": self._finishes[finish], "stop_sequence": None}
        usage = _present(output_tokens=counts.output)
        return (
            self.cut_end(counts)
            + event({"type": "message_delta", "delta": delta, "usage": usage}, "message_delta")
            + event({"type": "message_stop"}, "message_stop")
        )

    def error(self, kind: str, message: str) -> bytes:
        return event({"type": "error", "error": {"type": kind, "message": message}}, "error")

    def ping(self) -> bytes:
        return event({"type": "ping"}, "ping")

    def junk(self) -> bytes:
        deltas = (
            {"type": "thinking_delta", "thinking": "hmm"},
            {"type": "signature_delta", "signature": "c2ln"},
            {"type": "input_json_delta", "partial_json": '{"a"'},
            {"type": "text_delta", "text": None},
            {"type": "text_delta"},
            "not an object",
        )
        blocks = b"".join(
            event({"type": "content_block_delta", "index": 1, "delta": delta}) for delta in deltas
        )
        tool = {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}
        start = event({"type": "content_block_start", "index": 1, "content_block": tool})
        return (
            start
            + blocks
            + event({"type": "tomorrow"})
            + b"data: [1, 2]\n\ndata: 7\n\n: comment\n\nid: 3\nretry: 5\n\n"
        )

    def error_body(self, status: int, message: str) -> dict[str, Any]:
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
        kinds |= {429: "rate_limit_error", 529: "overloaded_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


class OpenAIWire:
    name = "openai"
    _finishes = {"complete": "stop", "length": "length", "refused": "content_filter"}

    def _chunk(self, choices: list[Any], **more: Any) -> bytes:
        return event(
            {"id": "fake", "object": "chat.completion.chunk", "created": 1, "choices": choices, **more}
        )

    def start(self, model: str, counts: Counts) -> bytes:
        return self._chunk(
            [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        )

    def delta(self, text: str) -> bytes:
        return self._chunk([{"index": 0, "delta": {"content": text}, "finish_reason": None}], usage=None)

    def _usage(self, counts: Counts) -> bytes:
        details = _present(cached_tokens=counts.cached, cache_write_tokens=counts.written)
        usage = _present(prompt_tokens=counts.input, completion_tokens=counts.output)
        if details:
            usage["prompt_tokens_details"] = details
        return self._chunk([], usage=usage) if usage else b""

    def cut_end(self, counts: Counts) -> bytes:
        return self._chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + self._usage(counts)

    def end(self, finish: str, counts: Counts) -> bytes:
        reason = self._chunk([{"index": 0, "delta": {}, "finish_reason": self._finishes[finish]}])
        return reason + self._usage(counts) + b"data: [DONE]\n\n"

    def error(self, kind: str, message: str) -> bytes:
        codes = {"overloaded_error": "server_error", "api_error": "server_error"}
        return event({"error": {"type": codes.get(kind, kind), "message": message}})

    def ping(self) -> bytes:
        return b": keep-alive\n\n"

    def junk(self) -> bytes:
        deltas: tuple[Any, ...] = (
            {"reasoning_content": "hmm"},
            {"tool_calls": [{"index": 0, "function": {"name": "search", "arguments": '{"a"'}}]},
            {"content": None},
            {"content": [{"type": "text", "text": "parts"}]},
            {"content": 7},
            None,
            "not an object",
        )
        chunks = b"".join(
            self._chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas
        )
        return chunks + self._chunk([]) + self._chunk(None) + b"data: [1, 2]\n\ndata: 7\n\nevent: odd\n\n"  # type: ignore[arg-type]

    def error_body(self, status: int, message: str) -> dict[str, Any]:
        kinds = {400: "invalid_request_error", 401: "invalid_api_key", 404: "model_not_found"}
        return {"error": {"type": kinds.get(status, "server_error"), "code": None, "message": message}}


class GeminiWire:
    name = "gemini"
    _finishes = {"complete": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}

    def _candidate(self, parts: list[Any], **more: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, **more}]}

    def start(self, model: str, counts: Counts) -> bytes:
        return b""

    def delta(self, text: str) -> bytes:
        return event(self._candidate([{"text": text}]))

    def _usage(self, counts: Counts) -> dict[str, Any]:
        thought = 2 if isinstance(counts.output, int) and counts.output > 2 else None
        spoken = counts.output if thought is None else counts.output - thought
        return _present(
            promptTokenCount=counts.input,
            candidatesTokenCount=spoken,
            thoughtsTokenCount=thought,
            cachedContentTokenCount=counts.cached,
        )

    def cut_end(self, counts: Counts) -> bytes:
        return event({**self._candidate([{"text": ""}]), "usageMetadata": self._usage(counts)})

    def end(self, finish: str, counts: Counts) -> bytes:
        candidate = self._candidate([], finishReason=self._finishes[finish])
        return event({**candidate, "usageMetadata": self._usage(counts)})

    def error(self, kind: str, message: str) -> bytes:
        return event({"error": {"code": 503, "status": "UNAVAILABLE", "message": message}})

    def ping(self) -> bytes:
        return b": keep-alive\n\n"

    def junk(self) -> bytes:
        parts: tuple[Any, ...] = (
            {"text": "hmm", "thought": True},
            {"functionCall": {"name": "search", "args": {}}},
            {"text": None},
            {"text": 7},
        )
        chunks = b"".join(event(self._candidate([part])) for part in parts)
        return (
            chunks
            + event({"candidates": [{"index": 0}]})
            + event({"candidates": []})
            + b"data: [1]\n\ndata: 7\n\n"
        )

    def error_body(self, status: int, message: str) -> dict[str, Any]:
        kinds = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        return {"error": {"code": status, "status": kinds.get(status, "INTERNAL"), "message": message}}


ANTHROPIC = AnthropicWire()
OPENAI = OpenAIWire()
GEMINI = GeminiWire()
