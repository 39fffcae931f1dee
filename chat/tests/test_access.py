"""Whose conversation it is: on every address, in every frame, and for as long as it lasts."""

import json
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from accounts.services import sessions as account_sessions
from ai.testing.fake_provider import Behaviour
from chat.models import ChatSession, Generation, Message
from chat.tests.factories import make_chat, make_talker
from common.testing.clients import access_token

pytestmark = pytest.mark.django_db(transaction=True)


def snapshot():
    return (
        list(
            ChatSession.objects.order_by("id").values_list(
                "title", "deleted_at", "active_leaf_id", "pinned_at"
            )
        ),
        list(Message.objects.order_by("id").values_list("id", "content", "feedback")),
        list(Generation.objects.order_by("id").values_list("id", "status", "stop_requested_at")),
    )


def close_code(link):
    """The code with which the server closes, within two seconds."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            link.recv(timeout=2)
        except ConnectionClosed as closed:
            return closed.rcvd.code
    raise AssertionError("the socket stayed open")


@pytest.fixture
def theirs(device):
    """A finished exchange of somebody else."""
    owner = make_talker()
    chat = make_chat(owner)
    client = device(owner)
    sent = client.send(chat.id, "My secret", "one")
    client.wait(sent["generation"]["id"])
    return chat, sent


def test_x1_x3_nothing_of_somebody_else_exists_for_me(device, theirs):
    chat, sent = theirs
    me = device(make_talker())
    session, reply, message = f"chat/sessions/{chat.id}/", sent["reply"]["id"], sent["message"]["id"]
    generation = f"chat/generations/{sent['generation']['id']}/"
    before = snapshot()

    statuses = {
        (method, path): me.request(method, path, json=body).status_code
        for method, path, body in [
            ("GET", session, None),
            ("PATCH", session, {"title": "Mine", "pinned": True}),
            ("DELETE", session, None),
            ("POST", f"{session}restore/", {}),
            ("POST", f"{session}export/", {"format": "json"}),
            ("GET", f"{session}messages/", None),
            ("POST", f"{session}messages/", {"content": "Hi", "client_id": "x"}),
            ("GET", f"chat/messages/{reply}/", None),
            ("DELETE", f"chat/messages/{reply}/", None),
            ("POST", f"chat/messages/{reply}/regenerate/", {"client_id": "x"}),
            ("POST", f"chat/messages/{reply}/continue/", {"client_id": "x"}),
            ("POST", f"chat/messages/{reply}/select/", {}),
            ("POST", f"chat/messages/{reply}/feedback/", {"rating": "up"}),
            ("POST", f"chat/messages/{message}/edit/", {"content": "Hi", "client_id": "x"}),
            ("GET", generation, None),
            ("GET", f"{generation}events/", None),
            ("POST", f"{generation}stop/", {}),
        ]
    }

    assert {key: status for key, status in statuses.items() if status != 404} == {}
    assert snapshot() == before
    assert me.get("chat/search/?q=secret").json()["results"] == []
    assert me.get("chat/sessions/").json()["results"] == []


def test_a_cursor_into_somebody_elses_branch_is_not_found(device, theirs):
    from chat import cursors

    _chat, sent = theirs
    user = make_talker()
    mine = make_chat(user)

    response = device(user).get(
        f"chat/sessions/{mine.id}/messages/?cursor={cursors.encode(sent['reply']['id'])}"
    )

    assert response.status_code == 404


def test_a_socket_without_a_sign_in_is_closed_with_4401(live):
    chat = make_chat()
    url = f"ws://127.0.0.1:{live.port}/ws/chat/{chat.id}/"

    for header in ("Bearer nonsense", "Bearer a.b.c"):
        with connect(url, additional_headers={"Authorization": header}) as link:
            assert close_code(link) == 4401
    with connect(f"{url}?ticket=nonsense") as link:
        assert close_code(link) == 4401


def test_a_ticket_opens_one_socket_once(device, live):
    user = make_talker()
    chat = make_chat(user)
    ticket = device(user).post("ws-ticket/").json()["ticket"]
    url = f"ws://127.0.0.1:{live.port}/ws/chat/{chat.id}/?ticket={ticket}"

    with connect(url) as link:
        assert json.loads(link.recv(timeout=5))["type"] == "session.ready"
    with connect(url) as link:
        assert close_code(link) == 4401


@pytest.mark.parametrize("name", ["theirs", "00000000-0000-7000-8000-000000000000", "nonsense"])
def test_x12_a_chat_that_is_not_mine_is_closed_with_4404(device, theirs, name):
    chat, _sent = theirs

    with device(make_talker()).socket(chat.id if name == "theirs" else name) as socket:
        assert close_code(socket.link) == 4404


def test_x11_x12_frames_naming_other_peoples_objects_are_refused_one_by_one(device, theirs):
    chat, sent = theirs
    user = make_talker()
    before = snapshot()
    mine = make_chat(user)
    generation_id = sent["generation"]["id"]

    with device(user).socket(mine.id) as socket:
        socket.receive()
        answers = []
        for frame in [
            {"type": "generation.resume", "generation_id": generation_id, "after": 0},
            {"type": "generation.stop", "generation_id": generation_id},
            {"type": "message.regenerate", "message_id": sent["reply"]["id"], "client_id": "x"},
            {"type": "message.send", "content": "Hi", "client_id": "y", "parent": sent["reply"]["id"]},
            {
                "type": "message.send",
                "content": "Hi",
                "client_id": "z",
                "session": str(chat.id),
                "parent": str(chat.id),
            },
        ]:
            socket.link.send(json.dumps(frame))
            answers.append(socket.receive())

    assert [(answer["type"], answer["code"]) for answer in answers] == [("error", "not_found")] * 5
    assert [answer.get("client_id") for answer in answers] == [None, None, "x", "y", "z"]
    after = snapshot()
    assert after[0][: len(before[0])] == before[0]
    assert [row for row in after[1] if row in before[1]] == before[1]
    assert after[2] == before[2]


def test_x12_events_of_a_chat_reach_its_owner_only(device):
    one, two = make_talker(), make_talker()
    chat = make_chat(one)

    with device(two).socket(make_chat(two).id) as socket:
        socket.receive()
        client = device(one)
        client.wait(client.send(chat.id, "Hello", "one")["generation"]["id"])
        with pytest.raises(TimeoutError):
            socket.receive(timeout=0.5)


def test_a_generation_of_another_chat_of_mine_is_not_followed_here(device):
    user = make_talker()
    client = device(user)
    sent = client.send(make_chat(user).id, "Hello", "one")

    with client.socket(make_chat(user).id) as socket:
        socket.receive()
        socket.send("generation.resume", generation_id=sent["generation"]["id"], after=0)
        assert socket.receive()["code"] == "not_found"
    client.wait(sent["generation"]["id"])


def test_x10_x26_a_ban_ends_socket_stream_and_rest_within_two_seconds(device, fake_provider):
    fake_provider.default = Behaviour(tokens=3_000, rate=60)
    user = make_talker()
    chat = make_chat(user)
    client = device(user)
    stream = iter(client.stream(chat.id, "Hello", "one"))
    next(stream)
    generation_id = str(Generation.objects.get().id)

    with client.socket(chat.id) as socket:
        socket.receive()
        socket.send("generation.resume", generation_id=generation_id, after=0)
        socket.until("generation.delta")
        time.sleep(0.3)
        banned_at = time.monotonic()
        account_sessions.deactivate_user(user_id=user.pk, actor_id=None, reason="test")
        assert close_code(socket.link) == 4401
        assert time.monotonic() - banned_at < 2

    events = list(stream)
    assert time.monotonic() - banned_at < 2
    assert events[-1]["type"] == "generation.stopped"
    assert fake_provider.requests[0].closed_by_client
    assert client.get("chat/sessions/").status_code == 401
    assert client.get(f"chat/generations/{generation_id}/events/").status_code == 401
    with client.socket(chat.id) as socket:
        assert close_code(socket.link) == 4401


def test_x10_a_frame_after_the_session_ended_is_refused_even_without_a_signal(device, live):
    user = make_talker()
    chat = make_chat(user)
    client = device(user)

    with client.socket(chat.id) as socket:
        socket.receive()
        # Behind everybody's back, so that no signal is sent.
        type(user).objects.filter(pk=user.pk).update(session_epoch=5)
        socket.send("message.send", client_id="one", content="Hello")
        assert close_code(socket.link) == 4401

    assert Message.objects.count() == 1


def test_a_change_of_password_ends_the_sockets_of_other_devices(device):
    user = make_talker()
    chat = make_chat(user)

    with device(user).socket(chat.id) as socket:
        socket.receive()
        time.sleep(0.3)
        account_sessions.end_all_sessions(user_id=user.pk)
        assert close_code(socket.link) == 4401


def test_too_many_sockets_of_one_user_are_closed_with_4429(device, settings):
    settings.CHAT_SOCKETS_PER_USER = 2
    user = make_talker()
    chat = make_chat(user)
    client = device(user)

    with client.socket(chat.id) as one, client.socket(chat.id) as two:
        one.receive()
        two.receive()
        with client.socket(chat.id) as three:
            assert close_code(three.link) == 4429
    with client.socket(chat.id) as four:
        assert four.receive()["type"] == "session.ready"


def test_a_deleted_chat_closes_its_sockets(device):
    user = make_talker()
    chat = make_chat(user)
    client = device(user)

    with client.socket(chat.id) as socket:
        socket.receive()
        time.sleep(0.3)
        client.request("DELETE", f"chat/sessions/{chat.id}/")
        assert close_code(socket.link) == 4404


def test_tokens_in_the_wrong_place_do_not_open_anything(device, live):
    user = make_talker()
    chat = make_chat(user)
    token = access_token(user)

    with connect(f"ws://127.0.0.1:{live.port}/ws/chat/{chat.id}/?ticket={token}") as link:
        assert close_code(link) == 4401


def test_the_users_own_socket_tells_of_the_wallet(device, live):
    user = make_talker()
    client = device(user)
    url = f"ws://127.0.0.1:{live.port}/ws/me/"

    with connect(url, additional_headers={"Authorization": f"Bearer {client.token}"}) as link:
        link.send('{"type": "ping"}')
        assert json.loads(link.recv(timeout=5)) == {"type": "pong"}
        time.sleep(0.3)
        end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])
        event = json.loads(link.recv(timeout=5))

    assert end["status"] == "complete"
    assert event["type"] == "wallet.changed"
    assert set(event["wallet"]) == {"available"}
