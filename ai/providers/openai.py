"""OpenAI's Chat Completions API, which xAI and most self-hosted servers speak too."""

from typing import Any

from django.conf import settings

from ai.providers import base
from ai.providers.failures import event_failure

_FINISHES: dict[str, base.Finish] = {"length": "length", "content_filter": "refused"}


class Service:
    """One server that speaks the format; its key and address are settings named after it."""

    def __init__(self, name: str, *, max_tokens_field: str, needs_key: bool = True) -> None:
        self.name = name
        self._max_tokens_field = max_tokens_field
        self._needs_key = needs_key

    @property
    def _key(self) -> str:
        return str(getattr(settings, f"{self.name.upper()}_API_KEY"))

    @property
    def _base_url(self) -> str:
        return str(getattr(settings, f"{self.name.upper()}_BASE_URL"))

    def is_configured(self) -> bool:
        return bool(self._key) if self._needs_key else bool(self._base_url)

    def build(self, call: base.ProviderCall) -> base.HttpCall:
        system = "\n\n".join(block.text for block in call.request.system if block.text.strip())
        messages = [
            {"role": turn.role, "content": turn.text} for turn in base.conversation(call.request.messages)
        ]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        body: dict[str, Any] = {
            "model": call.model,
            "messages": messages,
            self._max_tokens_field: call.max_output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if call.temperature is not None:
            body["temperature"] = call.temperature
        return base.HttpCall(
            url=base.join_url(self._base_url, "/chat/completions"),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            body=base.merge_options(body, call.options),
        )


class Decoder:
    terminator = b"[DONE]"

    def __init__(self) -> None:
        self.state = base.Decoded()

    def decode(self, event: Any) -> str:
        choices = event.get("choices")
        text = self._read_choice(choices[0]) if choices else ""
        usage = event.get("usage")
        if usage is not None:
            self._read_usage(usage)
        if event.get("error"):
            raise event_failure(event)
        return text

    def _read_choice(self, choice: Any) -> str:
        reason = choice.get("finish_reason")
        if reason and self.state.finish != "refused":
            self.state.finish = _FINISHES.get(reason, "complete")
        delta = choice.get("delta")
        if not delta:
            return ""
        text = delta.get("content")
        if text and isinstance(text, str):
            return text
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self.state.finish = "refused"
            return refusal
        self.state.hidden_pieces += 1
        return ""

    def _read_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        reported = self.state.usage
        reported.input_tokens = base.count(usage.get("prompt_tokens"))
        reported.output_tokens = base.count(usage.get("completion_tokens"))
        details = usage.get("prompt_tokens_details")
        if isinstance(details, dict):
            # Both are a part of prompt_tokens.
            reported.cached_tokens = base.count(details.get("cached_tokens"))
            reported.cache_write_tokens = base.count(details.get("cache_write_tokens"))


OPENAI = Service("openai", max_tokens_field="max_completion_tokens")
XAI = Service("xai", max_tokens_field="max_completion_tokens")
COMPATIBLE = Service("compatible", max_tokens_field="max_tokens", needs_key=False)
