from typing import Any
from uuid import UUID

from celery import shared_task

from files.services import direct, orphans, scanning


@shared_task(name="files.scan_file")
def scan_file(*, file_id: str, **kwargs: Any) -> None:
    scanning.scan_file(file_id=UUID(file_id))


@shared_task(name="files.scan_waiting")
def scan_waiting(**kwargs: Any) -> None:
    scanning.scan_waiting()


@shared_task(name="files.end_expired_uploads")
def end_expired_uploads(**kwargs: Any) -> None:
    direct.end_expired()


@shared_task(name="files.clean_up")
def clean_up(**kwargs: Any) -> None:
    orphans.collect_orphans()
