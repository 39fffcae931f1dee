"""One reply on every face: the same events, whole, in order, once."""

import pytest

from billing.selectors import get_wallet
from chat.models import Generation
from chat.tests.factories import make_chat, make_talker
from chat.tests.live import numbers_of, text_of
from common.credits import format_credits

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = "".join(f"word{number} " for number in range(20))


def check_whole_reply(events, text=WORDS):
    types = [event["type"] for event in events]
    assert types[:3] == ["message.created", "message.created", "generation.started"]
    assert set(types[3:-1]) == {"generation.delta"}
    assert types[-1] == "generation.completed"
    assert numbers_of(events) == list(range(1, len(types) - 2))
    assert text_of(events) == text
    end = events[-1]
    assert end["message"]["content"] == text
    assert end["message"]["status"] == "complete"
    generation = Generation.objects.get(id=end["generation_id"])
    assert end["charge"] == {"credits": format_credits(generation.charge)}
    assert end["wallet"] == {"available": format_credits(get_wallet(generation.user_id).available)}
    assert end["usage"]["output_tokens"] == 20


def test_sse_answers_a_send_with_the_events_of_its_reply(device):
    user = make_talker()
    chat = make_chat(user)

    stream = device(user).stream(chat.id, "Hello", "one")

    assert stream.status == 200
    assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert stream.response.headers["RateLimit-Limit"] == "100"
    assert stream.response.headers["RateLimit-Remaining"] == "99"
    check_whole_reply(list(stream))


def test_a_websocket_carries_the_same_events(device):
    user = make_talker()
    chat = make_chat(user)

    with device(user).socket(chat.id) as socket:
        ready = socket.receive()
        assert ready["type"] == "session.ready"
        assert ready["session"]["id"] == str(chat.id)
        assert ready["running"] == []
        socket.send("message.send", client_id="one", content="Hello")
        events = socket.until("generation.completed")

    assert events[0]["message"]["client_id"] == "one"
    assert events[0]["message"]["role"] == "user"
    assert events[1]["message"]["role"] == "assistant"
    check_whole_reply(events)
