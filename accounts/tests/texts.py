"""Reading texts as their receiver would."""

import re
from typing import Any

from django.test import Client


def use_mailbox(settings: Any) -> None:
    settings.SMS_BACKEND = "notifications.sms.MAILBOX"
    settings.MAILBOX_ENABLED = True
    settings.DEBUG = True


def texts_to(number: str) -> list[str]:
    """The texts to a number, newest first, from the development mailbox."""
    messages = Client().get("/dev/mailbox/?format=json").json()
    return [message["body"] for message in messages if (message["channel"], message["to"]) == ("sms", number)]


def code_in(body: str) -> str:
    found = re.search(r"\b(\d{6})\b", body)
    assert found is not None, body
    return found[1]


def other_code(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"
