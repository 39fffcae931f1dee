"""The whole way with Redis between maker and readers, and what happens when Redis goes away."""

import time

import pytest
import requests

from ai.testing.fake_provider import Behaviour
from chat.tests.factories import make_chat, make_talker
from chat.tests.live import LiveClient, LiveServer, numbers_of, text_of

pytestmark = pytest.mark.django_db(transaction=True)

REPLY = Behaviour(tokens=240, rate=60)
TEXT = "".join(f"word{number} " for number in range(240))


@pytest.fixture
def spread(transactional_db, fake_provider, redis_server, settings):
    """A web server whose runner and readers meet in Redis."""
    settings.REDIS_URL = redis_server.url
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_server.url]},
        }
    }
    fake_provider.default = REPLY
    server = LiveServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def talk(spread):
    user = make_talker()
    client = LiveClient(spread, user)
    yield make_chat(user), client
    client.close()


def check(events):
    assert events[-1]["type"] == "generation.completed"
    assert text_of(events) == TEXT == events[-1]["message"]["content"]
    deltas = [event for event in events if event["type"] == "generation.delta"]
    assert numbers_of(events) == list(range(1, len(deltas) + 2))


def test_every_face_reads_the_same_through_redis(talk):
    chat, client = talk
    with client.socket(chat.id) as one, client.socket(chat.id) as two:
        one.receive(), two.receive()
        time.sleep(0.5)
        one.send("message.send", client_id="one", content="Hello")
        heard = [one.until("generation.delta"), two.until("generation.delta")]
        late = list(client.events(heard[0][-1]["generation_id"]))
        heard = [heard[0] + one.until("generation.completed"), heard[1] + two.until("generation.completed")]

    for events in [*heard, late]:
        check(events)


def test_f4_replies_go_on_while_redis_is_away_and_readers_read_the_database(talk, redis_server):
    chat, client = talk
    sent = client.send(chat.id, "Hello", "one")
    stream = iter(client.events(sent["generation"]["id"]))
    events = [next(stream) for _ in range(5)]

    redis_server.stop()
    events += list(stream)

    check(events)
    other = client.send(make_chat(chat.user).id, "Sent while Redis is away", "two")
    assert client.wait(other["generation"]["id"])["status"] == "complete"


def test_f5_redis_restarted_empty_wakes_old_sockets_and_old_readers(talk, redis_server):
    chat, client = talk
    with client.socket(chat.id) as socket:
        socket.receive()
        time.sleep(0.5)
        socket.send("message.send", client_id="one", content="Hello")
        events = socket.until("generation.delta")
        redis_server.stop()
        redis_server.start()
        events += socket.until("generation.completed", timeout=15)
        check(events)

        time.sleep(3)
        client.send(chat.id, "From another device", "two")
        check(socket.until("generation.completed", timeout=15))


def test_a_socket_opens_and_works_while_redis_is_away(talk, redis_server):
    chat, client = talk
    redis_server.stop()

    with client.socket(chat.id) as socket:
        assert socket.receive()["type"] == "session.ready"
        socket.send("message.send", client_id="one", content="Hello")
        check(socket.until("generation.completed", timeout=20))


def test_readiness_says_degraded_and_liveness_stays(talk, redis_server, spread):
    _chat, _client = talk
    redis_server.stop()

    ready = requests.get(f"{spread.url}/health/ready", timeout=10)
    live = requests.get(f"{spread.url}/health/live", timeout=10)

    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert live.status_code == 200
