"""The development mailbox: messages are kept in the database and read at /dev/mailbox/."""

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from notifications.models import MailboxMessage


class EmailBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        MailboxMessage.objects.bulk_create(
            MailboxMessage(
                channel=MailboxMessage.Channel.EMAIL,
                to=", ".join(message.recipients()),
                subject=str(message.subject),
                body=str(message.body),
            )
            for message in email_messages
        )
        return len(email_messages)
