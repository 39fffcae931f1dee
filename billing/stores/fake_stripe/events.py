"""Webhooks: events signed as Stripe signs them, sent again when they are refused."""

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from .store import Doc

TRIES = 8
_TIMEOUT = 10


def signature(payload: str, secret: str, timestamp: int) -> str:
    """The `Stripe-Signature` header for a body."""
    mac = hmac.new(secret.encode(), f"{timestamp}.{payload}".encode(), hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def post(url: str, event: Doc, secret: str, timestamp_offset: int = 0) -> int:
    """Send one event; the answer is the HTTP status, 0 where nobody answered."""
    payload = json.dumps(event)
    # The receiver compares with real time, whatever the shop's clock says.
    signed = signature(payload, secret, int(time.time()) + timestamp_offset)
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_TIMEOUT)
    try:
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signed}
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, payload.encode(), headers)
        with connection.getresponse() as response:
            response.read()
            return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Courier:
    """A thread that sends queued events in order, refused ones again after growing pauses."""

    def __init__(self, send: Callable[[str], bool], first_pause: float) -> None:
        self._send = send
        self._first_pause = first_pause
        self._condition = threading.Condition()
        # Event id, real time at which it is due, tries so far.
        self._queue: list[tuple[float, str, int]] = []
        self._is_busy = False
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="fake-stripe-webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, event_id: str, tries: int = 0) -> None:
        with self._condition:
            self._queue.append((time.monotonic(), event_id, tries))
            self._condition.notify_all()

    def stop(self) -> None:
        """Stop soon; a request under way is not waited for beyond a moment."""
        with self._condition:
            self._is_stopped = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def wait_idle(self, timeout: float) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: not self._queue and not self._is_busy, timeout)

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            event_id, tries = taken
            is_done = self._send(event_id) or tries + 1 >= TRIES
            with self._condition:
                if not is_done:
                    due = time.monotonic() + self._first_pause * 2**tries
                    self._queue.append((due, event_id, tries + 1))
                self._is_busy = False
                self._condition.notify_all()

    def _take(self) -> tuple[str, int] | None:
        with self._condition:
            while not self._is_stopped:
                # The oldest of those due; min() keeps the order in which they were queued.
                first = min(self._queue, key=lambda queued: queued[0], default=None)
                wait = None if first is None else first[0] - time.monotonic()
                if first is not None and wait is not None and wait <= 0:
                    self._queue.remove(first)
                    self._is_busy = True
                    return first[1], first[2]
                self._condition.wait(wait)
            return None
