from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from common import jobs
from common.models import IdempotentAnswer


@shared_task(name="common.run_outbox_message")
def run_outbox_message(*, message_id: str, **kwargs: Any) -> None:
    jobs.run_message(UUID(message_id))


@shared_task(name="common.sweep_outbox")
def sweep_outbox(**kwargs: Any) -> None:
    jobs.run_due_messages()


@shared_task(name="common.delete_old_rows")
def delete_old_rows(**kwargs: Any) -> None:
    jobs.delete_old_messages()
    IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
