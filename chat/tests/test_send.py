"""Saying something: once for a client_id, in order, refused with a reason and without a trace."""

from uuid import uuid4

import pytest

from billing.models import Hold
from chat.models import ChatSession, Generation, Message
from chat.tests.factories import in_parallel, leave_exactly, make_chat, make_talker, new_id
from personas.models import Persona

pytestmark = pytest.mark.django_db(transaction=True)


def messages_url(chat):
    return f"/api/v1/chat/sessions/{chat.id}/messages/"


def counts():
    return Message.objects.count(), Generation.objects.count(), Hold.objects.count()


def test_202_names_the_message_its_reply_and_the_generation(api_client):
    user = make_talker()
    chat = make_chat(user)

    response = api_client(user).post(messages_url(chat), {"content": "Hello Ada", "client_id": "one"})

    assert response.status_code == 202
    body = response.json()
    assert set(body) == {"message", "reply", "generation"}
    assert body["message"]["content"] == "Hello Ada"
    assert body["message"]["role"] == "user"
    assert body["message"]["client_id"] == "one"
    assert body["message"]["status"] == "complete"
    assert body["message"]["parent"] == str(chat.active_leaf_id)
    assert body["reply"]["parent"] == body["message"]["id"]
    assert body["reply"]["status"] == "pending"
    assert body["reply"]["content"] == ""
    assert body["generation"]["status"] == "queued"
    assert body["generation"]["charge"] == {"credits": "0"}
    session = ChatSession.objects.get()
    assert str(session.active_leaf_id) == body["reply"]["id"]
    assert session.message_count == 3
    assert session.title == "Hello Ada"
    assert session.last_message_preview == "Hello Ada"
    hold = Hold.objects.get()
    assert hold.state == "held"
    assert hold.id == Generation.objects.get().hold_id


def test_the_same_client_id_answers_with_the_same_ids(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)

    first = client.post(messages_url(chat), {"content": "Hello", "client_id": "one"}).json()
    second = client.post(messages_url(chat), {"content": "Hello", "client_id": "one"})

    assert second.status_code == 202
    for name in ("message", "reply", "generation"):
        assert second.json()[name]["id"] == first[name]["id"]
    assert counts() == (3, 1, 1)


def test_the_same_client_id_with_another_text_is_refused(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    client.post(messages_url(chat), {"content": "Hello", "client_id": "one"})

    response = client.post(messages_url(chat), {"content": "Goodbye", "client_id": "one"})

    assert response.status_code == 422
    assert response.json()["code"] == "idempotency_key_reused"
    assert counts() == (3, 1, 1)


def test_m3_twenty_parallel_sends_of_one_client_id_are_one_message(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)

    responses = in_parallel(
        lambda _number: client.post(messages_url(chat), {"content": "Hello", "client_id": "one"}),
        range(20),
        threads=20,
    )

    assert {response.status_code for response in responses} == {202}
    assert len({response.json()["generation"]["id"] for response in responses}) == 1
    assert len({response.json()["reply"]["id"] for response in responses}) == 1
    assert counts() == (3, 1, 1)


def test_f18_of_two_sends_at_once_one_starts_and_the_other_conflicts(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)

    responses = in_parallel(
        lambda name: client.post(messages_url(chat), {"content": name, "client_id": name}), ("a", "b")
    )

    assert sorted(response.status_code for response in responses) == [202, 409]
    refused = next(response for response in responses if response.status_code == 409)
    assert refused.json()["code"] == "conflict"
    assert counts() == (3, 1, 1)


def test_a_send_while_a_reply_runs_conflicts_and_loses_nothing(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    client.post(messages_url(chat), {"content": "Hello", "client_id": "one"})

    response = client.post(messages_url(chat), {"content": "And?", "client_id": "two"})

    assert response.status_code == 409
    assert counts() == (3, 1, 1)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"client_id": "one"}, "content", "required"),
        ({"content": "Hello"}, "client_id", "required"),
        ({"content": "", "client_id": "one"}, "content", "blank"),
        ({"content": " \n ", "client_id": "one"}, "content", "blank"),
        ({"content": "x" * 20_001, "client_id": "one"}, "content", "too_long"),
        ({"content": ["Hello"], "client_id": "one"}, "content", "invalid"),
        ({"content": "Hello", "client_id": ""}, "client_id", "blank"),
        ({"content": "Hello", "client_id": "x" * 101}, "client_id", "max_length"),
        ({"content": "Hello", "client_id": "a\nb"}, "client_id", "invalid"),
        (
            {"content": "Hello", "client_id": "one", "attachments": [{"id": "x"}]},
            "attachments",
            "not_supported",
        ),
        ({"content": "Hello", "client_id": "one", "parent": "nonsense"}, "parent", "invalid"),
        ({"content": "Hello", "client_id": "one", "role": "assistant"}, "role", "unknown_field"),
        ({"content": "Hello", "client_id": "one", "status": "complete"}, "status", "unknown_field"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(api_client, body, field, code):
    user = make_talker()
    chat = make_chat(user)

    response = api_client(user).post(messages_url(chat), body)

    assert response.status_code == 422
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [(field, code)]
    assert counts() == (1, 0, 0)


def test_characters_that_cannot_be_stored_are_refused(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)

    for text in ('"a\\u0000b"', '"\\ud800"'):
        response = client.post(
            messages_url(chat),
            data=f'{{"content": {text}, "client_id": "one"}}',
            content_type="application/json",
        )
        assert response.status_code == 400
    assert counts() == (1, 0, 0)


def test_the_text_is_kept_exactly_as_typed(api_client):
    user = make_talker()
    chat = make_chat(user)
    text = "  Grüße,\n\t😀 \u2028 שלום  "

    body = api_client(user).post(messages_url(chat), {"content": text, "client_id": "one"}).json()

    assert body["message"]["content"] == text
    assert Message.objects.get(id=body["message"]["id"]).content == text


def test_a_message_can_answer_an_earlier_one_and_so_begin_a_branch(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    greeting = chat.active_leaf_id
    first = client.post(messages_url(chat), {"content": "One", "client_id": "one"}).json()
    client.post(f"/api/v1/chat/generations/{first['generation']['id']}/stop/")

    body = client.post(
        messages_url(chat), {"content": "Two", "client_id": "two", "parent": str(greeting)}
    ).json()

    assert body["message"]["parent"] == str(greeting)
    assert body["message"]["variant"] == {
        "index": 1,
        "count": 2,
        "previous": first["message"]["id"],
        "next": None,
    }


def test_x2_ids_of_other_people_are_not_found_one_by_one(api_client):
    mine, theirs = make_talker(), make_talker()
    my_chat, their_chat = make_chat(mine), make_chat(theirs)
    private = Persona.objects.create(owner=theirs, name="Secret", slug="secret", visibility="private")
    client = api_client(mine)
    body = {"content": "Hello", "client_id": "one"}

    responses = [
        client.post(messages_url(their_chat), body),
        client.post(messages_url(my_chat), {**body, "parent": str(their_chat.active_leaf_id)}),
        client.post(messages_url(my_chat), {**body, "parent": str(uuid4())}),
        client.post("/api/v1/chat/sessions/", {"persona": str(private.id)}),
    ]

    assert [response.status_code for response in responses] == [404, 404, 404, 404]
    assert {response.json()["code"] for response in responses} == {"not_found"}
    assert counts() == (2, 0, 0)


def test_a_parent_of_another_chat_of_ones_own_is_not_found(api_client):
    user = make_talker()
    chat, other = make_chat(user), make_chat(user)

    response = api_client(user).post(
        messages_url(chat), {"content": "Hello", "client_id": "one", "parent": str(other.active_leaf_id)}
    )

    assert response.status_code == 404
    assert counts() == (2, 0, 0)


def test_requests_over_the_minute_are_refused_with_their_headers(api_client):
    user = make_talker(tier="free")
    client = api_client(user)
    chats = [make_chat(user) for _ in range(6)]

    responses = [client.post(messages_url(chat), {"content": "Hi", "client_id": new_id()}) for chat in chats]

    assert [response.status_code for response in responses] == [202] * 5 + [429]
    assert [response.headers["RateLimit-Remaining"] for response in responses] == [
        "4",
        "3",
        "2",
        "1",
        "0",
        "0",
    ]
    refused = responses[-1]
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["RateLimit-Limit"] == "5"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert Generation.objects.count() == 5


def test_a_repeated_request_does_not_count_against_the_minute(api_client):
    user = make_talker(tier="free")
    client = api_client(user)
    chat = make_chat(user)

    responses = [client.post(messages_url(chat), {"content": "Hi", "client_id": "one"}) for _ in range(8)]

    assert [response.status_code for response in responses] == [202] * 8


def test_without_credits_nothing_is_written(api_client):
    user = make_talker(tier="free")
    chat = make_chat(user)
    leave_exactly(user, 1)

    response = api_client(user).post(messages_url(chat), {"content": "Hello", "client_id": "one"})

    assert response.status_code == 402
    body = response.json()
    assert body["code"] == "insufficient_credits"
    assert body["available"] == "0.000001"
    assert body["packs"][0]["slug"] == "credits_10"
    assert counts() == (1, 0, 1)
    assert ChatSession.objects.get().message_count == 1


def test_a_persona_that_was_taken_back_no_longer_answers(api_client):
    user = make_talker()
    chat = make_chat(user)
    Persona.objects.update(visibility="private")

    response = api_client(user).post(messages_url(chat), {"content": "Hello", "client_id": "one"})

    assert response.status_code == 409
    assert counts() == (1, 0, 0)
    assert api_client(user).get(messages_url(chat)).status_code == 200


def test_an_idempotency_key_gives_the_first_answer_again(api_client):
    user = make_talker()
    chat = make_chat(user)
    client = api_client(user)
    body = {"content": "Hello", "client_id": "one"}

    first = client.post(messages_url(chat), body, headers={"Idempotency-Key": "k"})
    second = client.post(messages_url(chat), body, headers={"Idempotency-Key": "k"})
    other = client.post(messages_url(chat), {**body, "content": "No"}, headers={"Idempotency-Key": "k"})

    assert second.json() == first.json()
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"
    assert counts() == (3, 1, 1)
