"""Anthropic's Messages API."""

from typing import Any

from django.conf import settings

from ai.providers import base
from ai.providers.failures import event_failure
from ai.types import SystemBlock

_VERSION = "2023-06-01"
_MAX_SYSTEM_MARKS = 3
_FINISHES: dict[str, base.Finish] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}


def is_configured() -> bool:
    return bool(settings.ANTHROPIC_API_KEY)


def build(call: base.ProviderCall) -> base.HttpCall:
    turns = base.conversation(call.request.messages)
    blocks = [block for block in call.request.system if block.text.strip()]
    body: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_output_tokens,
        "stream": True,
        "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
    }
    if blocks:
        body["system"] = _system(blocks)
    if all(block.cache for block in blocks):
        _mark_history(body["messages"])
    if call.temperature is not None:
        body["temperature"] = min(call.temperature, 1.0)
    return base.HttpCall(
        url=base.join_url(settings.ANTHROPIC_BASE_URL, "/v1/messages", drop="/v1"),
        headers={"x-api-key": settings.ANTHROPIC_API_KEY, "anthropic-version": _VERSION},
        body=base.merge_options(body, call.options),
    )


def _system(blocks: list[SystemBlock]) -> list[dict[str, Any]]:
    # Four marks are allowed in a request, one of which is the history's; the last ones cover the most.
    marked = [index for index, block in enumerate(blocks) if block.cache][-_MAX_SYSTEM_MARKS:]
    return [
        {
            "type": "text",
            "text": block.text,
            **({"cache_control": {"type": "ephemeral"}} if index in marked else {}),
        }
        for index, block in enumerate(blocks)
    ]


def _mark_history(messages: list[dict[str, Any]]) -> None:
    # The last reply is the end of what the next turn will send again unchanged. It only pays when nothing
    # before it changes from turn to turn, so the caller marks it only under a wholly stable system prompt.
    if len(messages) >= 3:
        last_reply = messages[-2]
        last_reply["content"] = [
            {"type": "text", "text": last_reply["content"], "cache_control": {"type": "ephemeral"}}
        ]


class Decoder:
    terminator = b""

    def __init__(self) -> None:
        self.state = base.Decoded()

    def decode(self, event: Any) -> str:
        kind = event["type"]
        if kind == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "text_delta":
                text = delta["text"]
                return text if isinstance(text, str) else ""
            self.state.hidden_pieces += 1
        elif kind == "message_start":
            self._read_input_usage(event["message"].get("usage"))
        elif kind == "message_delta":
            self._read_end(event)
        elif kind == "message_stop":
            self.state.is_ended = True
        elif kind == "error":
            raise event_failure(event)
        return ""

    def _read_end(self, event: Any) -> None:
        reason = event.get("delta", {}).get("stop_reason")
        if reason:
            self.state.finish = _FINISHES.get(reason, "complete")
        usage = event.get("usage")
        if isinstance(usage, dict):
            # Only this one is the whole count: the one in message_start is of the first tokens.
            self.state.usage.output_tokens = base.count(usage.get("output_tokens"))
            if usage.get("input_tokens") is not None:
                self._read_input_usage(usage)

    def _read_input_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict) or usage.get("input_tokens") is None:
            return
        reported = self.state.usage
        cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
        if cached is not None:
            reported.cached_tokens = base.count(cached)
        if written is not None:
            reported.cache_write_tokens = base.count(written)
        # Anthropic counts these apart; here the input is everything that was read.
        fresh = base.count(usage["input_tokens"])
        if fresh is not None:
            fresh += (reported.cached_tokens or 0) + (reported.cache_write_tokens or 0)
        reported.input_tokens = fresh
