import time
from typing import Any

import pytest

from billing.selectors import get_wallet
from chat.models import Generation, Message
from chat.tests.factories import make_chat, make_talker, new_id

pytestmark = pytest.mark.django_db(transaction=True)


def wait_for_end(client: Any, generation_id: str, seconds: float = 10) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        body = client.get(f"/api/v1/chat/generations/{generation_id}/").json()
        if body["status"] not in ("queued", "streaming"):
            return body
        time.sleep(0.02)
    raise AssertionError(body)


def test_a_message_is_answered_and_paid_for(api_client, runner, fake_provider):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)

    response = client.post(
        f"/api/v1/chat/sessions/{chat.id}/messages/", {"content": "Hello Ada", "client_id": "one"}
    )

    assert response.status_code == 202, response.content
    body = response.json()
    assert body["message"]["content"] == "Hello Ada"
    assert body["reply"]["status"] == "pending"
    end = wait_for_end(client, body["generation"]["id"])
    assert end["status"] == "complete"
    assert end["message"]["content"] == "".join(f"word{n} " for n in range(20))
    generation = Generation.objects.get()
    assert sum(generation.delta_lengths) == len(end["message"]["content"])
    assert generation.charge == (generation.input_tokens + 20) * 50
    wallet = get_wallet(user.pk)
    assert wallet.available == 500_000_000 - generation.charge
    assert wallet.held == 0
