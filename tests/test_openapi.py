"""The document at `/api/v1/schema/`: free of warnings, and true to what clients were promised."""

import json
import re
from functools import reduce
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.headless_urls import urlpatterns
from accounts.tests.test_headless_routes import routes as headless_routes

PAGE = ["next", "previous", "results"]
SESSION = [
    "id",
    "persona",
    "title",
    "pinned",
    "archived",
    "message_count",
    "last_message_at",
    "last_message_preview",
    "created_at",
]
MESSAGE = [
    "id",
    "session",
    "role",
    "content",
    "status",
    "code",
    "detail",
    "parent",
    "variant",
    "attachments",
    "citations",
    "sentiment",
    "feedback",
    "usage",
    "client_id",
    "created_at",
]
PERSONA = [
    "id",
    "slug",
    "name",
    "tagline",
    "description",
    "avatar_url",
    "creator",
    "tags",
    "category",
    "language",
    "rating",
    "visibility",
    "status",
    "greeting",
    "likes",
    "chats",
    "is_liked",
    "is_favorite",
    "created_at",
    "updated_at",
]
PERSONA_FOR_ITS_OWNER = [
    "personality",
    "scenario",
    "example_dialogue",
    "alternate_greetings",
    "system_prompt",
    "post_history_instructions",
    "model",
    "temperature",
    "allow_clone",
    "cloned_from",
]
ME = [
    "id",
    "email",
    "email_verified",
    "phone",
    "handle",
    "display_name",
    "avatar_url",
    "pronouns",
    "locale",
    "time_zone",
    "birth_date",
    "is_adult",
    "tier",
    "created_at",
]
PROBLEM = ["type", "title", "status", "detail", "code", "errors", "request_id"]
TRANSACTION = [
    "id",
    "kind",
    "amount",
    "balance_after",
    "buckets",
    "reference",
    "description",
    "created_at",
]
SUBSCRIPTION = [
    "state",
    "plan",
    "tier",
    "provider",
    "current_period_end",
    "cancel_at_period_end",
    "grace_until",
    "next_plan",
    "started_at",
]
WALLET = [
    "available",
    "daily",
    "bonus",
    "purchased",
    "held",
    "tier",
    "debt",
    "frozen",
    "limits",
    "is_low",
]
FIELDS = {
    "Accepted": ["message", "reply", "generation"],
    "Creator": ["id", "handle", "display_name"],
    "Daily": ["granted", "remaining", "resets_at"],
    "FieldError": ["field", "code", "detail"],
    "Generation": ["id", "status", "message", "usage", "charge"],
    "Me": ME,
    "Message": MESSAGE,
    "MessageUsage": ["model", "input_tokens", "output_tokens", "cached_tokens", "credits"],
    "Persona": PERSONA + PERSONA_FOR_ITS_OWNER,
    "PersonaRef": ["id", "name", "avatar_url"],
    "Problem": PROBLEM,
    "Session": SESSION,
    "SessionPage": PAGE,
    "Ticket": ["ticket", "expires_at"],
    "Transaction": TRANSACTION,
    "Variant": ["index", "count", "previous", "next"],
    "Subscription": SUBSCRIPTION,
    "CheckoutPage": ["checkout_url", "id"],
    "PaymentSheet": ["client_secret", "customer", "ephemeral_key"],
    "Portal": ["url"],
    "Wallet": WALLET,
}
CHOICES = {
    "FeedbackEnum": {"none", "up", "down"},
    "GenerationStatusEnum": {
        "queued",
        "streaming",
        "complete",
        "stopped",
        "interrupted",
        "failed",
        "blocked",
    },
    "MessageStatusEnum": {
        "pending",
        "streaming",
        "complete",
        "stopped",
        "interrupted",
        "failed",
        "blocked",
    },
    "PersonaRatingEnum": {"everyone", "teen", "mature"},
    "PersonaStatusEnum": {"draft", "published"},
    "RoleEnum": {"user", "assistant", "system"},
    "VisibilityEnum": {"private", "unlisted", "public"},
}
WRITES = {"post", "put", "patch", "delete"}


@pytest.fixture
def document() -> dict[str, Any]:
    response = Client().get(reverse("api:schema"), headers={"Accept": "application/json"})
    assert response.status_code == 200
    return response.json()


def operations(document: dict[str, Any], under: str = "/api/") -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in WRITES | {"get"} and path.startswith(under)
    ]


def test_the_document_is_valid_and_free_of_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", FIELDS)
def test_clients_find_the_fields_they_were_promised(name: str, document: dict[str, Any]) -> None:
    assert list(document["components"]["schemas"][name]["properties"]) == FIELDS[name]


def test_signing_in_is_described_beside_the_rest(document: dict[str, Any]) -> None:
    described = {path for path, _method, _operation in operations(document, under="/_allauth/")}
    routed = {route for route in headless_routes(urlpatterns) if "/v1/" in route}
    assert {re.sub("(app|browser|{client})/v1", "v1", path) for path in described} == {
        re.sub("(app|browser)/v1", "v1", route) for route in routed
    }
    text = json.dumps(document)
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        assert reduce(lambda node, key: node[key], reference.split("/"), document), reference


def test_what_only_an_owner_sees_may_be_missing(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["Persona"]["required"]) == set(PERSONA)


@pytest.mark.parametrize("name", CHOICES)
def test_states_are_the_documented_ones(name: str, document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"][name]["enum"]) == CHOICES[name]


def test_every_operation_has_a_name_and_says_what_it_answers(document: dict[str, Any]) -> None:
    found = operations(document, under="/")
    names = [operation["operationId"] for _path, _method, operation in found]
    assert len(set(names)) == len(names)
    without_success = [
        (path, method)
        for path, method, operation in operations(document)
        if not any(code.startswith("2") for code in operation["responses"])
    ]
    assert without_success == []


def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    others = [
        (path, method, status)
        for path, method, operation in operations(document)
        for status, response in operation["responses"].items()
        if status >= "4" and list(response["content"]) != ["application/problem+json"]
    ]
    assert others == []


def test_every_write_asks_for_a_sign_in(document: dict[str, Any]) -> None:
    open_writes = [
        (path, method)
        for path, method, operation in operations(document)
        if method in WRITES and ({} in operation.get("security", [{}]))
    ]
    assert open_writes == []
