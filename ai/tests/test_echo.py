"""The demo model through the gateway."""

from uuid import uuid4

import pytest

from ai.gateway import open_stream
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
