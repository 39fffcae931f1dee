from typing import Any

from celery import shared_task

from accounts.services import cleanup


@shared_task(name="accounts.delete_expired_rows")
def delete_expired_rows(**kwargs: Any) -> None:
    cleanup.delete_expired_rows()
