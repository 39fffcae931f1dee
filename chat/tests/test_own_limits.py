"""What people allow themselves for a message bounds each reply, over every face."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ai.testing.fake_provider import Behaviour
from billing.errors import OwnMessageLimit
from billing.models import Hold, LedgerTransaction, Store
from billing.services import own_limits, payments
from billing.services.checks import check_ledger
from billing.stores.base import PaymentFacts, PaymentStanding, RefundFacts
from billing.tests.factories import capture, make_payment, reserve
from chat import policy
from chat.models import Generation, Message
from chat.tests.factories import make_chat, make_talker

pytestmark = pytest.mark.django_db(transaction=True)
VIP_PRICE = 50
ApiClient = Callable[..., Any]


@pytest.fixture(autouse=True)
def _ledger_stays_right() -> Any:
    yield
    assert check_ledger().results == {}


def url(chat: Any) -> str:
    return f"/api/v1/chat/sessions/{chat.pk}/messages/"


def send(client: Any, chat: Any, client_id: str = "one", content: str = "Hello") -> Any:
    return client.post(url(chat), {"content": content, "client_id": client_id})


def whole_hold(client: Any, user: Any) -> int:
    """What a message reserves where nothing bounds it."""
    send(client, make_chat(user))
    return Hold.objects.latest("created_at").amount


def allow(user: Any, **limits: Any) -> None:
    own_limits.change_own_limits(user_id=user.pk, **limits)


def give_back(payment: Any) -> None:
    facts = PaymentFacts(
        external_id=payment.external_id,
        standing=PaymentStanding.PAID,
        user_id=payment.user_id,
        pack="credits_100",
        amount=899,
        earned=899,
        currency="USD",
        refunds=(RefundFacts("re_1", 899, timezone.now()),),
    )
    payments.apply_facts(store=Store.STRIPE, facts=facts, asked_at=timezone.now())


def rows() -> tuple[int, int, int]:
    return Message.objects.count(), Generation.objects.count(), Hold.objects.count()


def shortest(amount: int, generation: Generation) -> int:
    return amount - (generation.max_output_tokens - policy.SHORTEST_REPLY_TOKENS) * VIP_PRICE


@pytest.mark.parametrize(
    ("hold", "cap", "tokens"),
    [(1000, 1000, 100), (1000, 999, 99), (1000, 991, 99), (1000, 990, 99), (1000, 989, 98), (1000, 640, 64)],
)
def test_a_reply_becomes_as_short_as_it_must(hold: int, cap: int, tokens: int) -> None:
    assert policy.output_within(cap, hold=hold, max_output_tokens=100, token_price=10) == tokens


def test_a_reply_too_short_to_be_of_use_is_none() -> None:
    with pytest.raises(OwnMessageLimit) as refused:
        policy.output_within(639_999, hold=1_000_000, max_output_tokens=100, token_price=10_000)
    assert (refused.value.extra["limit"], refused.value.extra["used"]) == ("0.639999", "0.64")


def test_the_cap_lowers_the_longest_reply_and_holds_no_more(api_client: ApiClient) -> None:
    user = make_talker()
    client = api_client(user)
    amount = whole_hold(client, user)
    longest = Generation.objects.get().max_output_tokens
    allow(user, per_message=amount - 10 * VIP_PRICE - 1)
    answer = send(client, make_chat(user))
    assert answer.status_code == 202
    generation = Generation.objects.latest("created_at")
    assert generation.max_output_tokens == longest - 11
    assert Hold.objects.get(id=generation.hold_id).amount == amount - 11 * VIP_PRICE
    allow(user, per_message=amount)
    send(client, make_chat(user))
    assert Generation.objects.latest("created_at").max_output_tokens == longest


def test_the_last_useful_cap_and_one_below_it(api_client: ApiClient) -> None:
    user = make_talker()
    client = api_client(user)
    amount = whole_hold(client, user)
    smallest = shortest(amount, Generation.objects.get())
    chats = [make_chat(user), make_chat(user)]
    allow(user, per_message=smallest)
    assert send(client, chats[0]).status_code == 202
    assert Generation.objects.latest("created_at").max_output_tokens == policy.SHORTEST_REPLY_TOKENS
    before = rows()
    allow(user, per_message=smallest - 1)
    refused = send(client, chats[1])
    assert (refused.status_code, refused.json()["code"]) == (403, "limit_reached")
    assert set(refused.json()) >= {"limit", "used"}
    assert rows() == before


def test_regenerating_and_going_on_are_bounded_too(device: Any, fake_provider: Any) -> None:
    user = make_talker()
    client = device(user)
    fake_provider.default = Behaviour(tokens=20)
    first = client.send(make_chat(user).id, "Hello", "one")
    client.wait(first["generation"]["id"])
    reply = first["reply"]["id"]
    longest = Generation.objects.get().max_output_tokens
    amount = Hold.objects.get().amount
    allow(user, per_message=amount // 2)
    for number, act in enumerate(("regenerate", "continue")):
        answer = client.post(f"chat/messages/{reply}/{act}/", {"client_id": f"act-{number}"})
        assert answer.status_code == 202, answer.text
        client.wait(answer.json()["generation"]["id"])
        generation = Generation.objects.get(id=answer.json()["generation"]["id"])
        assert policy.SHORTEST_REPLY_TOKENS <= generation.max_output_tokens < longest
        assert Hold.objects.get(id=generation.hold_id).amount <= amount // 2
    before = rows()
    allow(user, per_message=1)
    for number, act in enumerate(("regenerate", "continue")):
        answer = client.post(f"chat/messages/{reply}/{act}/", {"client_id": f"no-{number}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "limit_reached")
    assert rows() == before


def test_what_is_asked_of_the_model_is_bounded(device: Any, fake_provider: Any) -> None:
    user = make_talker()
    client = device(user)
    fake_provider.default = Behaviour(tokens=5)
    client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])
    smallest = shortest(Hold.objects.get().amount, Generation.objects.get())
    allow(user, per_message=smallest)
    fake_provider.requests.clear()
    client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])
    (asked,) = fake_provider.requests
    assert policy.SHORTEST_REPLY_TOKENS in asked.body.values()
    paid = LedgerTransaction.objects.filter(wallet_id=user.pk, kind="charge").order_by("-number")[0]
    assert -paid.amount <= smallest


def test_a_websocket_is_told_the_same(device: Any) -> None:
    user = make_talker()
    allow(user, per_message=1)
    chat = make_chat(user)
    before = rows()
    with device(user).socket(chat.id) as socket:
        socket.receive()
        socket.send("message.send", client_id="one", content="Hello")
        error = socket.receive()
    assert (error["type"], error["status"], error["code"], error["client_id"]) == (
        "error",
        403,
        "limit_reached",
        "one",
    )
    assert error["limit"] == "0.000001"
    assert rows() == before


def test_a_pause_stops_every_face(device: Any) -> None:
    user = make_talker()
    allow(user, paused=True)
    chat = make_chat(user)
    client = device(user)
    answer = client.post(f"chat/sessions/{chat.id}/messages/", {"content": "Hello", "client_id": "one"})
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    with client.socket(chat.id) as socket:
        socket.receive()
        socket.send("message.send", client_id="two", content="Hello")
        assert socket.receive()["status"] == 403
    assert Generation.objects.count() == 0


def test_a_debt_is_told_with_what_is_owed_over_every_face(device: Any, fake_provider: Any) -> None:
    user = make_talker()
    payment = make_payment(user.pk)
    capture(reserve(user.pk, 540).hold_id, 540)
    # A reply runs while the money goes back.
    fake_provider.default = Behaviour(first_delay=30)
    chat, other = make_chat(user), make_chat(user)
    client = device(user)
    sent = client.send(chat.id, "Hello", "one")
    running, reply = sent["generation"]["id"], sent["reply"]["id"]
    give_back(payment)
    before = rows()
    for answer in (
        client.post(f"chat/sessions/{other.id}/messages/", {"content": "So?", "client_id": "two"}),
        client.post(f"chat/messages/{reply}/regenerate/", {"client_id": "three"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
        assert answer.json()["owed"].startswith("40")
        assert answer.json()["available"] == "0"
        assert answer.json()["packs"] != []
    for place, wish in (
        (other, {"type_": "message.send", "content": "So?"}),
        (chat, {"type_": "message.regenerate", "message_id": reply}),
    ):
        with client.socket(place.id) as socket:
            socket.send(**wish, client_id="four")
            error = socket.until("error")[-1]
        assert (error["status"], error["code"], error["client_id"]) == (402, "insufficient_credits", "four")
        assert error["owed"].startswith("40")
    assert rows() == before
    client.post(f"chat/generations/{running}/stop/")
    client.wait(running)


def test_a_cap_costs_no_query(api_client: ApiClient) -> None:
    user = make_talker()
    client = api_client(user)
    amount = whole_hold(client, user)

    def queries() -> int:
        chat = make_chat(user)
        with CaptureQueriesContext(connection) as captured:
            assert send(client, chat).status_code == 202
        return len(captured)

    without = queries()
    allow(user, per_message=amount - VIP_PRICE)
    assert queries() == without
