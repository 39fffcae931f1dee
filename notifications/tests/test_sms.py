"""Texts by Twilio's HTTP API, against a server of ours that speaks its wire format."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from accounts.models import TextMessage
from accounts.services import texts
from common import jobs
from common.models import OutboxMessage

NUMBER = "+358401234567"


class FakeTwilio(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.answer: tuple[int, Any] = (201, {"sid": "SM1", "status": "queued"})


class _Handler(BaseHTTPRequestHandler):
    server: FakeTwilio

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.requests.append({"path": self.path, "auth": self.headers["Authorization"], **fields})
        status, answer = self.server.answer
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def twilio(settings: Any) -> Iterator[FakeTwilio]:
    server = FakeTwilio()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.SMS_BACKEND = "notifications.sms.TWILIO"
    settings.TWILIO_ACCOUNT_SID = "AC123"
    settings.TWILIO_AUTH_TOKEN = "secret"
    settings.TWILIO_FROM = "+15005550006"
    settings.TWILIO_BASE_URL = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send() -> None:
    texts.send_text(number=NUMBER, body="123456 is your code", purpose="code", address=None)


@pytest.mark.django_db(transaction=True)
def test_a_text_is_posted_with_our_number_and_credentials(twilio: FakeTwilio) -> None:
    send()

    assert twilio.requests == [
        {
            "path": "/2010-04-01/Accounts/AC123/Messages.json",
            "auth": f"Basic {base64.b64encode(b'AC123:secret').decode()}",
            "To": NUMBER,
            "From": "+15005550006",
            "Body": "123456 is your code",
        }
    ]
    assert TextMessage.objects.get().state == TextMessage.State.SENT
    assert OutboxMessage.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (
            400,
            {"code": 21211, "message": "Invalid 'To' Phone Number"},
            "the provider answered 400, code 21211",
        ),
        (500, b"<html>", "the provider answered 500, code None"),
        (200, [], "the provider answered 200, code None"),
        (302, {}, "the provider answered 302, code None"),
    ],
)
def test_a_refused_text_is_tried_again(twilio: FakeTwilio, status: int, answer: Any, reason: str) -> None:
    twilio.answer = (status, answer)

    send()

    assert TextMessage.objects.get().state == TextMessage.State.FAILED
    promise = OutboxMessage.objects.get()
    assert promise.last_error.endswith(reason)
    twilio.answer = (201, {"sid": "SM2"})
    OutboxMessage.objects.update(available_at=timezone.now())
    assert jobs.run_due_messages() == 1
    assert TextMessage.objects.get().state == TextMessage.State.SENT
