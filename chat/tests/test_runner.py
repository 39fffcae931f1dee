"""Runners: they share the work, keep their leases, end well, and clean up after each other."""

import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ai.testing.fake_provider import Behaviour
from billing.models import Hold
from billing.services.checks import check_ledger
from chat import tasks
from chat.models import Generation, Message
from chat.runner import embedded
from chat.services import leases, settlement
from chat.services.settlement import Ending
from chat.tests.factories import in_parallel, make_chat, make_talker, new_id, wait_until
from chat.tests.live import text_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _ledger_stays_right():
    yield
    assert check_ledger().results == {}


@pytest.fixture
def queue(api_client):
    user = make_talker()
    client = api_client(user)

    def queue_replies(count=1):
        ids = []
        for _ in range(count):
            response = client.post(
                f"/api/v1/chat/sessions/{make_chat(user).id}/messages/",
                {"content": "Hello", "client_id": new_id()},
            )
            ids.append(response.json()["generation"]["id"])
        return ids

    return queue_replies


def test_two_runners_never_get_the_same_generation(queue):
    ids = queue(12)

    claims = in_parallel(lambda number: leases.claim(owner=f"r{number}", limit=5), range(6), threads=6)

    claimed = [str(job.generation_id) for jobs in claims for job in jobs]
    assert sorted(claimed) == sorted(ids)
    assert leases.claim(owner="late", limit=5) == []


def test_the_oldest_are_taken_first(queue):
    ids = queue(5)

    assert [str(job.generation_id) for job in leases.claim(owner="me", limit=3)] == ids[:3]


def test_what_was_queued_while_no_runner_ran_is_answered_when_one_starts(queue, runner, fake_provider):
    runner.stop()
    ids = queue(3)
    runner.start()

    wait_until(lambda: Generation.objects.filter(status="complete").count() == 3)

    assert len(ids) == len(fake_provider.requests) == 3


def test_a_runner_takes_no_more_than_its_capacity(queue, runner, fake_provider, settings):
    settings.CHAT_RUNNER_CAPACITY = 2
    fake_provider.default = Behaviour(first_delay=1)
    runner.restart()
    queue(5)

    wait_until(lambda: len(fake_provider.requests) == 2)
    time.sleep(0.3)
    assert Generation.objects.filter(status="streaming").count() == 2
    assert Generation.objects.filter(status="queued").count() == 3
    wait_until(lambda: Generation.objects.filter(status="complete").count() == 5)


def test_f2_a_dead_runners_text_is_kept_and_settled_and_can_be_continued(
    queue, runner, api_client, fake_provider
):
    runner.stop()
    (generation_id,) = queue()
    leases.claim(owner="dead", limit=1)
    leases.save_progress(
        owner="dead", rows=[leases.Progress(Generation.objects.get().id, "Once upon a time", (5, 11))]
    )
    Generation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    runner.start()

    wait_until(lambda: Generation.objects.get(id=generation_id).status == "interrupted")

    generation = Generation.objects.select_related("reply", "user").get(id=generation_id)
    assert generation.reply.content == "Once upon a time"
    assert generation.reply.status == "interrupted"
    assert generation.charge == 0
    assert Hold.objects.get().state == "released"
    fake_provider.default = Behaviour(text=" there was a queen.")
    response = api_client(generation.user).post(
        f"/api/v1/chat/messages/{generation.reply_id}/continue/", {"client_id": "go on"}
    )
    assert response.status_code == 202
    wait_until(lambda: Generation.objects.filter(status="complete").exists())
    assert Message.objects.get(id=generation.reply_id).content == "Once upon a time there was a queen."


def test_celery_finds_abandoned_replies_too(queue):
    (generation_id,) = queue()
    leases.claim(owner="dead", limit=1)
    Generation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    tasks.reap_generations()
    tasks.reap_generations()

    generation = Generation.objects.get(id=generation_id)
    assert (generation.status, generation.code) == ("interrupted", "interrupted")
    assert Hold.objects.get().state == "released"


def test_a_reply_nobody_takes_is_given_up_unpaid(queue):
    queue()
    Generation.objects.update(created_at=timezone.now() - timedelta(minutes=6))

    tasks.reap_generations()

    generation = Generation.objects.get()
    assert (generation.status, generation.code) == ("interrupted", "not_started")
    assert Hold.objects.get().state == "released"


def test_a_living_lease_is_left_alone(queue):
    queue()
    leases.claim(owner="alive", limit=1)

    tasks.reap_generations()

    assert Generation.objects.get().status == "streaming"


def test_a_runner_that_lost_its_lease_writes_nothing_more(queue):
    (generation_id,) = queue()
    (job,) = leases.claim(owner="slow", limit=1)
    Generation.objects.update(lease_owner="somebody else")
    progress = leases.Progress(job.generation_id, "mine", (4,))
    result = leases.Result("complete", "", "echo", 1, 1, 0)

    assert leases.save_progress(owner="slow", rows=[progress]) == {}
    assert leases.save_result(owner="slow", progress=progress, result=result, receipt="{}") is False
    assert leases.renew(owner="slow") == {}
    ended = settlement.settle_generation(
        generation_id=job.generation_id, ending=Ending("complete"), owner="slow"
    )

    assert ended is None
    assert Generation.objects.get(id=generation_id).status == "streaming"
    assert Message.objects.get(id=job.reply_id).content == ""


def test_an_older_save_never_overwrites_a_newer_one(queue):
    queue()
    (job,) = leases.claim(owner="me", limit=1)
    leases.save_progress(owner="me", rows=[leases.Progress(job.generation_id, "Hello you", (5, 4))])

    leases.save_progress(owner="me", rows=[leases.Progress(job.generation_id, "Hello", (5,))])

    assert Message.objects.get(id=job.reply_id).content == "Hello you"
    assert Generation.objects.get().delta_lengths == [5, 4]


def test_a_lost_lease_closes_the_provider(device, fake_provider):
    fake_provider.default = Behaviour(tokens=3_000, rate=60)
    user = make_talker()
    client = device(user)
    sent = client.send(make_chat(user).id, "Hello", "one")
    wait_until(lambda: Message.objects.get(id=sent["reply"]["id"]).content)

    Generation.objects.update(lease_owner="somebody else")

    wait_until(lambda: fake_provider.requests[0].closed_by_client, 4)
    Generation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.reap_generations()
    assert client.wait(sent["generation"]["id"])["status"] == "interrupted"


def test_the_text_is_saved_about_once_a_second_while_it_grows(device, fake_provider):
    fake_provider.default = Behaviour(tokens=150, rate=60)
    user = make_talker()
    client = device(user)
    sent = client.send(make_chat(user).id, "Hello", "one")
    seen = set()

    while client.get(f"chat/generations/{sent['generation']['id']}/").json()["status"] != "complete":
        seen.add(Message.objects.get(id=sent["reply"]["id"]).content)
        time.sleep(0.05)

    assert 2 <= len(seen) <= 6


def test_f3_draining_lets_short_replies_end_and_saves_long_ones(device, live, fake_provider):
    fake_provider.queue(Behaviour(tokens=40, rate=60), Behaviour(tokens=3_000, rate=60))
    user = make_talker()
    client = device(user)
    short = client.send(make_chat(user).id, "Hello", "one")
    wait_until(lambda: len(fake_provider.requests) == 1)
    long = client.stream(make_chat(user).id, "Hello", "two")
    wait_until(lambda: len(fake_provider.requests) == 2)

    live.call(embedded.drain(1.5))
    late = client.send(make_chat(user).id, "Hello", "three")

    events = list(long)
    assert events[-1]["type"] == "generation.interrupted"
    assert events[-1]["charge"] == {"credits": "0"}
    assert text_of(events) == events[-1]["message"]["content"] != ""
    assert client.wait(short["generation"]["id"])["status"] == "complete"
    assert fake_provider.requests[1].closed_by_client
    time.sleep(0.5)
    assert Generation.objects.get(id=late["generation"]["id"]).status == "queued"


def test_a_runner_of_its_own_needs_redis():
    with pytest.raises(CommandError, match="REDIS_URL"):
        call_command("run_generations")
