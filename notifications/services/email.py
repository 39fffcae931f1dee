from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.message import EmailMessage


def send_email(*, to: str, subject: str, body: str, html: str = "") -> None:
    """Send a mail through the installation's backend: the mailbox in development, else the outbox.

    Never waits for a mail server. The promise belongs to the caller's transaction.
    """
    message = EmailMultiAlternatives(subject=subject, body=body, to=[to])
    if html:
        message.attach_alternative(html, "text/html")
    message.send()


def pack(message: EmailMessage) -> dict[str, Any]:
    """A mail as JSON values. Raises ValueError for attachments, which do not belong into the outbox."""
    if message.attachments:
        raise ValueError("Mails of the outbox carry links instead of attachments.")
    return {
        "subject": str(message.subject),
        "body": str(message.body),
        "subtype": message.content_subtype,
        "from": message.from_email,
        "to": list(message.to),
        "cc": list(message.cc),
        "bcc": list(message.bcc),
        "reply_to": list(message.reply_to),
        "headers": {name: str(value) for name, value in message.extra_headers.items()},
        "alternatives": [[str(content), kind] for content, kind in getattr(message, "alternatives", [])],
    }


def deliver(packed: dict[str, Any]) -> None:
    """Hand a packed mail to the mail server. A failure is raised as it came, and the outbox tries again."""
    message = EmailMultiAlternatives(
        subject=packed["subject"],
        body=packed["body"],
        from_email=packed["from"],
        to=packed["to"],
        cc=packed["cc"],
        bcc=packed["bcc"],
        reply_to=packed["reply_to"],
        headers=packed["headers"],
        connection=get_connection(settings.EMAIL_DELIVERY_BACKEND),
    )
    message.content_subtype = packed["subtype"]
    for content, kind in packed["alternatives"]:
        message.attach_alternative(content, kind)
    message.send()
