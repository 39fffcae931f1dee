"""The offline demo model: in character, the same words to the same conversation, at a pleasant pace."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar

from django.conf import settings

from ai.providers.base import Decoded, Finish, ProviderCall, ReportedUsage
from ai.tokens import estimate_request_tokens, estimate_tokens
from ai.types import CompletionRequest

T = TypeVar("T")

_FIRST_WORD_DELAYS = 8
_MAX_QUOTE_WORDS = 12
_GREETING = re.compile(r"^\W*(hi|hello|hey|good (morning|evening|day)|greetings)\b", re.IGNORECASE)
_WORD = re.compile(r"\b[^\W\d_]{4,24}\b")

_GESTURES = (
    "*{name} looks up and smiles.*",
    "*{name} leans a little closer.*",
    "*{name} takes a moment before answering.*",
    "*{name} nods slowly.*",
)
_GREETINGS = (
    "There you are! I was hoping somebody would come by.",
    "Hello to you too. Make yourself comfortable.",
    "Well met. Pull up a chair, we have all the time we want.",
)
_QUESTIONS = (
    "“{quote}” is a good thing to ask, and I would rather answer it slowly than badly.",
    "You ask me “{quote}”, and I like that you went straight to the point.",
    "“{quote}” Hm. People have asked me stranger things, but few better ones.",
)
_REMARKS = (
    "“{quote}”, you say, and I believe you mean it.",
    "So: “{quote}”. I want to remember exactly how you put that.",
    "“{quote}” — that tells me more about you than you may think.",
)
_THOUGHTS = (
    "What stays with me is the word “{word}”; everything else seems to turn around it.",
    "If I had to begin somewhere, I would begin with “{word}”.",
    "Between us, “{word}” has always been a weakness of mine.",
)
_TURNS = (
    "This is only the beginning of our talk, so forgive me if I am curious.",
    "We are getting somewhere, you and I.",
    "I notice that I answer you differently than I did at first.",
)
_CLOSINGS = (
    "Tell me, what made you think of it today?",
    "And you, what would you do in my place?",
    "Shall we follow that thought, or is there another you came with?",
    "What happens next, do you think?",
)
_CONTINUATION = "And there is one more thing. I would not have said it if you had not stayed, but you did."
_ASIDE = re.compile(r"\A\[.*?\]\n\n", re.DOTALL)


def compose(request: CompletionRequest) -> str:
    """The whole reply to `request`."""
    asked = [message.text for message in request.messages if message.role == "user"]
    # What stands in brackets before the words was put there for the model, not said by the person.
    last = " ".join(_ASIDE.sub("", asked[-1]).split()) if asked else ""
    seed = hashlib.sha256(f"{request.persona_name}\n{len(asked)}\n{last}".encode("utf-8", "replace")).digest()
    if request.messages and request.messages[-1].role == "assistant":
        return f"{_CONTINUATION} {_pick(_CLOSINGS, seed[0])}"
    name = request.persona_name or "Echo"
    word = max(_WORD.findall(last), key=len, default="")
    sentences = [_pick(_GESTURES, seed[1]).format(name=name)]
    if _GREETING.match(last):
        sentences.append(_pick(_GREETINGS, seed[2]))
    elif last:
        kind = _QUESTIONS if last.endswith("?") else _REMARKS
        sentences.append(_pick(kind, seed[3]).replace("{quote}", _quote(last)))
    if word:
        sentences.append(_pick(_THOUGHTS, seed[4]).replace("{word}", word.lower()))
    sentences.append(_TURNS[min(len(asked) // 2, len(_TURNS) - 1)])
    sentences.append(_pick(_CLOSINGS, seed[5]))
    return " ".join(sentences)


class EchoStream:
    def __init__(self, call: ProviderCall) -> None:
        self.state = Decoded(usage=ReportedUsage(input_tokens=estimate_request_tokens(call.request)))
        self._words = re.findall(r"\S+\s*", compose(call.request))
        self._limit = call.max_output_tokens
        self._said = ""
        self._position = 0

    @property
    def estimated_tokens(self) -> int:
        return estimate_tokens(self._said)

    async def read(self) -> str:
        if self.state.is_ended:
            return ""
        delay = settings.AI_ECHO_DELAY_MS / 1000
        await asyncio.sleep(delay if self._position else delay * _FIRST_WORD_DELAYS)
        word = self._words[self._position]
        if estimate_tokens(self._said + word) > self._limit:
            self._end("length")
            return ""
        self._said += word
        self._position += 1
        if self._position == len(self._words):
            self._end("complete")
        return word

    def _end(self, finish: Finish) -> None:
        self.state.finish = finish
        self.state.is_ended = True
        self.state.usage.output_tokens = self.estimated_tokens

    async def finish(self) -> None:
        return

    def close(self) -> None:
        return


def _pick(options: Sequence[T], seed: int) -> T:
    return options[seed % len(options)]


def _quote(text: str) -> str:
    words = text.split()
    quote = " ".join(words[:_MAX_QUOTE_WORDS])[:160].rstrip(" .,;:")
    return f"{quote}…" if len(words) > _MAX_QUOTE_WORDS or len(text) > 160 else quote
