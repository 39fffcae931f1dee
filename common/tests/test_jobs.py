from datetime import timedelta

import pytest
from celery import shared_task
from django.db import connection, transaction
from django.utils import timezone

from common import jobs
from common.db import TransactionRequired
from common.models import OutboxMessage

pytestmark = pytest.mark.django_db(transaction=True)
ran: list[str] = []


@shared_task(name="common.tests.note")
def note(*, text: str, **kwargs: object) -> None:
    if text == "fail":
        raise ValueError("no")
    ran.append(text)


@pytest.fixture(autouse=True)
def _empty() -> None:
    ran.clear()


def test_runs_after_the_transaction_commits() -> None:
    with transaction.atomic():
        jobs.enqueue("common.tests.note", text="a")
        assert ran == []
    assert ran == ["a"]
    assert OutboxMessage.objects.count() == 0


def test_nothing_is_promised_when_the_transaction_rolls_back() -> None:
    with transaction.atomic():
        jobs.enqueue("common.tests.note", text="a")
        transaction.set_rollback(True)
    assert ran == []
    assert OutboxMessage.objects.count() == 0


def test_refuses_to_promise_outside_a_transaction() -> None:
    with pytest.raises(TransactionRequired):
        jobs.enqueue("common.tests.note", text="a")


def test_a_key_is_promised_once() -> None:
    for _ in range(2):
        with transaction.atomic():
            jobs.enqueue("common.tests.note", key="k", text="a")
    assert ran == ["a"]
    assert OutboxMessage.objects.get().state == OutboxMessage.State.DONE


def test_a_failed_task_is_tried_again_by_the_sweep() -> None:
    with transaction.atomic():
        jobs.enqueue("common.tests.note", text="fail")
    message = OutboxMessage.objects.get()
    assert (message.attempts, message.last_error) == (1, "ValueError: no")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_outboxmessage"
            " SET available_at = now() - interval '1 s', kwargs = jsonb_build_object('text', 'b')"
        )
    assert jobs.run_due_messages() == 1
    assert ran == ["b"]


def test_a_message_lost_on_the_way_to_the_broker_is_found_by_the_sweep() -> None:
    OutboxMessage.objects.create(task="common.tests.note", kwargs={"text": "late"})
    assert jobs.run_due_messages() == 1
    assert ran == ["late"]


def test_what_failed_is_forgotten_after_thirty_days_and_what_waits_is_not() -> None:
    for days in (31, 29):
        for state in OutboxMessage.State:
            OutboxMessage.objects.create(
                task="common.tests.note", state=state, created_at=timezone.now() - timedelta(days=days)
            )

    assert jobs.delete_old_messages() == 3
    kept = OutboxMessage.objects.order_by("created_at", "id").values_list("state", flat=True)
    assert list(kept) == ["pending", "pending", "failed"]


def test_promises_are_forgotten_by_what_their_arguments_hold() -> None:
    for to in ("ada", "bob"):
        OutboxMessage.objects.create(task="common.tests.note", kwargs={"message": {"to": [to, "eve"]}})
    OutboxMessage.objects.create(task="another.task", kwargs={"message": {"to": ["ada"]}})

    assert jobs.delete_messages("common.tests.note", holding=[]) == 0
    assert jobs.delete_messages("common.tests.note", holding=[{"message": {"to": ["ada"]}}]) == 1
    left = OutboxMessage.objects.filter(task="common.tests.note").get()
    assert left.kwargs == {"message": {"to": ["bob", "eve"]}}
