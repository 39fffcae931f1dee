"""Mail of real installations: promised in the outbox, delivered by a task, tried again when it fails."""

from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import transaction

from common import jobs
from common.models import OutboxMessage
from notifications.services.email import pack, send_email


@pytest.fixture(autouse=True)
def _real_backend(settings: Any) -> None:
    settings.EMAIL_BACKEND = "notifications.outgoing.OutboxEmailBackend"
    settings.EMAIL_DELIVERY_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def run_outbox() -> int:
    OutboxMessage.objects.update(available_at="2020-01-01T00:00:00Z")
    return jobs.run_due_messages()


@pytest.mark.django_db
def test_a_mail_waits_in_the_outbox_and_is_delivered_whole() -> None:
    send_email(to="ada@example.com", subject="Hello", body="text", html="<p>text</p>")
    assert mail.outbox == []

    assert run_outbox() == 1

    sent = mail.outbox[0]
    assert (sent.to, sent.subject, sent.body) == (["ada@example.com"], "Hello", "text")
    assert [tuple(part) for part in sent.alternatives] == [("<p>text</p>", "text/html")]
    assert OutboxMessage.objects.count() == 0, "what was sent is not kept"


@pytest.mark.django_db
def test_headers_and_hidden_recipients_survive_the_outbox() -> None:
    EmailMessage(
        "Hello",
        "text",
        "me@example.com",
        ["a@example.com"],
        cc=["b@example.com"],
        bcc=["c@example.com"],
        reply_to=["d@example.com"],
        headers={"X-Kind": "receipt"},
    ).send()

    run_outbox()

    sent = mail.outbox[0]
    assert (sent.from_email, sent.cc, sent.bcc, sent.reply_to) == (
        "me@example.com",
        ["b@example.com"],
        ["c@example.com"],
        ["d@example.com"],
    )
    assert sent.extra_headers == {"X-Kind": "receipt"}


@pytest.mark.django_db
def test_nothing_is_promised_when_the_cause_is_rolled_back() -> None:
    with transaction.atomic():
        send_email(to="ada@example.com", subject="Hello", body="text")
        transaction.set_rollback(True)

    assert OutboxMessage.objects.count() == 0


@pytest.mark.django_db
def test_a_mail_server_that_is_down_delays_the_mail(settings: Any) -> None:
    settings.EMAIL_DELIVERY_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", 1, False
    send_email(to="ada@example.com", subject="Hello", body="text")

    assert run_outbox() == 0
    assert OutboxMessage.objects.get().attempts == 1
    settings.EMAIL_DELIVERY_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert run_outbox() == 1

    assert [message.subject for message in mail.outbox] == ["Hello"]


def test_attachments_do_not_enter_the_outbox() -> None:
    message = EmailMessage("Hello", "text", to=["a@example.com"])
    message.attach("a.txt", "text", "text/plain")

    with pytest.raises(ValueError, match="links"):
        pack(message)
