"""Mails on their way and the development mailbox know people by their address or number."""

from collections.abc import Iterator
from uuid import UUID

from accounts import privacy
from accounts.models import User
from accounts.privacy import Part, Section, register
from accounts.selectors import list_addresses
from common import jobs
from notifications.models import MailboxMessage


def register_part() -> None:
    register(Part("notifications", _export, _erase))


def _export(user_id: UUID) -> Iterator[Section]:
    kept = MailboxMessage.objects.filter(to__in=_names(user_id)).order_by("id")
    yield Section("notifications/mailbox.json", kept.values("channel", "to", "subject", "body", "created_at"))


def _erase(user_id: UUID) -> None:
    names = _names(user_id)
    MailboxMessage.objects.filter(to__in=names).delete()
    received = [{field: [name]} for name in names for field in ("to", "cc", "bcc")]
    jobs.delete_messages("notifications.deliver_email", holding=[{"message": mail} for mail in received])


def _names(user_id: UUID) -> list[str]:
    user = User.objects.get(id=user_id)
    addresses = list_addresses(user_id).values_list("email", flat=True)
    return [name for name in (user.email, *privacy.numbers_of(user), *addresses) if name]
