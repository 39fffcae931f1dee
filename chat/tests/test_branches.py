"""The tree of a conversation: variants, edits, continuations, deletions, and which branch one looks at."""

import pytest

from ai.testing.fake_provider import Behaviour
from chat.models import ChatSession, Generation, Message
from chat.tests.factories import make_chat, make_talker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def talk(device, fake_provider):
    """A chat with one finished exchange."""
    return Talk(device, fake_provider)


class Talk:
    def __init__(self, device, fake_provider):
        self.provider = fake_provider
        self.user = make_talker()
        self.chat = make_chat(self.user)
        self.client = device(self.user)
        self.greeting = str(self.chat.active_leaf_id)
        self.count = 0
        self.first = self.say("One", "first reply")

    def answer_with(self, text):
        self.provider.default = Behaviour(text=text)

    def new_id(self):
        self.count += 1
        return str(self.count)

    def finish(self, response):
        assert response.status_code == 202, response.text
        body = response.json()
        end = self.client.wait(body["generation"]["id"])
        return {**body, "reply": end["message"], "end": end}

    def say(self, text, reply):
        self.answer_with(reply)
        body = {"content": text, "client_id": self.new_id()}
        return self.finish(self.client.post(f"chat/sessions/{self.chat.id}/messages/", body))

    def post(self, message_id, action, reply="another reply", **body):
        self.answer_with(reply)
        return self.client.post(f"chat/messages/{message_id}/{action}/", {"client_id": self.new_id(), **body})

    def branch(self):
        page = self.client.get(f"chat/sessions/{self.chat.id}/messages/").json()["results"]
        return [message["content"] for message in reversed(page)]

    @property
    def session(self):
        return self.client.get(f"chat/sessions/{self.chat.id}/").json()


GREETING = "Good evening. What shall we compute?"


def test_regenerating_makes_a_variant_and_looks_at_it(talk):
    second = talk.finish(talk.post(talk.first["reply"]["id"], "regenerate", "second reply"))

    assert second["message"]["id"] == talk.first["message"]["id"]
    assert second["reply"]["parent"] == talk.first["message"]["id"]
    assert second["reply"]["variant"] == {
        "index": 1,
        "count": 2,
        "previous": talk.first["reply"]["id"],
        "next": None,
    }
    assert talk.branch() == [GREETING, "One", "second reply"]
    assert talk.session["message_count"] == 3
    assert talk.session["last_message_preview"] == "second reply"
    first = talk.client.get(f"chat/messages/{talk.first['reply']['id']}/").json()
    assert first["variant"]["next"] == second["reply"]["id"]
    assert first["content"] == "first reply"


def test_the_model_does_not_see_the_other_variant(talk):
    talk.finish(talk.post(talk.first["reply"]["id"], "regenerate", "second reply"))
    talk.say("Two", "third reply")

    sent = str(talk.provider.requests[-1].body["messages"])

    assert "second reply" in sent
    assert "first reply" not in sent


def test_paging_back_to_a_variant_makes_its_branch_the_active_one(talk):
    talk.say("Two", "reply to two")
    talk.finish(talk.post(talk.first["reply"]["id"], "regenerate", "second reply"))
    assert talk.branch() == [GREETING, "One", "second reply"]

    response = talk.client.post(f"chat/messages/{talk.first['reply']['id']}/select/")

    assert response.status_code == 200
    assert response.json()["message_count"] == 5
    assert response.json()["last_message_preview"] == "reply to two"
    assert talk.branch() == [GREETING, "One", "first reply", "Two", "reply to two"]


def test_editing_makes_a_branch_and_keeps_the_old_one(talk):
    edited = talk.finish(talk.post(talk.first["message"]["id"], "edit", "edited reply", content="Uno"))

    assert edited["message"]["content"] == "Uno"
    assert edited["message"]["parent"] == talk.greeting
    assert edited["message"]["variant"]["previous"] == talk.first["message"]["id"]
    assert talk.branch() == [GREETING, "Uno", "edited reply"]
    assert Message.objects.get(id=talk.first["message"]["id"]).content == "One"


def test_a_reply_cannot_be_edited_and_a_greeting_not_regenerated(talk):
    replies = [
        talk.post(talk.first["reply"]["id"], "edit", content="Mine"),
        talk.post(talk.greeting, "regenerate"),
    ]

    assert [response.status_code for response in replies] == [422, 422]
    assert [response.json()["errors"][0]["code"] for response in replies] == ["not_yours", "greeting"]
    assert Generation.objects.count() == 1


def test_a_stopped_reply_goes_on_in_place(talk):
    talk.provider.default = Behaviour("truncated", after=3)
    body = {"content": "Two", "client_id": "broken"}
    broken = talk.finish(talk.client.post(f"chat/sessions/{talk.chat.id}/messages/", body))
    assert broken["reply"]["content"] == "word0 word1 word2 "

    response = talk.post(broken["reply"]["id"], "continue", "and the rest.")
    events = list(talk.client.events(response.json()["generation"]["id"]))
    end = events[-1]["message"]

    assert end["id"] == broken["reply"]["id"]
    assert end["content"] == "word0 word1 word2 and the rest."
    assert (end["status"], end["code"], end["detail"]) == ("complete", "", "")
    texts = [event["text"] for event in events if event["type"] == "generation.delta"]
    assert texts[0] == "word0 word1 word2 "
    assert "".join(texts) == end["content"]
    assert [event["seq"] for event in events if "seq" in event] == list(range(1, len(texts) + 2))
    prompt = talk.provider.requests[-1].body["messages"]
    assert "word0 word1 word2" in str(prompt[-2])
    assert "Continue" in str(prompt[-1])


def test_a_continuation_that_fails_leaves_the_reply_as_it_was(talk):
    talk.provider.default = Behaviour("truncated", after=3)
    body = {"content": "Two", "client_id": "broken"}
    broken = talk.finish(talk.client.post(f"chat/sessions/{talk.chat.id}/messages/", body))
    talk.provider.default = Behaviour("error_status", status=400)
    response = talk.client.post(f"chat/messages/{broken['reply']['id']}/continue/", {"client_id": "c"})

    end = talk.finish(response)

    assert end["end"]["status"] == "failed"
    assert end["end"]["charge"] == {"credits": "0"}
    assert end["reply"]["content"] == "word0 word1 word2 "
    assert end["reply"]["status"] == "failed"


def test_a_complete_reply_can_be_continued_too_and_costs_add_up(talk):
    first_cost = Generation.objects.get().charge

    talk.finish(talk.post(talk.first["reply"]["id"], "continue", " More."))

    message = Message.objects.get(id=talk.first["reply"]["id"])
    second = Generation.objects.get(kind="continue")
    assert message.content == "first reply More."
    assert second.charge > 0
    assert message.charge == first_cost + second.charge


def test_only_the_end_of_a_branch_can_be_continued(talk):
    talk.say("Two", "reply to two")

    responses = [
        talk.post(talk.first["reply"]["id"], "continue"),
        talk.post(talk.first["message"]["id"], "continue"),
        talk.post(talk.greeting, "continue"),
    ]

    assert [response.status_code for response in responses] == [409, 409, 409]


def test_deleting_an_exchange_erases_what_followed_and_falls_back(talk):
    two = talk.say("Two", "reply to two")
    talk.say("Three", "reply to three")

    response = talk.client.request("DELETE", f"chat/messages/{two['message']['id']}/")

    assert response.status_code == 204
    assert talk.branch() == [GREETING, "One", "first reply"]
    assert talk.session["message_count"] == 3
    assert talk.session["last_message_preview"] == "first reply"
    assert Message.objects.count() == 3
    assert Generation.objects.count() == 3
    assert talk.say("Four", "reply to four")["reply"]["content"] == "reply to four"


def test_deleting_a_variant_falls_back_to_the_other_one(talk):
    second = talk.finish(talk.post(talk.first["reply"]["id"], "regenerate", "second reply"))

    talk.client.request("DELETE", f"chat/messages/{second['reply']['id']}/")

    assert talk.branch() == [GREETING, "One", "first reply"]


def test_deleting_another_branch_leaves_the_active_one(talk):
    second = talk.finish(talk.post(talk.first["reply"]["id"], "regenerate", "second reply"))

    talk.client.request("DELETE", f"chat/messages/{talk.first['reply']['id']}/")

    assert talk.branch() == [GREETING, "One", "second reply"]
    assert str(ChatSession.objects.get().active_leaf_id) == second["reply"]["id"]


def test_a_message_whose_reply_was_deleted_can_be_answered_again(talk):
    talk.client.request("DELETE", f"chat/messages/{talk.first['reply']['id']}/")
    assert talk.branch() == [GREETING, "One"]

    talk.finish(talk.post(talk.first["message"]["id"], "regenerate", "at last"))

    assert talk.branch() == [GREETING, "One", "at last"]


def test_everything_can_be_deleted_and_the_chat_goes_on(talk):
    talk.client.request("DELETE", f"chat/messages/{talk.greeting}/")
    assert talk.branch() == []
    assert talk.session["message_count"] == 0

    talk.say("From nothing", "hello again")

    assert talk.branch() == ["From nothing", "hello again"]


def test_other_greetings_are_variants_of_the_first(device):
    user = make_talker(display_name="Mia")
    chat = make_chat(
        user, name="Ada", greeting="Hello {{user}}, I am {{char}}.", alternate_greetings=["Oh, <USER>!"]
    )
    client = device(user)
    greeting = client.get(f"chat/sessions/{chat.id}/messages/").json()["results"][0]
    assert greeting["content"] == "Hello Mia, I am Ada."
    assert greeting["variant"]["count"] == 2

    session = client.post(f"chat/messages/{greeting['variant']['next']}/select/").json()

    assert session["last_message_preview"] == "Oh, Mia!"
    assert session["message_count"] == 1


@pytest.mark.parametrize("rating", ["up", "down", "none"])
def test_a_reply_is_rated(talk, rating):
    response = talk.client.post(f"chat/messages/{talk.first['reply']['id']}/feedback/", {"rating": rating})

    assert response.status_code == 200
    assert response.json()["feedback"] == rating
    assert Message.objects.get(id=talk.first["reply"]["id"]).feedback == rating


def test_what_is_not_a_reply_or_not_a_rating_is_refused(talk):
    responses = [
        talk.client.post(f"chat/messages/{talk.first['message']['id']}/feedback/", {"rating": "up"}),
        talk.client.post(f"chat/messages/{talk.first['reply']['id']}/feedback/", {"rating": "great"}),
    ]

    assert [response.status_code for response in responses] == [422, 422]
    assert set(Message.objects.values_list("feedback", flat=True)) == {"none"}
