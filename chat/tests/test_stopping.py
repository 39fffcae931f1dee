"""Stopping, and what happens to a running reply when the ground moves under it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ai.testing.fake_provider import Behaviour
from billing.models import Hold
from billing.services.checks import check_ledger
from chat.models import ChatSession, Generation, Message
from chat.services import leases
from chat.tests.factories import make_chat, make_talker, wait_until
from chat.tests.live import text_of

pytestmark = pytest.mark.django_db(transaction=True)

ENDLESS = Behaviour(tokens=3_000, rate=60)


@pytest.fixture(autouse=True)
def _nothing_is_left_open():
    yield
    assert not Generation.objects.filter(status__in=Generation.LIVE).exists()
    assert not Hold.objects.filter(state="held").exists()
    assert check_ledger().results == {}


def begin(device, fake_provider, behaviour=ENDLESS):
    """A reply that has begun to be written: its user, chat, client and ids."""
    fake_provider.default = behaviour
    user = make_talker()
    chat = make_chat(user)
    client = device(user)
    sent = client.send(chat.id, "Hello", "one")
    if behaviour is ENDLESS:
        wait_until(lambda: Message.objects.get(id=sent["reply"]["id"]).content)
    return user, chat, client, sent


def closed_within_a_second(fake_provider, request=0):
    started = time.monotonic()
    wait_until(lambda: fake_provider.requests[request].closed_by_client, 3)
    assert time.monotonic() - started < 1


def test_f19_stop_while_queued_needs_no_runner(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    sent = client.post(
        f"/api/v1/chat/sessions/{chat.id}/messages/", {"content": "Hello", "client_id": "one"}
    ).json()

    response = client.post(f"/api/v1/chat/generations/{sent['generation']['id']}/stop/")

    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "stopped"
    assert body["message"]["code"] == "stopped_early"
    assert body["charge"] == {"credits": "0"}


def test_f19_stop_before_the_first_word_closes_the_provider_and_is_free(device, fake_provider):
    _user, _chat, client, sent = begin(device, fake_provider, Behaviour(first_delay=30))
    wait_until(lambda: fake_provider.requests)

    client.post(f"chat/generations/{sent['generation']['id']}/stop/")

    closed_within_a_second(fake_provider)
    end = client.wait(sent["generation"]["id"])
    assert end["status"] == "stopped"
    assert end["message"]["code"] == "stopped_early"
    assert end["charge"] == {"credits": "0"}


def test_f19_stop_in_mid_stream_closes_the_provider_within_a_second(device, fake_provider):
    _user, _chat, client, sent = begin(device, fake_provider)

    client.post(f"chat/generations/{sent['generation']['id']}/stop/")

    closed_within_a_second(fake_provider)
    end = client.wait(sent["generation"]["id"])
    assert end["status"] == "stopped"
    assert end["message"]["content"].startswith("word0 word1 ")


def test_f19_stopping_twice_and_after_the_end_changes_nothing(device, fake_provider):
    _user, _chat, client, sent = begin(device, fake_provider)
    stop = f"chat/generations/{sent['generation']['id']}/stop/"
    with ThreadPoolExecutor(5) as pool:
        responses = list(pool.map(lambda _number: client.post(stop), range(5)))
    end = client.wait(sent["generation"]["id"])

    again = client.post(stop)

    assert {response.status_code for response in responses} == {200}
    assert again.json() == end
    assert Hold.objects.get().state == "captured"


def test_f19_a_stranger_cannot_stop_a_reply(device, fake_provider):
    _user, _chat, client, sent = begin(device, fake_provider)
    stranger = make_talker()
    generation_id = sent["generation"]["id"]

    by_rest = device(stranger).post(f"chat/generations/{generation_id}/stop/")
    with device(stranger).socket(make_chat(stranger).id) as socket:
        socket.receive()
        socket.send("generation.stop", generation_id=generation_id)
        by_socket = socket.receive()

    assert by_rest.status_code == 404
    assert (by_socket["type"], by_socket["code"], by_socket["status"]) == ("error", "not_found", 404)
    assert Generation.objects.get(id=generation_id).stop_requested_at is None
    client.post(f"chat/generations/{generation_id}/stop/")
    client.wait(generation_id)


def test_f19_another_tab_may_stop_it(device, fake_provider):
    _user, chat, client, _sent = begin(device, fake_provider)

    with client.socket(chat.id) as socket:
        running = socket.receive()["running"]
        socket.send("generation.resume", generation_id=running[0], after=0)
        socket.send("generation.stop", generation_id=running[0])
        events = socket.until("generation.stopped")

    assert text_of(events) == events[-1]["message"]["content"]


def test_f20_stop_races_with_the_end(device, fake_provider):
    fake_provider.default = Behaviour(tokens=3)
    user = make_talker()
    client = device(user)
    for number in range(12):
        sent = client.send(make_chat(user).id, "Hello", str(number))
        time.sleep(number / 300)
        client.post(f"chat/generations/{sent['generation']['id']}/stop/")
        end = client.wait(sent["generation"]["id"])
        assert end["status"] in ("complete", "stopped")
        hold = Hold.objects.get(id=Generation.objects.get(id=end["id"]).hold_id)
        assert hold.state == ("released" if end["charge"] == {"credits": "0"} else "captured")


def test_f31_regenerating_cancels_the_running_reply_first(device, fake_provider):
    _user, _chat, client, sent = begin(device, fake_provider)
    fake_provider.default = Behaviour(tokens=5)

    response = client.post(f"chat/messages/{sent['reply']['id']}/regenerate/", {"client_id": "two"})

    assert response.status_code == 202
    closed_within_a_second(fake_provider)
    end = client.wait(response.json()["generation"]["id"])
    old = client.get(f"chat/messages/{sent['reply']['id']}/").json()
    assert old["status"] == "stopped"
    assert old["content"].startswith("word0 ")
    assert end["message"]["content"] == "word0 word1 word2 word3 word4 "
    assert end["message"]["variant"]["index"] == 1
    assert end["message"]["variant"]["previous"] == old["id"]


def test_f31_regenerating_over_the_socket_cancels_first_too(device, fake_provider):
    _user, chat, client, sent = begin(device, fake_provider)
    fake_provider.default = Behaviour(tokens=5)

    with client.socket(chat.id) as socket:
        socket.receive()
        socket.send("message.regenerate", message_id=sent["reply"]["id"], client_id="two")
        events = socket.until("generation.completed")

    assert events[1]["message"]["variant"]["count"] == 2
    assert text_of(events) == "word0 word1 word2 word3 word4 "


def test_f31_editing_cancels_the_running_reply_first(device, fake_provider):
    _user, _chat, client, sent = begin(device, fake_provider)
    fake_provider.default = Behaviour(tokens=5)

    response = client.post(
        f"chat/messages/{sent['message']['id']}/edit/", {"content": "Hello again", "client_id": "two"}
    )

    assert response.status_code == 202
    assert response.json()["message"]["variant"]["index"] == 1
    client.wait(response.json()["generation"]["id"])
    assert client.get(f"chat/messages/{sent['reply']['id']}/").json()["status"] == "stopped"


def test_f31_deleting_the_message_erases_its_reply_and_nothing_is_written_after(device, fake_provider):
    _user, chat, client, sent = begin(device, fake_provider)

    response = client.request("DELETE", f"chat/messages/{sent['message']['id']}/")

    assert response.status_code == 204
    closed_within_a_second(fake_provider)
    assert [message.role for message in Message.objects.all()] == ["assistant"]
    session = ChatSession.objects.get()
    assert session.active_leaf_id == chat.active_leaf_id
    assert session.message_count == 1
    assert Generation.objects.get().reply_id is None
    time.sleep(1.2)
    assert Message.objects.count() == 1


def test_f31_deleting_the_chat_ends_its_reply(device, fake_provider):
    _user, chat, client, sent = begin(device, fake_provider)

    response = client.request("DELETE", f"chat/sessions/{chat.id}/")

    assert response.status_code == 204
    closed_within_a_second(fake_provider)
    assert Generation.objects.get().status == "stopped"
    assert client.get(f"chat/generations/{sent['generation']['id']}/").status_code == 404
    assert client.get(f"chat/sessions/{chat.id}/messages/").status_code == 404


def test_f31_a_runner_that_does_not_answer_loses_its_reply(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    sent = client.post(
        f"/api/v1/chat/sessions/{chat.id}/messages/", {"content": "Hello", "client_id": "one"}
    ).json()
    assert len(leases.claim(owner="deaf", limit=1)) == 1

    response = client.post(f"/api/v1/chat/messages/{sent['reply']['id']}/regenerate/", {"client_id": "two"})

    assert response.status_code == 202
    old = Generation.objects.get(client_id="one")
    assert old.status == "interrupted"
    progress = leases.Progress(old.id, "too late", (8,))
    assert leases.save_progress(owner="deaf", rows=[progress]) == {}
    assert Message.objects.get(id=old.reply_id).content == ""
    client.post(f"/api/v1/chat/generations/{response.json()['generation']['id']}/stop/")


def test_a_repeated_regenerate_does_not_cancel_what_it_began(device, fake_provider):
    _user, _chat, client, sent = begin(device, fake_provider)
    path = f"chat/messages/{sent['reply']['id']}/regenerate/"
    first = client.post(path, {"client_id": "two"}).json()

    second = client.post(path, {"client_id": "two"}).json()

    assert second["generation"]["id"] == first["generation"]["id"]
    assert second["generation"]["status"] in ("queued", "streaming")
    client.post(f"chat/generations/{first['generation']['id']}/stop/")
    client.wait(first["generation"]["id"])
