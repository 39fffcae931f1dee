from typing import Any
from uuid import UUID

from celery import shared_task

from accounts.services import cleanup, erasures, exports, texts


@shared_task(name="accounts.delete_expired_rows")
def delete_expired_rows(**kwargs: Any) -> None:
    cleanup.delete_expired_rows()


@shared_task(name="accounts.deliver_text")
def deliver_text(*, message_id: str, number: str, body: str, **kwargs: Any) -> None:
    texts.deliver(message_id=UUID(message_id), number=number, body=body)


@shared_task(name="accounts.check_text_conversion")
def check_text_conversion(**kwargs: Any) -> None:
    texts.check_conversion()


@shared_task(name="accounts.warn_of_texts")
def warn_of_texts(*, hour: str, sent: int, used: int, **kwargs: Any) -> None:
    texts.warn_staff(hour=hour, sent=sent, used=used)


@shared_task(name="accounts.make_export")
def make_export(*, export_id: str, **kwargs: Any) -> None:
    exports.make_export(export_id=UUID(export_id))


@shared_task(name="accounts.expire_exports")
def expire_exports(**kwargs: Any) -> None:
    exports.expire_exports()


@shared_task(name="accounts.erase_due_accounts")
def erase_due_accounts(**kwargs: Any) -> None:
    erasures.erase_due_accounts()
