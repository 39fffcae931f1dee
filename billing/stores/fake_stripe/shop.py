"""The fake as a whole: its server, its clock, and what a person or the dashboard would do."""

import http.client
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlencode, urlsplit

from . import catalogue, checkout, disputes, events, lifecycle, payments, portal, refunds
from .clock import Clock
from .faults import Faults, Kind
from .server import Request, Server
from .store import Doc, Store
from .world import World, public_copy, with_base

_TOKEN = re.compile(r'name="token" value="([^"]+)"')


class _LockedClock(Clock):
    """The clock as its user holds it: moving it is a change like any other."""

    def __init__(self, shop: "FakeStripe") -> None:
        self._shop = shop
        super().__init__(shop.world.store, self._pass)

    def _pass(self, seconds: int) -> None:
        with self._shop.changing() as world:
            lifecycle.pass_time(world, seconds)


class FakeStripe:
    """A shop that speaks Stripe's wire format, for tests and for trying Parlor without keys."""

    def __init__(
        self,
        *,
        secret_key: str = "sk_test_parlor",  # noqa: S107 - a made-up key of a shop without money
        webhook_secret: str = "whsec_parlor",  # noqa: S107 - likewise
        webhook_url: str | None = None,
        path: Path | None = None,
        port: int = 0,
        public_base: str | None = None,
        stylesheet_url: str | None = None,
        account_id: str = "acct_parlor",
    ) -> None:
        self.secret_key = secret_key
        self.webhook_secret = webhook_secret
        self.webhook_url = webhook_url
        # Seconds before an event is sent again; each further pause is twice as long.
        self.retry_pause = 0.2
        self.faults = Faults()
        self.requests: list[Request] = []
        self.deliveries: Literal["auto", "hold"] = "auto"
        self._path, self._port, self._public_base = path, port, public_base
        self._stylesheet_url = stylesheet_url
        self.world = World(Store(path), account_id)
        self.clock: Clock = _LockedClock(self)
        self.world.clock = self.clock
        self.world.announce = self._announce
        self._server: Server | None = None
        self._courier: events.Courier | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and send what an earlier run left unsent."""
        self._server = Server(self._port, self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="fake-stripe", daemon=True
        )
        self._courier = events.Courier(self._send_once, self.retry_pause)
        self._requeue()
        self._thread.start()
        self._courier.start()

    def stop(self) -> None:
        """Stop listening and sending, and close the file."""
        if self._server is None or self._courier is None:
            self.world.store.close()
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2)
        self._courier.stop()
        self._server = None
        with self.world.lock:
            self.world.store.close()

    def _requeue(self) -> None:
        if self.deliveries == "auto" and self.webhook_url and self._courier:
            for event in self.world.find("event", pending_webhooks=1):
                if event["_tries"] < events.TRIES:
                    self._courier.put(event["id"], event["_tries"])

    @contextmanager
    def changing(self, request_id: str | None = None, key: str | None = None) -> Iterator[World]:
        """The world under its lock; what changed is written at the end."""
        with self.world.lock:
            self.world.request_id, self.world.idempotency_key = request_id, key
            try:
                yield self.world
            finally:
                self.world.store.flush()

    @property
    def api_base(self) -> str:
        if self._server is None:
            raise RuntimeError("The shop is not open: call start() first.")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def public_base(self) -> str:
        return (self._public_base or self.api_base).rstrip("/")

    @property
    def stylesheet_url(self) -> str:
        return self._stylesheet_url or f"{self.public_base}/style.css"

    def _shown(self, document: Doc) -> Doc:
        shown: Doc = with_base(public_copy(document), self.public_base)
        return shown

    @property
    def events(self) -> list[Doc]:
        """All events, oldest first."""
        with self.world.lock:
            return [self._shown(event) for event in self.world.store.all("event")]

    def get(self, object_id: str) -> Doc:
        """Any stored object; raises KeyError for unknown ids."""
        with self.world.lock:
            document = self.world.store.find(object_id)
            if document is None:
                raise KeyError(object_id)
            return self._shown(document)

    def _announce(self, event_id: str) -> None:
        if self.deliveries == "auto" and self.webhook_url and self._courier:
            self._courier.put(event_id)

    def _send_once(self, event_id: str) -> bool:
        (status,) = self.deliver(event_id)
        return 200 <= status < 300

    def deliver(
        self, event_id: str, copies: int = 1, secret: str | None = None, timestamp_offset: int = 0
    ) -> list[int]:
        """Post an event now; the answers are HTTP statuses, 0 where nobody answered."""
        if self.webhook_url is None:
            raise ValueError("This shop has no webhook_url.")
        event = self.get(event_id)
        signed_with = self.webhook_secret if secret is None else secret
        statuses = [
            events.post(self.webhook_url, event, signed_with, timestamp_offset) for _ in range(copies)
        ]
        with self.changing() as world:
            stored = world.get("event", event_id)
            stored["_tries"] += 1
            if any(200 <= status < 300 for status in statuses):
                stored["pending_webhooks"] = 0
        return statuses

    def deliver_all(self, order: Iterable[str] | None = None) -> list[int]:
        """Post the events not yet accepted, in the given order of ids or as they were made."""
        with self.world.lock:
            waiting = [event["id"] for event in self.world.find("event", pending_webhooks=1)]
        chosen = waiting if order is None else list(order)
        return [status for event_id in chosen for status in self.deliver(event_id)]

    def wait_delivered(self, timeout: float = 10) -> None:
        """Wait until nothing is left to send; raises TimeoutError."""
        if self._courier and not self._courier.wait_idle(timeout):
            raise TimeoutError("There are events still to be delivered.")

    def fail_next(self, method: str, path_prefix: str, kind: Kind, times: int = 1) -> None:
        """Let the next matching requests go wrong."""
        self.faults.plan(method, path_prefix, kind, times)

    def _browse(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, Location and text of a page."""
        connection = http.client.HTTPConnection(urlsplit(self.api_base).netloc, timeout=10)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request(method, path, urlencode(form or {}), headers)
            with connection.getresponse() as response:
                location = response.headers.get("Location", "")
                return response.status, location, response.read().decode()
        finally:
            connection.close()

    def pay(
        self,
        session_id: str,
        card: str = "4242424242424242",
        promotion_code: str = "",
        authenticate: Literal["complete", "fail"] | None = None,
    ) -> str:
        """Pay as a person would, through the pages; the answer is the URL their browser ends at.

        `card` is a test card's number or "sepa". On a refusal that is the checkout page.
        """
        path = f"/c/pay/{session_id}"
        token = self._form_token(path)
        form = {"token": token, "do": "bank" if card == "sepa" else "pay", "card": card}
        if promotion_code:
            form["promotion_code"] = promotion_code
        _, location, _ = self._browse("POST", path, form)
        secure = f"{self.public_base}/c/3ds/"
        if location.startswith(secure) and authenticate:
            step = location.removeprefix(self.public_base)
            form = {"token": self._form_token(step), "do": authenticate}
            _, location, _ = self._browse("POST", step, form)
        return location or f"{self.public_base}{path}"

    def _form_token(self, path: str) -> str:
        found = _TOKEN.search(self._browse("GET", path)[2])
        return found.group(1) if found else ""

    def confirm_payment_intent(self, payment_intent_id: str, card: str = "4242424242424242") -> Doc:
        """Pay as a mobile payment sheet does; a declined card shows in the answer's `last_payment_error`."""
        with self.changing() as world:
            intent = world.get("payment_intent", payment_intent_id)
            method = payments.make_method(world, card, intent["customer"])
            status = payments.attempt(world, intent, method, is_owner_here=True)
            if status in ("succeeded", "processing"):
                checkout.follow_up(world, intent)
            return self._shown(intent)

    def authenticate_payment_intent(
        self, payment_intent_id: str, outcome: Literal["complete", "fail"]
    ) -> Doc:
        """Answer the bank's question for an intent that awaits it."""
        with self.changing() as world:
            intent = world.get("payment_intent", payment_intent_id)
            checkout.authenticate(world, intent, is_complete=outcome == "complete")
            return self._shown(intent)

    def refund(self, payment_intent_id: str, amount: int | None = None) -> Doc:
        """Refund as if from the dashboard."""
        params: dict[str, Any] = {"payment_intent": payment_intent_id}
        if amount is not None:
            params["amount"] = str(amount)
        with self.changing() as world:
            return self._shown(refunds.create(world, params))

    def open_dispute(self, payment_intent_id: str, amount: int | None = None) -> Doc:
        with self.changing() as world:
            return self._shown(disputes.open_dispute(world, payment_intent_id, amount))

    def close_dispute(self, dispute_id: str, outcome: Literal["won", "lost"]) -> Doc:
        with self.changing() as world:
            return self._shown(disputes.close_dispute(world, dispute_id, outcome))

    def create_promotion_code(
        self,
        code: str,
        *,
        percent_off: float | None = None,
        amount_off: int | None = None,
        currency: str = "usd",
        duration: Literal["once", "forever", "repeating"] = "once",
        duration_in_months: int | None = None,
    ) -> Doc:
        """A coupon and the code that gives it."""
        coupon = {"duration": duration, "currency": currency}
        numbers = {
            "percent_off": percent_off,
            "amount_off": amount_off,
            "duration_in_months": duration_in_months,
        }
        coupon |= {name: str(value) for name, value in numbers.items() if value is not None}
        with self.changing() as world:
            coupon_id = catalogue.create_coupon(world, coupon)["id"]
            promotion = {"type": "coupon", "coupon": coupon_id}
            made = catalogue.create_promotion_code(world, {"code": code, "promotion": promotion})
            return self._shown(made)

    def settle_async(self, session_id: str, outcome: Literal["succeeded", "failed"]) -> None:
        """A bank transfer arrives, or does not."""
        with self.changing() as world:
            checkout.settle_async(world, session_id, outcome)

    def set_default_card(self, customer_id: str, card: str) -> None:
        """Put another card on file, also one that will be declined at the next renewal."""
        with self.changing() as world:
            customer = world.get("customer", customer_id)
            portal.set_card(world, customer, payments.make_method(world, card, customer_id))
