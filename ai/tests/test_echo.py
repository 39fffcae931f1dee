"""The demo model through the gateway."""

import time
from typing import Any
from uuid import uuid4

import pytest

from ai.gateway import open_stream
from ai.tokens import estimate_tokens
from ai.types import CompletionRequest, PromptMessage, SystemBlock

pytestmark = pytest.mark.django_db(transaction=True)


def _request(text: str, *, max_output_tokens: int = 500, name: str = "Captain Mira") -> CompletionRequest:
    return CompletionRequest(
        model=None,
        system=(SystemBlock("You are Captain Mira.", cache=True),),
        messages=(PromptMessage("assistant", "Welcome aboard."), PromptMessage("user", text)),
        max_output_tokens=max_output_tokens,
        temperature=None,
        user_id=uuid4(),
        purpose="chat",
        reference="r1",
        persona_name=name,
    )


async def test_answers_in_character_with_the_users_words_and_the_same_each_time() -> None:
    texts = []
    for _ in range(2):
        async with open_stream(_request("What do you think about lighthouses?")) as stream:
            pieces = [text async for text in stream]
        assert len(pieces) > 20
        texts.append("".join(pieces))
    assert texts[0] == texts[1]
    assert "Captain Mira" in texts[0]
    assert "“What do you think about lighthouses?”" in texts[0]
    assert stream.outcome.model == stream.outcome.provider == "echo"
    assert stream.outcome.status == "complete"
    assert stream.outcome.cost_micro_usd == 0


async def _say(text: str, **changes: Any) -> tuple[str, str]:
    async with open_stream(_request(text, **changes)) as stream:
        reply = "".join([piece async for piece in stream])
    return reply, stream.outcome.status


async def test_greets_whoever_greets() -> None:
    reply, _status = await _say("Hello there!")
    assert any(greeting in reply for greeting in ("There you are!", "Hello to you too.", "Well met."))


async def test_different_words_and_personas_get_different_replies() -> None:
    replies = {(await _say(text))[0] for text in ("I like rain.", "I like storms.", "Do you like storms?")}
    replies.add((await _say("I like rain.", name="Doctor Vey"))[0])
    assert len(replies) == 4


@pytest.mark.parametrize(
    "text", ["", "   ", "???", "{quote} {0} %s", "🐎" * 500, "a" * 10_000, "[note]\n\nHi!"]
)
async def test_any_words_get_an_answer(text: str) -> None:
    reply, status = await _say(text)
    assert status == "complete"
    assert 40 < len(reply) < 1_000
    assert "[note]" not in reply


async def test_a_short_limit_cuts_the_reply_between_words() -> None:
    whole, _status = await _say("Tell me about the sea.")
    cut, status = await _say("Tell me about the sea.", max_output_tokens=12)
    assert status == "length"
    assert whole.startswith(cut)
    assert 0 < estimate_tokens(cut) <= 12


async def test_speaks_at_a_readers_pace(settings: Any) -> None:
    settings.AI_ECHO_DELAY_MS = 5
    times = []
    async with open_stream(_request("Hello there!")) as stream:
        began = time.monotonic()
        async for _piece in stream:
            times.append(time.monotonic() - began)
    assert times[0] >= 0.04
    assert times[-1] >= 0.04 + 0.005 * (len(times) - 1)
