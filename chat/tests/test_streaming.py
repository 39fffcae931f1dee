"""One reply on every face: the same events, whole, in order, once."""

import time
from uuid import UUID

import pytest

from ai.testing.fake_provider import Behaviour
from billing.models import Hold
from billing.selectors import get_wallet
from chat.eventlog.current import event_log
from chat.models import Generation
from chat.tests.factories import make_chat, make_talker, wait_until
from chat.tests.live import numbers_of, text_of
from common.credits import format_credits
from common.testing import database

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


SLOW = Behaviour(tokens=60, rate=60)
SLOW_TEXT = "".join(f"word{number} " for number in range(60))


def clear_event_log(generation_id):
    """As after a restart: what readers get now comes from the database."""
    event_log()._tails.pop(UUID(generation_id), None)


def deltas_of(events):
    return [event for event in events if event["type"] == "generation.delta"]


def test_every_delta_is_rebuilt_exactly_for_a_reader_that_comes_later(device, fake_provider):
    fake_provider.default = Behaviour(
        text="Grüße 😀 aus \u2028 Zürich, <b>“liebe”</b> Leute!\n\nשלום\t\\n " * 8, rate=120
    )
    user = make_talker()
    client = device(user)
    events = list(client.stream(make_chat(user).id, "Hello", "one"))
    seen, end = deltas_of(events), events[-1]
    assert len(seen) > 3
    clear_event_log(end["generation_id"])

    for after in (0, 1, len(seen) // 2, len(seen) - 1, len(seen)):
        again = list(client.events(end["generation_id"], after=after))
        assert deltas_of(again) == seen[after:]
        assert again[-1] == end
        assert again[0]["type"] == ("generation.started" if after == 0 else again[0]["type"])


def test_the_first_text_goes_at_once_and_what_comes_between_two_ticks_together(
    device, fake_provider, settings
):
    settings.CHAT_DELTA_MILLISECONDS = 250
    fake_provider.default = Behaviour(tokens=100, rate=100)
    user = make_talker()

    events = list(device(user).stream(make_chat(user).id, "Hello", "one"))

    words = [len(event["text"].split()) for event in deltas_of(events)]
    assert sum(words) == 100
    assert words[0] < 10
    assert len(words) <= 7


def test_a_reader_that_has_everything_is_told_not_to_come_back(device):
    user = make_talker()
    client = device(user)
    end = list(client.stream(make_chat(user).id, "Hello", "one"))[-1]

    assert client.events(end["generation_id"], after=end["seq"]).status == 204


@pytest.mark.parametrize("events_seen", [1, 2, 3, 4, 12])
def test_f14_a_reader_that_leaves_loses_nothing(device, fake_provider, events_seen):
    fake_provider.default = SLOW
    user = make_talker()
    client = device(user)
    stream = client.stream(make_chat(user).id, "Hello", "one")
    for _number, _event in zip(range(events_seen), stream, strict=False):
        pass
    stream.close()
    generation = Generation.objects.get()

    end = client.wait(str(generation.id))

    assert end["status"] == "complete"
    assert end["message"]["content"] == SLOW_TEXT
    assert len(fake_provider.requests) == 1
    assert Hold.objects.get().state == "captured"


def test_f15_ten_reloads_in_one_reply_end_with_the_same_text(device, fake_provider):
    fake_provider.default = SLOW
    user = make_talker()
    client = device(user)
    generation_id = client.send(make_chat(user).id, "Hello", "one")["generation"]["id"]

    for _reload in range(10):
        stream = client.events(generation_id)
        events = []
        for event in stream:
            events.append(event)
            if len(deltas_of(events)) == 2:
                break
        stream.close()
        assert numbers_of(events) == list(range(1, len(deltas_of(events)) + 1))

    events = list(client.events(generation_id))
    assert numbers_of(events) == list(range(1, len(deltas_of(events)) + 2))
    assert text_of(events) == SLOW_TEXT


def test_a_reader_goes_on_from_where_it_stopped(device, fake_provider):
    fake_provider.default = SLOW
    user = make_talker()
    client = device(user)
    generation_id = client.send(make_chat(user).id, "Hello", "one")["generation"]["id"]
    seen: list = []

    while not seen or seen[-1]["type"] != "generation.completed":
        stream = client.events(generation_id, after=seen[-1]["seq"] if seen else 0)
        for number, event in enumerate(stream):
            if "seq" in event:
                seen.append(event)
            if number == 4:
                break
        stream.close()

    assert numbers_of(seen) == list(range(1, len(seen) + 1))
    assert text_of(seen) == SLOW_TEXT


def test_f16_every_device_sees_the_same_reply(device, fake_provider):
    fake_provider.default = SLOW
    user = make_talker()
    chat = make_chat(user)
    phone, laptop = device(user), device(user)

    with phone.socket(chat.id) as one, phone.socket(chat.id) as two, laptop.socket(chat.id) as three:
        sockets = [one, two, three]
        for socket in sockets:
            socket.receive()
        time.sleep(0.3)
        one.send("message.send", client_id="one", content="Hello")
        heard = [socket.until("generation.completed") for socket in sockets]

    for events in heard:
        assert [event["type"] for event in events[:3]] == [
            "message.created",
            "message.created",
            "generation.started",
        ]
        assert text_of(events) == SLOW_TEXT
        assert numbers_of(events) == list(range(1, len(deltas_of(events)) + 2))
        assert events[-1] == heard[0][-1]
    assert Generation.objects.count() == 1


def test_what_is_sent_over_rest_reaches_open_sockets(device):
    user = make_talker()
    chat = make_chat(user)
    client = device(user)

    with client.socket(chat.id) as socket:
        socket.receive()
        time.sleep(0.3)
        sent = client.send(chat.id, "Hello", "one")
        events = socket.until("generation.completed")

    assert [event["message"]["id"] for event in events[:2]] == [sent["message"]["id"], sent["reply"]["id"]]
    assert text_of(events) == WORDS


def test_a_socket_that_opens_late_is_told_what_runs_and_resumes_it(device, fake_provider):
    fake_provider.default = SLOW
    user = make_talker()
    chat = make_chat(user)
    client = device(user)
    sent = client.send(chat.id, "Hello", "one")
    generation_id = sent["generation"]["id"]

    with client.socket(chat.id) as socket:
        assert socket.receive()["running"] == [generation_id]
        socket.send("generation.resume", generation_id=generation_id, after=0)
        events = socket.until("generation.completed")
    with client.socket(chat.id) as socket:
        assert socket.receive()["running"] == []
        socket.send("generation.resume", generation_id=generation_id, after=3)
        rest = socket.until("generation.completed")

    assert text_of(events) == SLOW_TEXT
    assert numbers_of(rest) == list(range(4, events[-1]["seq"] + 1))
    assert text_of(rest) == "".join(event["text"] for event in deltas_of(events)[3:])


def test_resuming_on_the_same_socket_starts_over_without_doubles(device, fake_provider):
    fake_provider.default = SLOW
    user = make_talker()
    chat = make_chat(user)

    with device(user).socket(chat.id) as socket:
        socket.receive()
        socket.send("message.send", client_id="one", content="Hello")
        first = socket.until("generation.delta")
        socket.send("generation.resume", generation_id=first[-1]["generation_id"], after=0)
        events = socket.until("generation.completed")

    restart = next(index for index, event in enumerate(events) if event["type"] == "generation.started")
    assert numbers_of(events[restart:]) == list(range(1, events[-1]["seq"] + 1))
    assert text_of(events[restart:]) == SLOW_TEXT


def test_f13_empty_and_doubled_pieces_are_numbered_by_us(device, fake_provider):
    fake_provider.default = Behaviour("empty_deltas", tokens=10)
    user = make_talker()

    events = list(device(user).stream(make_chat(user).id, "Hello", "one"))

    assert text_of(events) == "".join(f"word{number} " * 2 for number in range(10))
    assert numbers_of(events) == list(range(1, len(deltas_of(events)) + 2))
    assert all(event["text"] for event in deltas_of(events))


def test_f13_a_reply_without_end_is_cut_and_the_provider_is_left(device, fake_provider, settings):
    settings.CHAT_MAX_REPLY_CHARACTERS = 2_000
    fake_provider.default = Behaviour("endless")
    user = make_talker()
    client = device(user)

    end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])

    assert end["status"] == "complete"
    assert 2_000 < len(end["message"]["content"]) < 40_000
    assert end["message"]["code"] in ("reply_too_long", "length")
    wait_until(lambda: fake_provider.requests[0].closed_by_client)


def test_half_characters_of_a_provider_never_reach_the_reply(device, fake_provider):
    fake_provider.default = Behaviour("surrogates")
    user = make_talker()

    events = list(device(user).stream(make_chat(user).id, "Hello", "one"))

    assert events[-1]["type"] == "generation.completed"
    assert text_of(events) == events[-1]["message"]["content"]
    assert "\x00" not in text_of(events)
    assert "a😀b" in text_of(events)


def test_f34_a_chat_that_cannot_be_read_is_an_error_not_an_empty_one(device):
    user = make_talker()
    chat = make_chat(user)
    client = device(user)
    with database.as_superuser() as superuser:
        superuser.execute("ALTER TABLE chat_message RENAME TO chat_message_away")
        try:
            response = client.get(f"chat/sessions/{chat.id}/messages/")
        finally:
            superuser.execute("ALTER TABLE chat_message_away RENAME TO chat_message")

    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert client.get(f"chat/sessions/{chat.id}/messages/").json()["results"][0]["content"]
