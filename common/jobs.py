"""Background work that must happen: an outbox row in the caller's transaction, handed to Celery after it.

A lost hand-over only makes the work late: the sweep finds every row whose time has come. A task may run
twice and must be harmless then.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerUnavailable

from common.db import transaction_required
from common.models import OutboxMessage

logger = structlog.get_logger("parlor.jobs")
_LEASE = timedelta(minutes=12)
_MAX_ATTEMPTS = 12
_KEEP_DONE = timedelta(days=7)
_KEEP_FAILED = timedelta(days=30)


def enqueue(task: str, *, key: str | None = None, **kwargs: Any) -> None:
    """Promise to run the Celery task `task` with `kwargs` (JSON values) after the current transaction.

    With `key` the same work is promised at most once. Raises TransactionRequired outside a transaction,
    since a promise that can be lost before its cause is saved is none.
    """
    transaction_required()
    message = OutboxMessage(
        task=task, kwargs=kwargs, key=key, available_at=timezone.now() + timedelta(seconds=5)
    )
    created = OutboxMessage.objects.bulk_create([message], ignore_conflicts=key is not None)
    transaction.on_commit(lambda: _hand_over(created[0].id), robust=True)


def promise(task: str, *, key: str, **kwargs: Any) -> None:
    """As `enqueue`, for a caller who runs it at once with `run_message`; the sweep does when they die."""
    transaction_required()
    soon = timezone.now() + timedelta(seconds=30)
    message = OutboxMessage(task=task, kwargs=kwargs, key=key, available_at=soon)
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)


def note_once(what: str, *, key: str) -> bool:
    """Note in the caller's transaction that something was done; False where that was noted before.

    For tasks that are not harmless when they run twice, such as mail. A note outlives every retry.
    """
    transaction_required()
    note = OutboxMessage(task=what, key=key, state=OutboxMessage.State.DONE)
    OutboxMessage.objects.bulk_create([note], ignore_conflicts=True)
    return OutboxMessage.objects.filter(id=note.id).exists()


def _hand_over(message_id: UUID) -> None:
    run = current_app.tasks["common.run_outbox_message"]
    try:
        run.apply_async(kwargs={"message_id": str(message_id)}, retry=False)
    except (BrokerUnavailable, OSError) as error:
        logger.warning("broker_unavailable", error=type(error).__name__)


def run_message(message_id: UUID) -> bool:
    """Run one promised task now; False where it is done, leased by another worker, or failed this time."""
    claimed = _claim("id = %s AND (attempts = 0 OR available_at <= now())", [message_id], limit=1)
    return bool(claimed) and _run(claimed[0])


def run_due_messages(limit: int = 100) -> int:
    """Run every promised task whose time has come; answers how many succeeded."""
    return sum(_run(message) for message in _claim("available_at <= now()", [], limit=limit))


def delete_old_messages() -> int:
    """Forget what was done, and what failed for good: its arguments may hold addresses and whole mails."""
    now = timezone.now()
    done = Q(state=OutboxMessage.State.DONE, created_at__lt=now - _KEEP_DONE)
    failed = Q(state=OutboxMessage.State.FAILED, created_at__lt=now - _KEEP_FAILED)
    return OutboxMessage.objects.filter(done | failed).delete()[0]


def delete_messages(task: str, *, holding: Iterable[dict[str, Any]]) -> int:
    """Forget promises of `task` whose arguments hold one of these pieces of JSON, for people who leave."""
    pieces = [Q(kwargs__contains=piece) for piece in holding]
    if not pieces:
        return 0
    return OutboxMessage.objects.filter(reduce(or_, pieces), task=task).delete()[0]


def _claim(condition: str, parameters: list[Any], *, limit: int) -> list[OutboxMessage]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE common_outboxmessage
               SET attempts = attempts + 1, available_at = now() + make_interval(secs => %s)
             WHERE id IN (SELECT id FROM common_outboxmessage
                           WHERE state = 'pending' AND {condition}
                           ORDER BY available_at LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING id
            """,  # noqa: S608 - the condition is one of two literals above
            [_LEASE.total_seconds(), *parameters, limit],
        )
        ids = [row[0] for row in cursor.fetchall()]
    return list(OutboxMessage.objects.filter(id__in=ids).order_by("created_at", "id"))


def _run(message: OutboxMessage) -> bool:
    task = current_app.tasks.get(message.task)
    try:
        if task is None:
            raise LookupError(f"no task named {message.task}")
        task(**message.kwargs)
    except Exception as error:
        logger.exception("outbox_task_failed", task=message.task, attempts=message.attempts)
        _postpone(message, f"{type(error).__name__}: {error}")
        return False
    if message.key is None:
        message.delete()
    else:
        OutboxMessage.objects.filter(id=message.id).update(state=OutboxMessage.State.DONE)
    return True


def _postpone(message: OutboxMessage, reason: str) -> None:
    given_up = message.attempts >= _MAX_ATTEMPTS
    OutboxMessage.objects.filter(id=message.id).update(
        state=OutboxMessage.State.FAILED if given_up else OutboxMessage.State.PENDING,
        available_at=timezone.now() + timedelta(seconds=min(2**message.attempts, 3600)),
        last_error=reason[:2000],
    )


def retry_failed_message(message_id: UUID) -> bool:
    """Give a task that was given up another round; for staff. False where it had not failed."""
    return bool(
        OutboxMessage.objects.filter(id=message_id, state=OutboxMessage.State.FAILED).update(
            state=OutboxMessage.State.PENDING, available_at=timezone.now(), attempts=0
        )
    )
