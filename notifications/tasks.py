from typing import Any

from celery import shared_task

from notifications.services import email


@shared_task(name="notifications.deliver_email")
def deliver_email(*, message: dict[str, Any], **kwargs: Any) -> None:
    email.deliver(message)
