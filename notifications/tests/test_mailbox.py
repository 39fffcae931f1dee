"""The development mailbox: everything that would be sent, readable in the browser, in debug only."""

import json
import re
from typing import Any

import pytest
from django.core.mail import EmailMessage, send_mail
from django.test import Client

from notifications.models import MailboxMessage
from notifications.services.email import send_email

MAILBOX = "/dev/mailbox/"


@pytest.fixture
def development(settings: Any) -> None:
    settings.DEBUG = True
    settings.MAILBOX_ENABLED = True
    settings.EMAIL_BACKEND = "notifications.mailbox.EmailBackend"


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_lists_messages_newest_first_as_json() -> None:
    send_email(to="ada@example.com", subject="First", body="one")
    send_email(to="eve@example.com", subject="Second", body="two", html="<p>two</p>")

    listed = Client().get(MAILBOX, {"format": "json"}).json()

    assert [message.pop("at")[-1] for message in listed] == ["Z", "Z"]
    assert listed == [
        {"channel": "email", "to": "eve@example.com", "subject": "Second", "body": "two"},
        {"channel": "email", "to": "ada@example.com", "subject": "First", "body": "one"},
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_a_newcomer_finds_the_link_that_proves_the_address_and_can_click_it() -> None:
    client = Client()
    client.post("/accounts/signup/", {"email": "ada@example.com", "password1": "a-fine-passphrase"})

    page = client.get(MAILBOX).content.decode()

    link = re.search(r'href="http://testserver(/accounts/confirm-email/[^"]+)"', page)
    assert link is not None
    assert client.get(link[1]).status_code == 200


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_shows_what_a_message_says_as_text() -> None:
    send_email(to="ada@example.com", subject="<script>alert(1)</script>", body="<img src=x onerror=alert(1)>")

    page = Client().get(MAILBOX).content.decode()

    assert "<script>alert(1)</script>" not in page
    assert "<img src=x" not in page


@pytest.mark.django_db
@pytest.mark.parametrize(("debug", "enabled"), [(False, True), (True, False), (False, False)])
def test_is_not_there_outside_debug(settings: Any, debug: bool, enabled: bool) -> None:
    settings.DEBUG, settings.MAILBOX_ENABLED = debug, enabled

    assert Client().get(MAILBOX).status_code == 404
    assert Client().get(MAILBOX, {"format": "json"}).status_code == 404


def test_production_refuses_to_start_with_it(settings: Any) -> None:
    from django.core.checks import run_checks

    settings.DEBUG, settings.MAILBOX_ENABLED = False, True

    assert "common.E002" in [message.id for message in run_checks()]


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_keeps_every_recipient() -> None:
    EmailMessage("Hello", "text", to=["a@example.com"], cc=["b@example.com"], bcc=["c@example.com"]).send()

    assert MailboxMessage.objects.get().to == "a@example.com, b@example.com, c@example.com"


@pytest.mark.django_db
@pytest.mark.usefixtures("development")
def test_takes_what_djangos_own_function_sends() -> None:
    assert send_mail("Hello", "text", None, ["a@example.com", "b@example.com"]) == 1
    assert json.loads(Client().get(MAILBOX, {"format": "json"}).content)[0]["subject"] == "Hello"
