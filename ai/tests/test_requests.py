"""What each provider is sent, read at its end of the socket."""

from typing import Any

import pytest

from ai.gateway import open_stream
from ai.models import AIModel
from ai.testing.fake_provider import FakeProvider, Received
from ai.testing.fixtures import use_provider
from ai.tests.factories import make_request
from ai.types import PromptMessage, SystemBlock
from common.db import in_thread

pytestmark = pytest.mark.django_db(transaction=True)
STABLE = (SystemBlock("You are Ada.", cache=True), SystemBlock("Lore.", cache=True))
TALK = (
    PromptMessage("assistant", "Welcome."),
    PromptMessage("user", "Hello."),
    PromptMessage("assistant", "How are you?"),
    PromptMessage("user", "Well — žádné starosti 🐎."),
)
EPHEMERAL = {"type": "ephemeral"}


async def send(fake_provider: FakeProvider, **changes: Any) -> Received:
    async with open_stream(make_request(**changes)) as stream:
        async for _text in stream:
            pass
    return fake_provider.requests[-1]


async def test_anthropic_is_sent_its_format_with_cache_marks(fake_provider: FakeProvider) -> None:
    received = await send(fake_provider, system=STABLE, messages=TALK, max_output_tokens=321)
    assert received.path == "/v1/messages"
    assert received.headers["x-api-key"] == "test-anthropic-key"
    assert received.headers["anthropic-version"] == "2023-06-01"
    assert received.headers["accept-encoding"] == "identity"
    assert received.body == {
        "model": "claude-sonnet-5-5",
        "max_tokens": 321,
        "stream": True,
        "system": [
            {"type": "text", "text": "You are Ada.", "cache_control": EPHEMERAL},
            {"type": "text", "text": "Lore.", "cache_control": EPHEMERAL},
        ],
        "messages": [
            {"role": "user", "content": "(The conversation begins.)"},
            {"role": "assistant", "content": "Welcome."},
            {"role": "user", "content": "Hello."},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "How are you?", "cache_control": EPHEMERAL}],
            },
            {"role": "user", "content": "Well — žádné starosti 🐎."},
        ],
        "output_config": {"effort": "low"},
    }


async def test_anthropic_history_is_not_marked_behind_a_prompt_that_changes(
    fake_provider: FakeProvider,
) -> None:
    system = (*STABLE, SystemBlock("It is raining today."))
    received = await send(fake_provider, system=system, messages=TALK)
    assert [block.get("cache_control") for block in received.body["system"]] == [EPHEMERAL, EPHEMERAL, None]
    assert all(isinstance(message["content"], str) for message in received.body["messages"])


async def test_anthropic_never_gets_more_than_four_cache_marks(fake_provider: FakeProvider) -> None:
    system = tuple(SystemBlock(f"Part {number}.", cache=True) for number in range(6))
    received = await send(fake_provider, system=system, messages=TALK)
    marks = str(received.body).count("cache_control")
    assert marks == 4
    assert [("cache_control" in block) for block in received.body["system"]] == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    ("provider", "path", "limit"),
    [
        ("openai", "/v1/chat/completions", "max_completion_tokens"),
        ("xai", "/v1/chat/completions", "max_completion_tokens"),
        ("compatible", "/v1/chat/completions", "max_tokens"),
    ],
)
async def test_openai_and_its_like_are_sent_theirs(
    fake_provider: FakeProvider, settings: Any, provider: str, path: str, limit: str
) -> None:
    use_provider(settings, fake_provider, provider)
    received = await send(fake_provider, system=STABLE, messages=TALK[:2], max_output_tokens=321)
    assert received.path == path
    assert received.headers["authorization"] == f"Bearer test-{provider}-key"
    body = dict(received.body)
    body.pop("reasoning_effort", None)
    assert body == {
        "model": received.model,
        "messages": [
            {"role": "system", "content": "You are Ada.\n\nLore."},
            {"role": "user", "content": "(The conversation begins.)"},
            {"role": "assistant", "content": "Welcome."},
            {"role": "user", "content": "Hello."},
        ],
        limit: 321,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_gemini_is_sent_its_format(fake_provider: FakeProvider, settings: Any) -> None:
    use_provider(settings, fake_provider, "gemini")
    received = await send(fake_provider, system=STABLE, messages=TALK[1:], temperature=0.5)
    assert received.path == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert received.headers["x-goog-api-key"] == "test-gemini-key"
    assert "key=" not in received.path
    assert received.body == {
        "systemInstruction": {"parts": [{"text": "You are Ada."}, {"text": "Lore."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hello."}]},
            {"role": "model", "parts": [{"text": "How are you?"}]},
            {"role": "user", "parts": [{"text": "Well — žádné starosti 🐎."}]},
        ],
        "generationConfig": {"maxOutputTokens": 500, "temperature": 0.5},
    }


async def test_a_server_without_a_key_gets_no_authorization(
    fake_provider: FakeProvider, settings: Any
) -> None:
    use_provider(settings, fake_provider, "compatible")
    settings.COMPATIBLE_API_KEY = ""
    received = await send(fake_provider)
    assert "authorization" not in received.headers


async def test_temperature_goes_only_to_models_that_take_one(fake_provider: FakeProvider) -> None:
    received = await send(fake_provider, temperature=0.7)
    assert "temperature" not in received.body
    received = await send(fake_provider, model="claude-haiku-4-5", temperature=1.5)
    assert received.body["temperature"] == 1.0
    received = await send(fake_provider, model="claude-haiku-4-5")
    assert "temperature" not in received.body


async def test_a_request_never_asks_for_more_than_the_model_can_say(fake_provider: FakeProvider) -> None:
    received = await send(fake_provider, model="claude-haiku-4-5", max_output_tokens=1_000_000)
    assert received.body["max_tokens"] == 64_000


async def test_options_of_the_catalogue_are_merged_in(fake_provider: FakeProvider, settings: Any) -> None:
    use_provider(settings, fake_provider, "gemini")
    options = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}, "safetySettings": []}
    await in_thread(AIModel.objects.filter(slug="gemini-3.8-flash").update, options=options)
    received = await send(fake_provider)
    assert received.body["generationConfig"] == {
        "maxOutputTokens": 500,
        "thinkingConfig": {"thinkingBudget": 0},
    }
    assert received.body["safetySettings"] == []


async def test_a_talk_in_any_shape_becomes_one_that_providers_take(fake_provider: FakeProvider) -> None:
    messages = (
        PromptMessage("user", "One."),
        PromptMessage("user", "  "),
        PromptMessage("user", "Two."),
        PromptMessage("assistant", "Three."),
        PromptMessage("assistant", "Four."),
    )
    received = await send(fake_provider, system=(SystemBlock(" "),), messages=messages)
    assert "system" not in received.body
    assert [message["role"] for message in received.body["messages"]] == ["user", "assistant", "user"]
    assert received.body["messages"][0]["content"] == "One.\n\nTwo."
    assert received.body["messages"][2]["content"] == "(Go on from exactly where you stopped.)"


@pytest.mark.parametrize(
    ("provider", "suffix"),
    [
        ("anthropic", ""),
        ("anthropic", "/"),
        ("anthropic", "/v1"),
        ("anthropic", "/v1/"),
        ("openai", "/v1"),
        ("openai", "/v1/"),
        ("gemini", ""),
        ("gemini", "/"),
        ("gemini", "/v1beta/"),
    ],
)
async def test_a_base_address_may_end_as_people_write_it(
    fake_provider: FakeProvider, settings: Any, provider: str, suffix: str
) -> None:
    use_provider(settings, fake_provider, provider)
    setattr(settings, f"{provider.upper()}_BASE_URL", f"{fake_provider.url}{suffix}")
    received = await send(fake_provider)
    paths = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
    assert received.path.startswith(paths.get(provider, "/v1beta/models/gemini-3.8-flash:stream"))


async def test_half_a_character_in_the_prompt_does_not_stop_it(fake_provider: FakeProvider) -> None:
    received = await send(fake_provider, messages=(PromptMessage("user", "broken \ud83d emoji"),))
    assert received.body["messages"][0]["content"] == "broken ? emoji"
