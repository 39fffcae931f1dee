"""What a reply costs by the way it goes, seen from the wallet."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from ai.models import ModelCall
from ai.testing.fake_provider import Behaviour
from billing.models import Hold, LedgerTransaction, Tier
from billing.selectors import get_wallet
from billing.services.checks import check_ledger
from billing.services.holds import expire_holds
from chat import policy
from chat.models import Generation, Message
from chat.services import leases, settlement
from chat.services.settlement import Ending
from chat.tests.factories import in_parallel, leave_exactly, make_chat, make_talker, new_id, wait_until
from common.credits import format_credits

pytestmark = pytest.mark.django_db(transaction=True)

VIP_DAY = 500_000_000
VIP_PRICE = 50


@pytest.fixture(autouse=True)
def _ledger_stays_right():
    yield
    assert check_ledger().results == {}


def charge_of(user):
    """Everything the user ever paid, in microcredits."""
    paid = LedgerTransaction.objects.filter(wallet_id=user.pk, kind="charge")
    return -sum(transaction.amount for transaction in paid)


def hold_of_one_message(device, user):
    """What one message reserves, learnt by sending one."""
    client = device(user)
    body = client.send(make_chat(user).id, "Hello", new_id())
    held = Hold.objects.get(id=Generation.objects.get(id=body["generation"]["id"]).hold_id)
    client.wait(body["generation"]["id"])
    return held.amount


def test_a_reply_costs_its_tokens_at_the_price_of_the_tier(device):
    user = make_talker()
    client = device(user)

    end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])

    usage = end["usage"]
    price = (usage["input_tokens"] + usage["output_tokens"]) * VIP_PRICE
    assert end["charge"] == {"credits": format_credits(price)}
    assert end["message"]["usage"] == {**usage, "credits": format_credits(price)}
    assert charge_of(user) == price
    wallet = get_wallet(user.pk)
    assert (wallet.available, wallet.held) == (VIP_DAY - price, 0)
    call = ModelCall.objects.get()
    assert (call.input_tokens, call.output_tokens) == (usage["input_tokens"], usage["output_tokens"])
    assert call.reference == f"generation:{end['id']}"


def test_m1_fifty_parallel_messages_with_credits_for_one(device, fake_provider):
    user = make_talker()
    amount = hold_of_one_message(device, user)
    leave_exactly(user, amount)
    fake_provider.requests.clear()
    fake_provider.default = Behaviour(first_delay=3)
    client = device(user)
    chats = [make_chat(user) for _ in range(50)]

    def send(chat):
        return client.post(f"chat/sessions/{chat.id}/messages/", {"content": "Hello", "client_id": new_id()})

    responses = in_parallel(send, chats)

    assert sorted(response.status_code for response in responses) == [202] + [402] * 49
    assert {r.json()["code"] for r in responses if r.status_code == 402} == {"insufficient_credits"}
    started = next(r for r in responses if r.status_code == 202).json()
    client.wait(started["generation"]["id"])
    assert len(fake_provider.requests) == 1
    assert get_wallet(user.pk).available >= 0


def test_m2_the_same_over_every_face_at_once(device, fake_provider):
    user = make_talker()
    amount = hold_of_one_message(device, user)
    leave_exactly(user, amount)
    fake_provider.requests.clear()
    fake_provider.default = Behaviour(first_delay=2)
    client = device(user)
    refused, started = [], []

    def by_socket(chat):
        with client.socket(chat.id) as socket:
            socket.receive()
            socket.send("message.send", client_id="one", content="Hello")
            event = socket.receive()
            (refused if event["type"] == "error" else started).append(event.get("status"))

    def by_rest(chat):
        response = client.post(f"chat/sessions/{chat.id}/messages/", {"content": "Hello", "client_id": "one"})
        (refused if response.status_code == 402 else started).append(response.status_code)

    def by_sse(chat):
        stream = client.stream(chat.id, "Hello", "one")
        (refused if stream.status == 402 else started).append(stream.status)
        stream.close()

    work = [(way, make_chat(user)) for way in (by_socket, by_rest, by_sse) for _ in range(6)]
    in_parallel(lambda item: item[0](item[1]), work, threads=9)

    assert refused == [402] * 17
    assert len(started) == 1
    client.wait(str(Generation.objects.latest("created_at").id))
    assert len(fake_provider.requests) == 1
    assert get_wallet(user.pk).available >= 0


def test_m11_usage_above_the_hold_is_capped_at_the_hold(device, fake_provider):
    user = make_talker()
    client = device(user)
    Tier.objects.filter(slug="vip").update(max_output_tokens=5)
    # Words of one letter: the provider counts each as a token, which our estimate does not.
    text = "a " * 9_000
    end = client.wait(client.send(make_chat(user).id, text, "one")["generation"]["id"])

    hold = Hold.objects.get()
    assert hold.captured == hold.amount == charge_of(user)
    assert end["charge"] == {"credits": format_credits(hold.amount)}
    used = (end["usage"]["input_tokens"] + end["usage"]["output_tokens"]) * VIP_PRICE
    assert hold.written_off == used - hold.amount > 0


@pytest.mark.parametrize("usage", ["none", "negative", "huge", "nan"])
def test_m12_absurd_usage_is_replaced_by_our_own_count(device, fake_provider, usage):
    fake_provider.default = Behaviour(tokens=40, usage=usage)
    user = make_talker()
    client = device(user)

    end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])

    text = end["message"]["content"]
    assert end["status"] == "complete"
    assert len(text) / 6 < end["usage"]["output_tokens"] < len(text) / 2
    assert 50 < end["usage"]["input_tokens"] < 400
    assert charge_of(user) == (end["usage"]["input_tokens"] + end["usage"]["output_tokens"]) * VIP_PRICE


def test_m13_a_price_changed_in_mid_stream_does_not_reach_the_reply(device, fake_provider):
    fake_provider.default = Behaviour(tokens=10, first_delay=0.5)
    user = make_talker()
    client = device(user)
    generation_id = client.send(make_chat(user).id, "Hello", "one")["generation"]["id"]
    Tier.objects.filter(slug="vip").update(token_price=999)

    end = client.wait(generation_id)

    assert charge_of(user) == (end["usage"]["input_tokens"] + 10) * VIP_PRICE


def test_m14_stop_charges_what_was_received_and_returns_the_rest(device, fake_provider):
    fake_provider.default = Behaviour(tokens=400, rate=50)
    user = make_talker()
    chat = make_chat(user)
    client = device(user)

    with client.socket(chat.id) as socket:
        socket.receive()
        socket.send("message.send", client_id="one", content="Hello")
        events = socket.until("generation.delta")
        while len([event for event in events if event["type"] == "generation.delta"]) < 10:
            events.append(socket.receive())
        socket.send("generation.stop", generation_id=events[-1]["generation_id"])
        events += socket.until("generation.stopped")

    end = events[-1]
    text = "".join(event["text"] for event in events if event["type"] == "generation.delta")
    assert end["code"] == "stopped"
    assert end["message"]["content"] == text
    assert end["message"]["status"] == "stopped"
    assert end["detail"] == policy.detail_for(policy.STOPPED)
    usage = end["usage"]
    words = text.count("word")
    assert words <= usage["output_tokens"] <= 2 * words + 2
    assert charge_of(user) == (usage["input_tokens"] + usage["output_tokens"]) * VIP_PRICE
    wallet = get_wallet(user.pk)
    assert (wallet.available, wallet.held) == (VIP_DAY - charge_of(user), 0)
    assert end["wallet"] == {"available": format_credits(wallet.available)}


def test_m14_credits_about_to_be_paid_cannot_be_spent_again(device, fake_provider):
    user = make_talker()
    amount = hold_of_one_message(device, user)
    leave_exactly(user, amount + amount // 2)
    fake_provider.default = Behaviour(tokens=100, rate=50)
    client = device(user)
    first = client.send(make_chat(user).id, "Hello", "one")

    refused = client.post(
        f"chat/sessions/{make_chat(user).id}/messages/", {"content": "x", "client_id": "two"}
    )

    assert refused.status_code == 402
    client.post(f"chat/generations/{first['generation']['id']}/stop/")
    client.wait(first["generation"]["id"])


def test_m16_a_failure_before_the_first_word_costs_nothing(device, fake_provider):
    fake_provider.default = Behaviour("error_status", status=400)
    user = make_talker()
    client = device(user)

    end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])

    assert end["status"] == "failed"
    assert end["message"]["status"] == "failed"
    assert end["message"]["code"] == "provider_unavailable"
    assert "Nothing was charged" in end["message"]["detail"]
    assert end["charge"] == {"credits": "0"}
    assert charge_of(user) == 0
    assert Hold.objects.get().state == "released"
    assert get_wallet(user.pk).available == VIP_DAY


def test_m16_a_failure_after_some_words_keeps_them_and_costs_nothing(device, fake_provider):
    fake_provider.default = Behaviour("truncated", after=5)
    user = make_talker()
    client = device(user)

    end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])

    assert end["status"] == "failed"
    assert end["message"]["content"] == "word0 word1 word2 word3 word4 "
    assert "Nothing was charged" in end["message"]["detail"]
    assert charge_of(user) == 0
    assert get_wallet(user.pk).available == VIP_DAY
    assert ModelCall.objects.get().output_tokens > 0


def test_a_refusal_of_the_model_is_blocked_and_free(device, fake_provider):
    fake_provider.default = Behaviour(tokens=3, finish="refused")
    user = make_talker()
    client = device(user)

    end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])

    assert end["status"] == "blocked"
    assert end["message"]["code"] == "content_blocked"
    assert charge_of(user) == 0


def test_a_reply_cut_at_its_longest_is_complete_and_says_so(device, fake_provider):
    fake_provider.default = Behaviour(tokens=8, finish="length")
    user = make_talker()
    client = device(user)

    end = client.wait(client.send(make_chat(user).id, "Hello", "one")["generation"]["id"])

    assert end["status"] == "complete"
    assert end["message"]["code"] == "length"
    assert charge_of(user) == (end["usage"]["input_tokens"] + 8) * VIP_PRICE


def test_m17_replies_broken_off_unpaid_are_bounded(api_client, settings):
    settings.CHAT_UNPAID_REPLIES_PER_HOUR = 3
    user = make_talker()
    client = api_client(user)
    chat = make_chat(user)
    statuses = []
    for number in range(4):
        response = client.post(
            f"/api/v1/chat/sessions/{chat.id}/messages/", {"content": "Hi", "client_id": str(number)}
        )
        statuses.append(response.status_code)
        if response.status_code == 202:
            client.post(f"/api/v1/chat/generations/{response.json()['generation']['id']}/stop/")

    assert statuses == [202, 202, 202, 429]
    assert get_wallet(user.pk).available == VIP_DAY


def test_m18_a_retry_after_a_transport_error_uses_the_same_hold(device, fake_provider):
    fake_provider.default = Behaviour(first_delay=0.5)
    user = make_talker()
    chat = make_chat(user)
    client = device(user)
    stream = client.stream(chat.id, "Hello", "one")
    stream.close()

    events = list(client.stream(chat.id, "Hello", "one"))

    assert events[-1]["type"] == "generation.completed"
    assert Hold.objects.count() == 1
    assert len(fake_provider.requests) == 1
    assert charge_of(user) == Generation.objects.get().charge


def test_the_days_messages_are_limited_and_the_limit_is_named(api_client, settings):
    Tier.objects.filter(slug="free").update(requests_per_minute=100)
    user = make_talker(tier="free")
    client = api_client(user)

    responses = []
    for _ in range(11):
        chat = make_chat(user)
        response = client.post(
            f"/api/v1/chat/sessions/{chat.id}/messages/", {"content": "Hi", "client_id": new_id()}
        )
        responses.append(response)
        if response.status_code == 202:
            client.post(f"/api/v1/chat/generations/{response.json()['generation']['id']}/stop/")

    assert [response.status_code for response in responses] == [202] * 10 + [403]
    assert responses[-1].json()["code"] == "limit_reached"
    assert (responses[-1].json()["limit"], responses[-1].json()["used"]) == (10, 10)


# --- Crashes, told by what they leave in the database ----------------------------------------------


def queue_reply(api_client):
    user = make_talker()
    chat = make_chat(user)
    body = api_client(user).post(
        f"/api/v1/chat/sessions/{chat.id}/messages/", {"content": "Hello", "client_id": "one"}
    )
    return user, Generation.objects.get(id=body.json()["generation"]["id"])


def let_lease_run_out():
    Generation.objects.update(lease_until="2020-01-01T00:00Z")


def test_m6_a_runner_that_dies_before_the_call_costs_nothing(api_client, runner):
    runner.stop()
    user, generation = queue_reply(api_client)
    assert len(leases.claim(owner="dead", limit=5)) == 1
    let_lease_run_out()
    runner.restart()

    wait_until(lambda: Generation.objects.get().status == "interrupted")

    generation.refresh_from_db()
    message = Message.objects.get(id=generation.reply_id)
    assert (message.status, message.code, message.content) == ("interrupted", "interrupted", "")
    assert "Nothing was charged" in policy.detail_for(message.code)
    assert charge_of(user) == 0
    assert Hold.objects.get().state == "released"


def test_m7_a_runner_that_dies_before_settling_is_captured_once_from_what_it_saved(api_client, runner):
    runner.stop()
    user, generation = queue_reply(api_client)
    leases.claim(owner="dead", limit=5)
    assert leases.save_result(
        owner="dead",
        progress=leases.Progress(generation.id, "Hello you", (5, 4)),
        result=leases.Result("complete", "", "echo", input_tokens=70, output_tokens=4, cached_tokens=0),
        receipt="{}",
    )
    let_lease_run_out()
    runner.restart()

    wait_until(lambda: Generation.objects.get().status == "complete")

    generation.refresh_from_db()
    assert generation.charge == 74 * VIP_PRICE
    assert charge_of(user) == 74 * VIP_PRICE
    assert Message.objects.get(id=generation.reply_id).content == "Hello you"
    assert LedgerTransaction.objects.filter(kind="charge").count() == 1


def test_m9_m15_of_many_ends_at_once_exactly_one_wins(api_client):
    for _ in range(12):
        user, generation = queue_reply(api_client)
        leases.claim(owner="me", limit=5)
        leases.save_result(
            owner="me",
            progress=leases.Progress(generation.id, "Hi", (2,)),
            result=leases.Result("complete", "", "echo", input_tokens=10, output_tokens=1, cached_tokens=0),
            receipt="{}",
        )
        start = threading.Barrier(6)

        def end(status, generation=generation, start=start):
            start.wait()
            return settlement.settle_generation(generation_id=generation.id, ending=Ending(status))

        results = in_parallel(
            end, ["complete", "stopped", "failed", "interrupted", "complete", "stopped"], threads=6
        )

        won = [result for result in results if result is not None]
        assert len(won) == 1
        generation.refresh_from_db()
        assert generation.status == won[0].generation.status
        assert charge_of(user) == (11 * VIP_PRICE if generation.status in ("complete", "stopped") else 0)
        assert Hold.objects.get(id=generation.hold_id).state in ("captured", "released")


def test_m10_a_hold_that_expired_first_is_written_off(api_client):
    user, generation = queue_reply(api_client)
    leases.claim(owner="me", limit=5)
    leases.save_result(
        owner="me",
        progress=leases.Progress(generation.id, "Hi", (2,)),
        result=leases.Result("complete", "", "echo", input_tokens=10, output_tokens=1, cached_tokens=0),
        receipt="{}",
    )
    assert expire_holds(now=timezone.now() + timedelta(hours=1)) == 1

    settled = settlement.settle_generation(generation_id=generation.id, ending=Ending("complete"))

    assert settled is not None
    generation.refresh_from_db()
    assert (generation.status, generation.charge) == ("complete", 0)
    assert charge_of(user) == 0
    assert get_wallet(user.pk).available == VIP_DAY
