"""What a refused or repeated request must not do: end a reply, cost twice, or fail where it should answer."""

import json
import time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from websockets.exceptions import ConnectionClosed

from accounts import tokens
from accounts.models import TokenFamily
from accounts.services import sessions as account_sessions
from ai.testing.fake_provider import Behaviour
from billing.models import Hold
from billing.services import adjustments, holds
from chat.models import ChatSession, Generation, Message
from chat.services import generations
from chat.services.stopping import stop_generation
from chat.tests.factories import in_parallel, leave_exactly, make_chat, make_talker, wait_until
from common import realtime

pytestmark = pytest.mark.django_db(transaction=True)


def url(chat: ChatSession) -> str:
    return f"/api/v1/chat/sessions/{chat.pk}/messages/"


def test_going_on_from_a_reply_without_text_is_a_new_reply_and_paid(device: Any, fake_provider: Any) -> None:
    user = make_talker()
    chat = make_chat(user)
    phone = device(user)
    fake_provider.default = Behaviour("http_error", status=400)
    failed = phone.send(chat.id, "Hello", "one")
    end = phone.wait(failed["generation"]["id"], 30)
    fake_provider.default = Behaviour(text="Yes.")

    answer = phone.post(f"chat/messages/{failed['reply']['id']}/continue/", {"client_id": "two"})
    done = phone.wait(answer.json()["generation"]["id"])

    assert (end["status"], end["message"]["content"]) == ("failed", "")
    assert (done["status"], done["message"]["status"], done["message"]["content"]) == (
        "complete",
        "complete",
        "Yes.",
    )
    assert done["charge"] != "0"


def test_m3_equal_sends_at_once_are_one_even_when_there_are_credits_for_one(api_client: Any) -> None:
    user = make_talker()
    chat, other = make_chat(user), make_chat(user)
    client = api_client(user)
    client.post(url(other), {"content": "Hello", "client_id": "x"})
    leave_exactly(user, Hold.objects.exclude(reference="other").get().amount)

    def send(_number: int) -> Any:
        return client.post(url(chat), {"content": "Hello", "client_id": "one"})

    answers = in_parallel(send, range(10), threads=10)

    assert [response.status_code for response in answers] == [202] * 10
    assert len({response.json()["generation"]["id"] for response in answers}) == 1


def test_m3_equal_sends_at_once_count_once_against_the_requests_a_minute(api_client: Any) -> None:
    user = make_talker("free")
    chat = make_chat(user)
    client = api_client(user)

    def send(number: int) -> Any:
        return client.post(url(chat), {"content": "Hello", "client_id": "one"})

    answers = in_parallel(send, range(20), threads=20)
    stop_generation(user_id=user.pk, generation_id=Generation.objects.get().pk)
    after = client.post(url(chat), {"content": "Again", "client_id": "two"})

    assert [response.status_code for response in answers] == [202] * 20
    assert int(after.headers["RateLimit-Remaining"]) == 3


def running_reply(device: Any, fake_provider: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
    user = make_talker()
    chat = make_chat(user)
    phone = device(user)
    fake_provider.default = Behaviour(rate=10, tokens=40)
    begun = phone.send(chat.id, "Again", "three")
    wait_until(lambda: Generation.objects.get(id=begun["generation"]["id"]).first_text_at)
    return user, chat, phone, begun


@pytest.mark.parametrize("way", ["regenerate", "edit"])
def test_a_refused_request_leaves_the_running_reply_alone(device: Any, fake_provider: Any, way: str) -> None:
    user, _chat, phone, begun = running_reply(device, fake_provider)
    adjustments.suspend_wallet(user_id=user.pk, reason="test", actor_id=None)
    target = begun["reply" if way == "regenerate" else "message"]["id"]
    body = {"client_id": "r", **({"content": "Other words"} if way == "edit" else {})}

    refused = phone.post(f"chat/messages/{target}/{way}/", body)

    assert refused.status_code == 403
    assert phone.wait(begun["generation"]["id"], 30)["status"] == "complete"


def test_a_refused_frame_leaves_the_running_reply_alone(device: Any, fake_provider: Any) -> None:
    _user, chat, phone, begun = running_reply(device, fake_provider)
    with phone.socket(chat.id) as socket:
        socket.receive()
        socket.send("message.regenerate", message_id=begun["reply"]["id"])
        assert socket.until("error")[-1]["code"] == "invalid"

    assert phone.wait(begun["generation"]["id"], 30)["status"] == "complete"


def test_a_regeneration_ends_the_running_reply_and_takes_its_place(device: Any, fake_provider: Any) -> None:
    _user, chat, phone, begun = running_reply(device, fake_provider)
    with phone.socket(chat.id) as socket:
        socket.receive()
        socket.send("message.regenerate", message_id=begun["reply"]["id"], client_id="r")
        wait_until(lambda: Generation.objects.filter(client_id="r").first())

    assert phone.wait(begun["generation"]["id"])["status"] == "stopped"
    assert phone.wait(str(Generation.objects.get(client_id="r").pk), 30)["status"] == "complete"


@pytest.mark.parametrize("client_id", ["a\x00", "\ud800"])
def test_x46_odd_characters_in_a_frame_get_an_error_and_the_socket_lives(
    device: Any, fake_provider: Any, client_id: str
) -> None:
    user = make_talker()
    chat = make_chat(user)
    phone = device(user)
    begun = phone.send(chat.id, "Hello", "one")
    phone.wait(begun["generation"]["id"])
    frame = {"type": "message.regenerate", "message_id": begun["reply"]["id"], "client_id": client_id}

    with phone.socket(chat.id) as socket:
        socket.receive()
        socket.link.send(json.dumps(frame))
        error = socket.until("error")[-1]
        socket.send("ping")
        assert socket.until("pong")[-1] == {"type": "pong"}

    assert (error["status"], error["code"]) == (422, "invalid")


def test_x10_a_lost_signal_leaves_nobody_listening(
    device: Any, fake_provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_talker()
    chat = make_chat(user)
    lost, kept = device(user), device(user)
    family = TokenFamily.objects.get(id=tokens.read_token(lost.token, "access").family_id)
    with lost.socket(chat.id) as socket:
        socket.receive()
        time.sleep(0.3)
        with monkeypatch.context() as patch:
            patch.setattr(realtime, "_send_quietly", lambda group, event: None)
            account_sessions.end_session(user_id=user.pk, session_key=family.session_key)
        kept.send(chat.id, "my secret", "q")
        with pytest.raises(ConnectionClosed) as closed:
            socket.receive(5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def test_x10_a_lost_signal_on_a_quiet_chat_closes_within_seconds(
    device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_talker()
    chat = make_chat(user)
    phone = device(user)
    family = TokenFamily.objects.get(id=tokens.read_token(phone.token, "access").family_id)
    with phone.socket(chat.id) as socket:
        socket.receive()
        time.sleep(0.3)
        monkeypatch.setattr(realtime, "_send_quietly", lambda group, event: None)
        account_sessions.end_session(user_id=user.pk, session_key=family.session_key)
        with pytest.raises(ConnectionClosed) as closed:
            socket.receive(5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def test_x46_a_name_with_odd_characters_is_refused_on_the_page() -> None:
    user = make_talker()
    chat = make_chat(user)
    client = Client(raise_request_exception=False)
    client.force_login(user)

    response = client.post(
        reverse("chat:session-change", args=[chat.pk]), {"action": "rename", "title": "a\x00b"}
    )

    assert response.status_code in (302, 422)
    chat.refresh_from_db()
    assert "\x00" not in chat.title


def test_a_refusal_that_passes_leaves_the_idempotency_key_free(api_client: Any) -> None:
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    leave_exactly(user, 0)
    key = {"HTTP_IDEMPOTENCY_KEY": "k1"}

    without = client.post(url(chat), {"content": "Hello", "client_id": "one"}, **key)
    holds.release_hold(hold_id=Hold.objects.get().id, reason="test")
    after = client.post(url(chat), {"content": "Hello", "client_id": "one"}, **key)
    again = client.post(url(chat), {"content": "Hello", "client_id": "one"}, **key)

    assert (without.status_code, after.status_code) == (402, 202)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")


def finished(user: Any, answer: Any) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    stop_generation(user_id=user.pk, generation_id=body["generation"]["id"])
    return body


def test_one_name_for_two_messages_is_refused_and_a_deleted_one_is_not_there(api_client: Any) -> None:
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    first = finished(user, client.post(url(chat), {"content": "A", "client_id": "1"}))
    second = finished(user, client.post(url(chat), {"content": "B", "client_id": "2"}))
    finished(
        user, client.post(f"/api/v1/chat/messages/{first['reply']['id']}/regenerate/", {"client_id": "x"})
    )

    elsewhere = client.post(f"/api/v1/chat/messages/{second['reply']['id']}/regenerate/", {"client_id": "x"})
    client.delete(f"/api/v1/chat/messages/{first['message']['id']}/")
    gone = client.post(url(chat), {"content": "A", "client_id": "1"})

    assert elsewhere.status_code == 422
    assert gone.status_code == 404


def test_a_hold_outlives_the_longest_reply(settings: Any, api_client: Any) -> None:
    settings.AI_TOTAL_TIMEOUT = 3600
    user = make_talker()
    api_client(user).post(url(make_chat(user)), {"content": "Hello", "client_id": "one"})

    hold = Hold.objects.get()

    longest = settings.CHAT_QUEUE_SECONDS + settings.AI_TOTAL_TIMEOUT + settings.CHAT_LEASE_SECONDS
    assert (hold.expires_at - hold.created_at).total_seconds() > longest


def test_going_on_with_a_reply_that_is_deleted_meanwhile_is_refused(
    api_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    client.raise_request_exception = False
    begun = finished(user, client.post(url(chat), {"content": "Hello", "client_id": "one"}))
    Message.objects.filter(id=begun["reply"]["id"]).update(content="Well")
    real = generations._plan

    def late(*arguments: Any) -> Any:
        Generation.objects.filter(reply_id=begun["reply"]["id"]).update(reply=None)
        ChatSession.objects.filter(id=chat.pk).update(active_leaf=begun["message"]["id"])
        Message.objects.filter(id=begun["reply"]["id"]).delete()
        return real(*arguments)

    monkeypatch.setattr(generations, "_plan", late)

    response = client.post(f"/api/v1/chat/messages/{begun['reply']['id']}/continue/", {"client_id": "c"})

    assert response.status_code in (404, 409)
    assert not Hold.objects.filter(state=Hold.State.HELD).exists()
