"""The list of chats, and long chats that open as quickly as short ones."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import ChatSession, Message
from chat.services import sessions
from chat.tests.factories import make_chat, make_talker
from common.ids import uuid7
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db

LIST = "/api/v1/chat/sessions/"


@pytest.fixture
def user():
    return make_talker()


@pytest.fixture
def client(api_client, user):
    return api_client(user)


def titled(user, *titles, persona=None):
    persona = persona or make_persona(status="published")
    chats = []
    for minutes, title in enumerate(titles):
        chat = make_chat(user, persona)
        ChatSession.objects.filter(id=chat.id).update(
            title=title, last_message_at=timezone.now() + timedelta(minutes=minutes)
        )
        chats.append(chat)
    return chats


def titles_of(response):
    assert response.status_code == 200, response.content
    return [session["title"] for session in response.json()["results"]]


def test_a_new_chat_begins_with_the_greeting(client, user, settings):
    persona = make_persona(name="Ada", status="published", greeting="Hi {{user}}")

    response = client.post(LIST, {"persona": str(persona.id)})

    assert response.status_code == 201
    body = response.json()
    assert set(body) == {
        "id",
        "persona",
        "title",
        "pinned",
        "archived",
        "message_count",
        "last_message_at",
        "last_message_preview",
        "created_at",
    }
    avatar = f"{settings.PUBLIC_URL}{persona.avatar_url}"
    assert body["persona"] == {"id": str(persona.id), "name": "Ada", "avatar_url": avatar}
    assert (body["title"], body["message_count"]) == ("Ada", 1)
    assert body["last_message_preview"] == f"Hi {user.display_name}"
    assert body["created_at"].endswith("Z")
    message = client.get(f"{LIST}{body['id']}/messages/").json()["results"][0]
    assert set(message) == {
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
    }
    assert (message["role"], message["content"], message["usage"]) == (
        "assistant",
        f"Hi {user.display_name}",
        None,
    )


def test_a_persona_without_a_greeting_waits_for_the_first_word(client):
    persona = make_persona(status="published", greeting="")

    body = client.post(LIST, {"persona": str(persona.id)}).json()

    assert body["message_count"] == 0
    assert client.get(f"{LIST}{body['id']}/messages/").json() == {
        "next": None,
        "previous": None,
        "results": [],
    }


def test_pinned_chats_come_first_then_the_newest(client, user):
    chats = titled(user, "a", "b", "c", "d")
    client.patch(f"{LIST}{chats[0].id}/", {"pinned": True})
    client.patch(f"{LIST}{chats[1].id}/", {"pinned": True})

    assert titles_of(client.get(LIST)) == ["b", "a", "d", "c"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pages_cover_every_chat_once_in_both_directions(client, user, size):
    chats = titled(user, *"abcdefg")
    for chat in (chats[1], chats[4], chats[5]):
        client.patch(f"{LIST}{chat.id}/", {"pinned": True})
    expected = ["f", "e", "b", "g", "d", "c", "a"]

    pages, url = [], f"{LIST}?page_size={size}"
    while url:
        body = client.get(url).json()
        pages.append([session["title"] for session in body["results"]])
        last, url = url, body["next"]
    assert [title for page in pages for title in page] == expected

    back, url = [], last
    while url:
        body = client.get(url).json()
        back.insert(0, [session["title"] for session in body["results"]])
        url = body["previous"]
    assert [title for page in back for title in page] == expected


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "WzFd", "W251bGxd", "€", "a" * 5_000, "WyJhIiwiYiIsImMiLCJkIl0"]
)
def test_a_cursor_that_is_not_ours_is_refused(client, user, cursor):
    chat = make_chat(user)

    assert client.get(LIST, {"cursor": cursor}).status_code == 422
    assert client.get(f"{LIST}{chat.id}/messages/", {"cursor": cursor}).status_code in (404, 422)


def test_archived_chats_have_a_list_of_their_own(client, user):
    one, _two = titled(user, "one", "two")

    body = client.patch(f"{LIST}{one.id}/", {"archived": True}).json()

    assert body["archived"] is True
    assert titles_of(client.get(LIST)) == ["two"]
    assert titles_of(client.get(f"{LIST}?archived=true")) == ["one"]
    client.patch(f"{LIST}{one.id}/", {"archived": False})
    assert titles_of(client.get(LIST)) == ["two", "one"]


def test_a_name_of_ones_own_stays(client, user):
    (chat,) = titled(user, "old")

    body = client.patch(f"{LIST}{chat.id}/", {"title": "  My   chat "}).json()
    client.post(f"{LIST}{chat.id}/messages/", {"content": "Hello", "client_id": "one"})

    assert body["title"] == "My chat"
    assert ChatSession.objects.get().title == "My chat"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"pinned": "perhaps"}, "pinned"),
        ({"message_count": 5}, "message_count"),
        ({"user": "x"}, "user"),
        ({"persona": "x"}, "persona"),
        ({"deleted_at": None}, "deleted_at"),
    ],
)
def test_changes_that_make_no_sense_change_nothing(client, user, body, field):
    (chat,) = titled(user, "old")

    response = client.patch(f"{LIST}{chat.id}/", {"archived": True, **body})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    chat.refresh_from_db()
    assert (chat.title, chat.archived_at) == ("old", None)


def test_a_deleted_chat_is_gone_until_it_is_restored(client, user):
    (chat,) = titled(user, "old")

    assert client.delete(f"{LIST}{chat.id}/").status_code == 204
    assert client.get(f"{LIST}{chat.id}/").status_code == 404
    assert titles_of(client.get(LIST)) == []
    assert client.delete(f"{LIST}{chat.id}/").status_code == 404
    assert client.post(f"{LIST}{chat.id}/restore/").json()["title"] == "old"
    assert titles_of(client.get(LIST)) == ["old"]
    assert client.post(f"{LIST}{chat.id}/restore/").status_code == 404


def test_deleted_chats_are_erased_when_their_time_is_over(client, user, settings):
    old, new = titled(user, "old", "new")
    for chat in (old, new):
        client.delete(f"{LIST}{chat.id}/")
    ChatSession.objects.filter(id=old.id).update(deleted_at=timezone.now() - timedelta(days=8))

    assert client.post(f"{LIST}{old.id}/restore/").status_code == 404
    assert sessions.erase_deleted_sessions() == 1

    assert list(ChatSession.objects.values_list("title", flat=True)) == ["new"]
    assert set(Message.objects.values_list("session_id", flat=True)) == {new.id}


def test_search_finds_titles_and_words_of_messages(client, user):
    one, two = titled(user, "Analytical engines", "Other")
    client.post(
        f"{LIST}{two.id}/messages/", {"content": "Tell me of the Bernoulli numbers", "client_id": "x"}
    )
    make_chat(make_talker(), make_persona(status="published", greeting="Bernoulli"))

    by_title = client.get("/api/v1/chat/search/?q=analytical").json()["results"]
    by_word = client.get("/api/v1/chat/search/?q=bernoulli").json()["results"]

    assert [(found["session"]["id"], found["message"]) for found in by_title] == [(str(one.id), None)]
    assert [found["session"]["id"] for found in by_word] == [str(two.id), str(two.id)]
    assert [found["message"] and found["message"]["content"] for found in by_word] == [
        None,
        "Tell me of the Bernoulli numbers",
    ]
    assert titles_of(client.get(f"{LIST}?q=bernoulli")) == ["Tell me of the Bernoulli numbers"]
    assert client.get("/api/v1/chat/search/?q=").json()["results"] == []


@pytest.mark.parametrize("query", ["'", '"', "a:*", "((", "&|!", "\\", "%", "x" * 5_000, "-", "\x00", "שלום"])
def test_search_takes_any_text(client, user, query):
    titled(user, "one")

    assert client.get("/api/v1/chat/search/", {"q": query}).status_code == 200
    assert client.get(LIST, {"q": query}).status_code == 200


def count_queries(client, url):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_lists_cost_the_same_with_two_rows_and_with_twenty(client, user):
    titled(user, "a", "b")
    two = count_queries(client, LIST), count_queries(client, "/api/v1/chat/search/?q=a")
    titled(user, *("a" for _ in range(18)))

    assert (count_queries(client, LIST), count_queries(client, "/api/v1/chat/search/?q=a")) == two
    assert two[0] <= 3


def long_chat(user, length):
    """A chat with one branch of `length` messages."""
    chat = make_chat(user, make_persona(status="published", greeting=""))
    rows, parent = [], None
    for depth in range(length):
        row = Message(
            id=uuid7(),
            session=chat,
            user=user,
            parent=parent,
            role="assistant" if depth % 2 else "user",
            content=f"Message {depth}",
            depth=depth,
            path_tokens=depth * 5,
        )
        rows.append(row)
        parent = row
    Message.objects.bulk_create(rows, batch_size=1000)
    ChatSession.objects.filter(id=chat.id).update(active_leaf=rows[-1], message_count=length)
    return chat


def test_a_chat_of_ten_thousand_messages_opens_like_a_short_one(client, user):
    short, long = long_chat(user, 50), long_chat(user, 10_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE chat_message")
    urls = [f"{LIST}{chat.id}/messages/?page_size=50" for chat in (short, long)]
    assert count_queries(client, urls[0]) == count_queries(client, urls[1])

    body = client.get(urls[1]).json()

    assert [message["content"] for message in body["results"]] == [
        f"Message {depth}" for depth in range(9_999, 9_949, -1)
    ]
    older = client.get(body["next"]).json()
    assert [message["content"] for message in older["results"][:2]] == ["Message 9949", "Message 9948"]
    times = []
    for url in urls:
        began = timezone.now()
        for _ in range(5):
            client.get(url)
        times.append((timezone.now() - began).total_seconds())
    assert times[1] < 3 * times[0] + 0.05


def test_pages_of_messages_cover_the_branch_once(client, user):
    chat = long_chat(user, 23)
    seen, url = [], f"{LIST}{chat.id}/messages/?page_size=5"
    while url:
        body = client.get(url).json()
        seen += [message["content"] for message in body["results"]]
        url = body["next"]

    assert seen == [f"Message {depth}" for depth in range(22, -1, -1)]


def test_export_gives_every_branch_as_json_and_the_active_one_as_markdown(client, user):
    chat = long_chat(user, 3)
    Message.objects.filter(depth=1).update(content="*Reply*\n<b>x</b>")
    ChatSession.objects.filter(id=chat.id).update(title="Evil/../title\r\nX: y")

    as_json = client.post(f"{LIST}{chat.id}/export/", {"format": "json"})
    as_text = client.post(f"{LIST}{chat.id}/export/", {"format": "md"})

    body = json.loads(as_json.content)
    assert [message["content"] for message in body["messages"]] == [
        "Message 0",
        "*Reply*\n<b>x</b>",
        "Message 2",
    ]
    assert body["messages"][2]["parent"] == body["messages"][1]["id"]
    assert as_json["Content-Disposition"] == 'attachment; filename="Evil-title-X-y.json"'
    assert as_text["Content-Type"] == "text/markdown; charset=utf-8"
    text = as_text.content.decode()
    assert text.startswith("# Evil/../title X: y\n\n")
    assert "**You**" in text
    assert "**Ada**" in text
    assert text.index("Message 0") < text.index("*Reply*") < text.index("Message 2")


def test_unknown_formats_are_refused(client, user):
    chat = make_chat(user)

    response = client.post(f"{LIST}{chat.id}/export/", {"format": "exe"})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "format"
