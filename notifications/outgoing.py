"""The mail backend of real installations: whoever sends mail only writes a promise into the outbox.

So a mail server that is down delays mail, and never fails a sign-up.
"""

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction

from common.jobs import enqueue
from notifications.services import email


class OutboxEmailBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        with transaction.atomic():
            for message in email_messages:
                enqueue("notifications.deliver_email", message=email.pack(message))
        return len(email_messages)
