from decimal import Decimal
from typing import Any
from uuid import uuid4

from ai.models import AIModel
from ai.types import CallOutcome, CompletionRequest, PromptMessage, SystemBlock, Usage


def make_request(text: str = "Tell me about the sea.", **changes: Any) -> CompletionRequest:
    fields: dict[str, Any] = {
        "model": None,
        "system": (SystemBlock("You are a keeper of a lighthouse.", cache=True),),
        "messages": (PromptMessage("user", text),),
        "max_output_tokens": 500,
        "temperature": None,
        "user_id": uuid4(),
        "purpose": "chat",
        "reference": "test",
        "persona_name": "Ada",
    }
    return CompletionRequest(**{**fields, **changes})


def make_model(slug: str, **changes: Any) -> AIModel:
    fields: dict[str, Any] = {
        "provider": "anthropic",
        "name": slug,
        "display_name": slug.title(),
        "context_window": 100_000,
        "max_output_tokens": 8_000,
        "input_price": Decimal(3),
        "output_price": Decimal(15),
        "cached_price": Decimal("0.3"),
        "cache_write_price": Decimal("3.75"),
    }
    return AIModel.objects.create(slug=slug, **{**fields, **changes})


def make_outcome(**changes: Any) -> CallOutcome:
    fields: dict[str, Any] = {
        "call_id": uuid4(),
        "model": "claude-sonnet-5-5",
        "provider": "anthropic",
        "status": "complete",
        "usage": Usage(100, 20, 40, 10),
        "cost_micro_usd": 1_234,
        "error_code": "",
        "error_detail": "",
        "first_token_ms": 350,
        "duration_ms": 2_000,
        "attempts": (),
    }
    return CallOutcome(**{**fields, **changes})
