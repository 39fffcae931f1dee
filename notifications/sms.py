"""The ways a text message leaves: Twilio, the development mailbox, or none.

`settings.SMS_BACKEND` names one of the backends below.
"""

import requests
from django.conf import settings

from accounts.services.texts import Backend
from notifications.models import MailboxMessage

_TIMEOUT_SECONDS = (5, 10)


class SmsFailed(Exception):
    """The provider did not take a text; `code` is its own number for the reason."""

    def __init__(self, status: int, code: int | None) -> None:
        super().__init__(f"the provider answered {status}, code {code}")
        self.status = status
        self.code = code


def _send_by_twilio(to: str, body: str) -> None:
    """`POST /2010-04-01/Accounts/{sid}/Messages.json` with To, From and Body, as Twilio documents it."""
    account = settings.TWILIO_ACCOUNT_SID
    response = requests.post(
        f"{settings.TWILIO_BASE_URL}/2010-04-01/Accounts/{account}/Messages.json",
        data={"To": to, "From": settings.TWILIO_FROM, "Body": body},
        auth=(account, settings.TWILIO_AUTH_TOKEN),
        timeout=_TIMEOUT_SECONDS,
        allow_redirects=False,
    )
    if response.status_code != 201:
        raise SmsFailed(response.status_code, _error_code(response))


def _error_code(response: requests.Response) -> int | None:
    try:
        code = response.json()["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, int) else None


def _keep_in_mailbox(to: str, body: str) -> None:
    MailboxMessage.objects.create(channel=MailboxMessage.Channel.SMS, to=to, body=body)


def _refuse(to: str, body: str) -> None:
    raise RuntimeError("text messages are not set up")


TWILIO = Backend(send=_send_by_twilio, is_available=lambda: True)
MAILBOX = Backend(send=_keep_in_mailbox, is_available=lambda: settings.MAILBOX_ENABLED)
NONE = Backend(send=_refuse, is_available=lambda: False)
