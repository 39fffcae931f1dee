"""The development mailbox is the only place here that knows people, by their address or number."""

from collections.abc import Iterator
from uuid import UUID

from accounts.models import User
from accounts.privacy import Part, Section, register
from accounts.selectors import list_addresses
from notifications.models import MailboxMessage


def register_part() -> None:
    register(Part("notifications", _export, _erase))


def _export(user_id: UUID) -> Iterator[Section]:
    kept = MailboxMessage.objects.filter(to__in=_names(user_id)).order_by("id")
    yield Section("notifications/mailbox.json", kept.values("channel", "to", "subject", "body", "created_at"))


def _erase(user_id: UUID) -> None:
    MailboxMessage.objects.filter(to__in=_names(user_id)).delete()


def _names(user_id: UUID) -> list[str]:
    user = User.objects.get(id=user_id)
    addresses = list_addresses(user_id).values_list("email", flat=True)
    return [name for name in (user.email, user.phone, *addresses) if name]
