"""The pages of chats as a browser without script sees them, and the parts its scripts ask for."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from chat import words
from chat.models import ChatSession, Generation, Message
from chat.services import messages, sessions
from chat.tests.factories import leave_exactly, make_chat, make_talker, new_id
from common.ids import uuid7
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db

FRAGMENT = {"HTTP_X_FRAGMENT": "1"}


class Page(HTMLParser):
    """The texts of messages and rows, and the attributes of every element."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.html = response.content.decode()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _tag, attributes in self.elements if attribute in attributes]

    @property
    def messages(self) -> list[str]:
        """The ids of messages; the blank ones in templates are not among them."""
        return [found for found in self.all("data-message") if not found.startswith("00000000")]


@pytest.fixture
def user() -> User:
    return make_talker()


@pytest.fixture
def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def detail(chat: ChatSession) -> str:
    return reverse("chat:session-detail", args=[chat.id])


def act(message: Message, action: str) -> str:
    return reverse("chat:message-act", args=[message.id, action])


def answered(chat: ChatSession, said: str = "Hello", reply: str = "Good evening.", **fields: Any) -> Message:
    """An exchange that is over."""
    started = messages.send_message(
        user_id=chat.user_id, session_id=chat.id, content=said, client_id=new_id()
    )
    assert started.reply is not None
    status = fields.pop("status", "complete")
    Generation.objects.filter(id=started.generation.id).update(status=status, finished_at="2026-11-20T12:00Z")
    Message.objects.filter(id=started.reply.id).update(content=reply, status=status, **fields)
    return Message.objects.get(id=started.reply.id)


def lengthen(chat: ChatSession, count: int) -> None:
    """Many more messages at the end of the branch."""
    parent = chat.active_leaf
    rows = []
    for number in range(count):
        rows.append(
            Message(
                id=uuid7(),
                session=chat,
                user_id=chat.user_id,
                parent_id=rows[-1].id if rows else parent.id,
                role="assistant" if number % 2 else "user",
                content=f"Message {number}",
                depth=number + 1,
            )
        )
    Message.objects.bulk_create(rows)
    ChatSession.objects.filter(id=chat.id).update(active_leaf=rows[-1].id)
    chat.refresh_from_db()


# --- Beginning ---------------------------------------------------------------------------------------------


def test_talking_to_a_persona_begins_a_chat_and_the_next_time_goes_on_with_it(browser, user):
    persona = make_persona(status="published")
    start = reverse("chat:start", args=[persona.slug])

    first = browser.post(start)
    chat = ChatSession.objects.get(user=user)
    again = browser.post(start)

    assert first.status_code == again.status_code == 302
    assert first.url == again.url == detail(chat)
    assert ChatSession.objects.filter(user=user).count() == 1


def test_a_new_chat_is_begun_when_it_is_asked_for(browser, user):
    chat = make_chat(user)

    response = browser.post(reverse("chat:start", args=[chat.persona.slug]), {"new": "1"})

    newer = ChatSession.objects.filter(user=user).exclude(id=chat.id).get()
    assert response.url == detail(newer)


def test_an_archived_chat_is_left_in_peace(browser, user):
    chat = make_chat(user)
    sessions.update_session(user_id=user.pk, session_id=chat.id, is_archived=True)

    response = browser.post(reverse("chat:start", args=[chat.persona.slug]))

    assert response.url != detail(chat)


def test_coming_back_from_signing_in_begins_nothing(browser, user):
    persona = make_persona(status="published")
    start = reverse("chat:start", args=[persona.slug])

    assert browser.get(start).url == reverse("personas:persona-detail", args=[persona.slug])
    assert ChatSession.objects.count() == 0
    chat = make_chat(user, persona)
    assert browser.get(start).url == detail(chat)


def test_a_visitor_signs_in_first_and_is_led_back(user):
    persona = make_persona(status="published")
    start = reverse("chat:start", args=[persona.slug])

    response = Client().post(start)

    assert response.status_code == 302
    assert response.url == f"/accounts/login/?next={start}"


# --- Reading -----------------------------------------------------------------------------------------------


def test_the_page_shows_the_greeting_and_says_that_an_ai_speaks(browser, user):
    chat = make_chat(user, name="Ada", greeting="*looks up* Good **evening**.")

    page = Page(browser.get(detail(chat)))

    assert "<em>looks up</em> Good <strong>evening</strong>." in page.html
    assert "Ada is an AI and can be wrong. This is the demo model" in page.html
    assert len(page.messages) == 1


def test_the_page_runs_no_inline_script_or_style_without_its_nonce(browser, user):
    response = browser.get(detail(make_chat(user)))

    page = Page(response)
    policy = response.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    inline = [
        attributes
        for tag, attributes in page.elements
        if tag == "script" and "src" not in attributes and attributes.get("type") != "application/json"
    ]
    assert [attributes.get("nonce") for attributes in inline] == [nonce[1]] * len(inline)
    assert page.all("style") == []
    assert [name for _tag, attributes in page.elements for name in attributes if name.startswith("on")] == []
    assert "require-trusted-types-for 'script'" in policy
    assert "trusted-types parlor-fragment" in policy
    assert [url for url in [*page.all("src"), *page.all("href")] if url.startswith(("http", "//"))] == []


def test_the_scripts_have_the_words_they_use_and_no_others():
    known = set(words.page_words("Ada"))
    scripts = "".join(path.read_text() for path in (settings.BASE_DIR / "static/js/chat").glob("*.js"))

    assert set(re.findall(r'\bsay\("(\w+)"', scripts)) - known == set()
    assert [name for name in known if f'"{name}"' not in scripts and f"words.{name}" not in scripts] == []


def test_messages_come_in_order_with_the_newest_last(browser, user):
    chat = make_chat(user)
    reply = answered(chat, said="Is *that* <b>you</b>?", reply="It is.")

    page = Page(browser.get(detail(chat)))

    greeting = Message.objects.get(session=chat, parent=None)
    assert page.messages == [str(greeting.id), str(reply.parent_id), str(reply.id)]
    assert "<p>Is <em>that</em> &lt;b&gt;you&lt;/b&gt;?</p>" in page.html


def test_a_long_chat_opens_with_its_end_and_is_read_upwards(browser, user):
    chat = make_chat(user)
    lengthen(chat, 70)
    branch = [str(message.id) for message in Message.objects.filter(session=chat).order_by("depth")]

    seen = Page(browser.get(detail(chat)))
    assert seen.messages == branch[-30:]

    while older := [href for href in seen.all("href") if "/older/?start=" in href]:
        seen_before = seen.messages
        seen = Page(browser.get(older[0], **FRAGMENT))
        assert branch[branch.index(seen.messages[0]) :][: len(seen.messages)] == seen.messages
        assert branch.index(seen.messages[-1]) + 1 == branch.index(seen_before[0])
    assert seen.messages[0] == branch[0]


def test_earlier_messages_are_a_page_of_their_own_without_script(browser, user):
    chat = make_chat(user)
    lengthen(chat, 40)
    older = next(href for href in Page(browser.get(detail(chat))).all("href") if "/older/" in href)

    page = Page(browser.get(older))

    assert "<h1>" in page.html
    assert len(page.messages) == 11


@pytest.mark.parametrize(
    ("ended", "text", "button"),
    [
        (("failed", "provider_unavailable"), "Nothing was charged", "regenerate"),
        (("blocked", "content_blocked"), "Nothing was charged", "regenerate"),
        (("interrupted", "interrupted"), "Nothing was charged", "continue"),
        (("stopped", "stopped"), "You paid for what was said", "continue"),
        (("complete", "length"), "reached its longest length", "continue"),
    ],
)
def test_a_reply_that_ended_otherwise_says_why_and_what_can_be_done(browser, user, ended, text, button):
    reply = answered(make_chat(user), status=ended[0], code=ended[1], reply="Half a")

    html = Page(browser.get(detail(reply.session))).html

    note = html.partition('class="message-note"')[2].partition("</p>")[0]
    assert text in note
    assert act(reply, button) in note


def test_a_running_reply_can_be_stopped_from_the_page(browser, user):
    chat = make_chat(user)
    started = messages.send_message(user_id=user.pk, session_id=chat.id, content="Hello", client_id=new_id())

    page = Page(browser.get(detail(chat)))
    facts = json.loads(page.html.partition('id="chat-page" type="application/json">')[2].partition("<")[0])
    response = browser.post(reverse("chat:generation-stop", args=[chat.id]))

    assert facts["running"] == str(started.generation.id)
    assert response.url == detail(chat) + "#end"
    assert Generation.objects.get(id=started.generation.id).status == "stopped"


def test_somebody_elses_chat_is_not_there(browser):
    chat = make_chat(make_talker())

    assert browser.get(detail(chat)).status_code == 404
    assert browser.get(reverse("chat:session-thread", args=[chat.id])).status_code == 404


# --- Saying ------------------------------------------------------------------------------------------------


def test_a_message_sent_by_the_form_is_stored_once(browser, user):
    chat = make_chat(user)
    send = reverse("chat:message-send", args=[chat.id])
    body = {"content": "Hello\r\nthere", "client_id": new_id()}

    first, second = browser.post(send, body), browser.post(send, body)

    assert (first.status_code, first.url) == (302, detail(chat) + "#end")
    assert second.status_code == 302
    assert [m.content for m in Message.objects.filter(session=chat, role="user")] == ["Hello\nthere"]


def test_words_that_cannot_be_paid_stay_in_the_box_beside_the_ways_on(browser, user):
    chat = make_chat(user)
    leave_exactly(user, 5)

    response = browser.post(reverse("chat:message-send", args=[chat.id]), {"content": "A <thought>"})

    html = response.content.decode()
    assert response.status_code == 402
    assert ">A &lt;thought&gt;</textarea>" in html
    notice = html.partition("chat-refusal")[2].partition('<form class="composer"')[0]
    assert "and you have 0.000005." in notice
    assert reverse("billing:wallet") in notice
    assert reverse("billing:pricing") in notice
    assert 'name="pack" value="credits_10"' in notice
    assert f'name="back" value="{detail(chat)}"' in notice
    assert re.findall(r'data-way="([a-z]+)" hidden', notice) == ["owed", "paused", "own"]
    assert not Message.objects.filter(session=chat, role="user").exists()


@pytest.mark.parametrize(("content", "reason"), [("  ", "Write something first."), ("x" * 20_001, "at most")])
def test_an_unusable_text_is_explained(browser, user, content, reason):
    chat = make_chat(user)

    response = browser.post(reverse("chat:message-send", args=[chat.id]), {"content": content})

    assert response.status_code == 422
    assert reason in response.content.decode().partition("chat-refusal")[2]


# --- What can be done with a message -----------------------------------------------------------------------


@pytest.mark.parametrize(("action", "feedback"), [("up", "up"), ("down", "down"), ("none", "none")])
def test_a_reply_is_rated(browser, user, action, feedback):
    reply = answered(make_chat(user))

    response = browser.post(act(reply, action))

    assert response.url == detail(reply.session) + "#end"
    assert Message.objects.get(id=reply.id).feedback == feedback


def test_an_own_message_is_reworded_on_a_page_of_its_own(browser, user):
    reply = answered(make_chat(user), said="Helo <there>")
    question = reply.parent

    form = browser.get(act(question, "edit"))
    sent = browser.post(act(question, "edit"), {"content": "Hello there", "client_id": new_id()})

    assert ">Helo &lt;there&gt;</textarea>" in form.content.decode()
    assert sent.status_code == 302
    asked = Message.objects.filter(session=reply.session, role="user").order_by("id")
    assert [message.content for message in asked] == ["Helo <there>", "Hello there"]
    assert {message.parent_id for message in asked} == {question.parent_id}


def test_deleting_asks_first(browser, user):
    reply = answered(make_chat(user), said="Forget this")

    asked = browser.get(act(reply.parent, "delete"))
    assert "Forget this" in asked.content.decode()
    assert Message.objects.filter(id=reply.id).exists()

    browser.post(act(reply.parent, "delete"))
    assert not Message.objects.filter(id__in=[reply.id, reply.parent_id]).exists()


@pytest.mark.parametrize("action", ["up", "regenerate", "select", "nonsense"])
def test_looking_at_an_action_does_nothing(browser, user, action):
    reply = answered(make_chat(user))

    assert browser.get(act(reply, action)).status_code == 404
    assert Generation.objects.filter(session=reply.session).count() == 1


def test_a_script_gets_the_thread_after_choosing_a_variant(browser, user):
    chat = make_chat(user, greeting="One", alternate_greetings=["Two"])
    other = Message.objects.get(session=chat, content="Two")

    page = Page(browser.post(act(other, "select"), **FRAGMENT))

    assert page.messages == [str(other.id)]
    assert "<html" not in page.html
    assert "2/2" in page.html


def test_a_script_gets_a_refusal_as_a_problem(browser, user):
    chat = make_chat(user)
    greeting = Message.objects.get(session=chat)

    response = browser.post(act(greeting, "regenerate"), **FRAGMENT)

    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "greeting"


def test_the_end_of_a_reply_brings_the_exchange_and_its_line_in_the_list(browser, user):
    reply = answered(make_chat(user), said="Hello")

    page = Page(browser.get(reverse("chat:message-partial", args=[reply.id])))

    assert page.messages == [str(reply.parent_id), str(reply.id)]
    assert page.all("data-session-row") == [str(reply.session_id)]


def test_a_receipt_is_a_page_and_a_part_of_one(browser, user):
    reply = answered(make_chat(user), model="echo", charge=47_200)
    Generation.objects.filter(reply=reply).update(
        input_tokens=400,
        output_tokens=72,
        cached_tokens=100,
        charge=47_200,
        receipt={"budget": 16000, "tokens": 500, "parts": {"history": 300, "lore": 0}, "left_out": 1},
    )
    address = reverse("chat:message-receipt", args=[reply.id])

    page, part = browser.get(address).content.decode(), browser.get(address, **FRAGMENT).content.decode()

    assert "<html" in page
    assert "<html" not in part
    text = " ".join(re.sub(r"<[^>]+>", " ", part).split())
    assert "0.0472 credits" in text
    assert "Read 400 tokens, 100 of them from the cache" in text
    assert "Earlier messages 300" in text
    assert "Lore that came up" not in text
    assert "1 older message did not fit." in text


def test_the_chat_can_be_saved(browser, user):
    chat = make_chat(user, name="Ada")

    response = browser.get(reverse("chat:session-export", args=[chat.id, "md"]))

    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "Good evening. What shall we compute?" in response.content.decode()


# --- Keeping chats in order --------------------------------------------------------------------------------


def test_the_list_has_pinned_chats_on_top_and_finds_words(browser, user):
    persona = make_persona(status="published")
    first, second = make_chat(user, persona), make_chat(user, persona)
    sessions.update_session(user_id=user.pk, session_id=first.id, title="Tea", is_pinned=True)
    sessions.update_session(user_id=user.pk, session_id=second.id, title="Coffee")

    rows = Page(browser.get(reverse("chat:session-list"))).all("data-session-row")
    found = Page(browser.get(reverse("chat:session-list"), {"q": "coffee"}, **FRAGMENT))

    assert rows == [str(first.id), str(second.id)]
    assert found.all("data-session-row") == [str(second.id)]
    assert "<html" not in found.html


def test_a_list_without_chats_says_what_to_do(browser):
    html = browser.get(reverse("chat:session-list")).content.decode()

    assert "It is quiet in here" in html
    assert "No chat has these words." in browser.get("/chat/?q=nothing").content.decode()


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"action": "rename", "title": " Tea  time "}, "title", "Tea time"),
        ({"action": "pin"}, "is_pinned", True),
        ({"action": "unpin"}, "is_pinned", False),
    ],
)
def test_a_chat_is_changed_from_its_page_and_from_the_list(browser, user, body, field, value):
    chat = make_chat(user)
    change = reverse("chat:session-change", args=[chat.id])

    page = browser.post(change, body)
    part = browser.post(f"{change}?open={chat.id}", body, **FRAGMENT)

    assert page.url == detail(chat)
    chat.refresh_from_db()
    assert getattr(chat, field) == value
    assert 'aria-current="page"' in part.content.decode()


def test_a_chat_without_a_name_keeps_the_old_one(browser, user):
    chat = make_chat(user)
    body = {"action": "rename", "title": "  "}
    change = reverse("chat:session-change", args=[chat.id])

    assert browser.post(change, body, **FRAGMENT).json()["errors"][0]["code"] == "blank"
    assert browser.post(change, body).status_code == 302
    assert ChatSession.objects.get(id=chat.id).title == chat.title


def test_an_archived_chat_leaves_the_list_and_comes_back(browser, user):
    chat = make_chat(user)
    change = reverse("chat:session-change", args=[chat.id])

    assert browser.post(change, {"action": "archive"}).url == reverse("chat:session-list")
    assert Page(browser.get("/chat/")).all("data-session-row") == []
    assert Page(browser.get("/chat/?archived=1")).all("data-session-row") == [str(chat.id)]
    browser.post(change, {"action": "unarchive"})
    assert Page(browser.get("/chat/")).all("data-session-row") == [str(chat.id)]


def test_a_deleted_chat_can_be_brought_back(browser, user):
    chat = make_chat(user)

    deleted = browser.post(reverse("chat:session-delete", args=[chat.id]))
    offer = browser.get(deleted.url).content.decode()
    assert browser.get(detail(chat)).status_code == 404
    assert reverse("chat:session-restore", args=[chat.id]) in offer

    assert browser.post(reverse("chat:session-restore", args=[chat.id])).url == detail(chat)
    assert browser.get(detail(chat)).status_code == 200


def test_nobody_is_offered_somebody_elses_deleted_chat(browser):
    chat = make_chat(make_talker())
    sessions.delete_session(user_id=chat.user_id, session_id=chat.id)

    html = browser.get(reverse("chat:session-list"), {"deleted": str(chat.id)}).content.decode()

    assert reverse("chat:session-restore", args=[chat.id]) not in html


# --- Cost --------------------------------------------------------------------------------------------------


def queries_of(browser: Client, chat: ChatSession) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert browser.get(detail(chat)).status_code == 200
    return len(captured)


def test_the_page_asks_the_database_the_same_for_two_messages_and_for_two_thousand(browser, user):
    chat = make_chat(user)
    answered(chat)
    queries_of(browser, chat)
    few = queries_of(browser, chat)
    chat.refresh_from_db()
    lengthen(chat, 2000)
    for _ in range(20):
        make_chat(user, chat.persona)

    assert queries_of(browser, chat) == few
