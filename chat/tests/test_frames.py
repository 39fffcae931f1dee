"""Frames that make no sense: an error or a close, never more."""

import json
import socket as sockets

import pytest
from websockets.exceptions import ConnectionClosed

from accounts import sockets as open_sockets
from chat.models import Message
from chat.tests.factories import make_chat, make_talker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat_socket(device):
    user = make_talker()
    with device(user).socket(make_chat(user).id, max_size=None) as socket:
        socket.receive()
        yield socket


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "hello",
        "{",
        "null",
        "[]",
        '"message.send"',
        "17",
        "{}",
        '{"type": null}',
        '{"type": 7}',
        '{"type": ["message.send"]}',
        '{"type": {"a": 1}}',
        '{"type": "message.destroy"}',
        '{"type": "__init__"}',
        '{"type": "Ping"}',
        "[" * 10_000 + "]" * 10_000,
        '{"type": "ping", "a": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"type": NaN}',
    ],
)
def test_f29_nonsense_is_answered_with_an_error_and_the_socket_lives(chat_socket, frame):
    chat_socket.link.send(frame)

    error = chat_socket.receive()

    assert (error["type"], error["code"], error["status"]) == ("error", "malformed", 400)
    assert error["detail"]
    chat_socket.send("ping")
    assert chat_socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({"type": "message.send", "client_id": "one"}, "content"),
        ({"type": "message.send", "content": "Hello"}, "client_id"),
        ({"type": "message.send", "content": 7, "client_id": "one"}, "content"),
        ({"type": "message.send", "content": {"a": 1}, "client_id": "one"}, "content"),
        ({"type": "message.send", "content": "Hello", "client_id": {"a": 1}}, "client_id"),
        ({"type": "message.send", "content": "x" * 20_001, "client_id": "one"}, "content"),
        ({"type": "message.send", "content": "a\x00b", "client_id": "one"}, "content"),
        ({"type": "message.send", "content": "\ud800", "client_id": "one"}, "content"),
        ({"type": "message.send", "content": "Hello", "client_id": "\ud800"}, "client_id"),
        (
            {"type": "message.send", "content": "Hello", "client_id": "one", "attachments": ["x"]},
            "attachments",
        ),
        ({"type": "generation.resume", "generation_id": "x", "after": -1}, "after"),
        ({"type": "generation.resume", "generation_id": "x", "after": "1"}, "after"),
        ({"type": "generation.resume", "generation_id": "x", "after": True}, "after"),
        ({"type": "generation.resume", "generation_id": "x", "after": 1.5}, "after"),
    ],
)
def test_f29_wrong_types_are_refused_by_name(chat_socket, frame, field):
    chat_socket.link.send(json.dumps(frame))

    error = chat_socket.receive()

    assert (error["type"], error["code"], error["status"]) == ("error", "invalid", 422)
    assert [problem["field"] for problem in error["errors"]] == [field]
    assert Message.objects.count() == 1


@pytest.mark.parametrize("value", [None, 7, "x", ["x"], {"a": 1}, "x" * 100_000, "\x00"])
def test_ids_of_any_shape_are_only_not_found(chat_socket, value):
    for type_, name in [
        ("generation.stop", "generation_id"),
        ("generation.resume", "generation_id"),
        ("message.regenerate", "message_id"),
    ]:
        chat_socket.send(type_, client_id="one", **{name: value})
        assert chat_socket.receive()["code"] == "not_found"


def test_a_number_from_the_future_only_brings_the_end(device):
    user = make_talker()
    chat = make_chat(user)
    client = device(user)
    sent = client.send(chat.id, "Hello", "one")
    client.wait(sent["generation"]["id"])

    with client.socket(chat.id) as socket:
        socket.receive()
        socket.send("generation.resume", generation_id=sent["generation"]["id"], after=10**30)
        assert socket.receive()["type"] == "generation.completed"


def close_code_after(link, data):
    try:
        link.send(data)
        while True:
            link.recv(timeout=5)
    except ConnectionClosed as closed:
        return closed.rcvd.code


def test_f29_binary_frames_are_closed_with_1003(chat_socket):
    assert close_code_after(chat_socket.link, b"\x00\x01") == 1003


def test_x15_huge_frames_are_closed_with_1009(chat_socket):
    assert close_code_after(chat_socket.link, "x" * 2_000_000) == 1009


def test_x15_fragments_without_end_are_closed_with_1009(chat_socket):
    # Little more than the limit: what is still on its way when the server closes would hide its answer.
    fragments = ("x" * 10_000 for _ in range(27))
    assert close_code_after(chat_socket.link, fragments) == 1009


def test_a_flood_of_frames_is_slowed_down_and_then_closed(chat_socket):
    codes = set()
    close_code = None
    while close_code is None:
        try:
            for _frame in range(100):
                chat_socket.send("ping")
            for _frame in range(100):
                codes.add(chat_socket.receive().get("code"))
        except ConnectionClosed as closed:
            close_code = closed.rcvd.code
    assert codes == {None, "rate_limited"}
    assert close_code == 1008


def test_a_connection_that_vanishes_leaves_nothing_behind(device, live):
    user = make_talker()
    with device(user).socket(make_chat(user).id) as socket:
        socket.receive()
        socket.link.socket.shutdown(sockets.SHUT_RDWR)
    wait_until(lambda: not open_sockets._open)
    assert open_sockets._open_by_user == {}
