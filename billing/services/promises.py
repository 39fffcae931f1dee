"""Promises about money that were given up: a store may be away longer than the outbox tries."""

from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from billing import database
from billing.services import mails
from common import jobs
from common.models import OutboxMessage

logger = structlog.get_logger("parlor.billing")

# Somebody pays or waits for money until these are kept.
TASKS = (
    "billing.end_at_google",
    "billing.end_at_store",
    "billing.end_beside_lifetime",
    "billing.forget_customer",
    "billing.send_refund",
)
# As long as the outbox keeps what failed.
KEPT_FOR = timedelta(days=30)


def retry_money_promises(*, now: datetime | None = None) -> int:
    """Give every promise about money that was given up another round; staff hear of it once a day.

    Answers how many there were.
    """
    moment = now or timezone.now()
    failed = OutboxMessage.objects.filter(
        task__in=TASKS, state=OutboxMessage.State.FAILED, created_at__gt=moment - KEPT_FOR
    )
    given_up = list(failed.order_by("created_at", "id"))
    if given_up:
        mails.tell_staff_of_promises(given_up, day=timezone.localdate(moment))
    for message in given_up:
        database.atomically(lambda message=message: jobs.retry_failed_message(message.id))  # type: ignore[misc]
    logger.info("money_promises_retried", count=len(given_up))
    return len(given_up)
