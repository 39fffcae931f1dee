"""Google's Gemini API."""

from typing import Any
from urllib.parse import quote

from django.conf import settings

from ai.providers import base
from ai.providers.failures import event_failure

_ROLES = {"user": "user", "assistant": "model"}
_REFUSALS = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"}


def is_configured() -> bool:
    return bool(settings.GEMINI_API_KEY)


def build(call: base.ProviderCall) -> base.HttpCall:
    generation: dict[str, Any] = {"maxOutputTokens": call.max_output_tokens}
    if call.temperature is not None:
        generation["temperature"] = call.temperature
    turns = base.conversation(call.request.messages)
    body: dict[str, Any] = {
        "contents": [{"role": _ROLES[turn.role], "parts": [{"text": turn.text}]} for turn in turns],
        "generationConfig": generation,
    }
    system = [{"text": block.text} for block in call.request.system if block.text.strip()]
    if system:
        body["systemInstruction"] = {"parts": system}
    path = f"/v1beta/models/{quote(call.model, safe='')}:streamGenerateContent?alt=sse"
    return base.HttpCall(
        url=base.join_url(settings.GEMINI_BASE_URL, path, drop="/v1beta"),
        headers={"x-goog-api-key": settings.GEMINI_API_KEY},
        body=base.merge_options(body, call.options),
    )


class Decoder:
    terminator = b""

    def __init__(self) -> None:
        self.state = base.Decoded(ends_with_stream=True)

    def decode(self, event: Any) -> str:
        if event.get("error"):
            raise event_failure(event)
        usage = event.get("usageMetadata")
        if usage is not None:
            self._read_usage(usage)
        candidates = event.get("candidates")
        if candidates:
            return self._read_candidate(candidates[0])
        if event.get("promptFeedback", {}).get("blockReason"):
            self.state.finish = "refused"
        return ""

    def _read_candidate(self, candidate: Any) -> str:
        reason = candidate.get("finishReason")
        if reason:
            self.state.finish = _finish(reason)
        texts = []
        for part in candidate.get("content", {}).get("parts", ()):
            text = part.get("text")
            if isinstance(text, str) and not part.get("thought"):
                texts.append(text)
            else:
                self.state.hidden_pieces += 1
        return "".join(texts)

    def _read_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        reported = self.state.usage
        # Cached tokens are a part of the prompt's; thoughts are paid as output but counted apart.
        reported.input_tokens = base.count(usage.get("promptTokenCount"))
        reported.cached_tokens = base.count(usage.get("cachedContentTokenCount"))
        spoken = base.count(usage.get("candidatesTokenCount"))
        thought = base.count(usage.get("thoughtsTokenCount"))
        reported.output_tokens = (
            None if spoken is None and thought is None else (spoken or 0) + (thought or 0)
        )


def _finish(reason: str) -> base.Finish:
    if reason == "MAX_TOKENS":
        return "length"
    return "refused" if reason in _REFUSALS else "complete"
