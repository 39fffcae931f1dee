"""What every noun shares: the documents, the clock, the events and the shop's settings."""

import copy
import secrets
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .errors import missing
from .store import Doc, Store

API_VERSION = "2026-10-28.endive"
# Stands in stored URLs for the public base, so that they stay right after a restart on another port.
PUBLIC = "https://fake-stripe.invalid"

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(length))}"


def public_copy(node: Any) -> Any:
    """A deep copy without the fields that only the shop itself knows."""
    if isinstance(node, dict):
        return {
            key: public_copy(value)
            for key, value in node.items()
            if not (isinstance(key, str) and key.startswith("_"))
        }
    if isinstance(node, list):
        return [public_copy(value) for value in node]
    return node


def with_base(node: Any, base: str) -> Any:
    """The same with the public base put into its URLs."""
    if isinstance(node, dict):
        return {key: with_base(value, base) for key, value in node.items()}
    if isinstance(node, list):
        return [with_base(value, base) for value in node]
    return node.replace(PUBLIC, base) if isinstance(node, str) and node.startswith(PUBLIC) else node


@dataclass
class World:
    """The state of one shop. Hold `lock` around every change and every read."""

    store: Store
    account_id: str
    clock: Clock = field(init=False)
    lock: threading.RLock = field(default_factory=threading.RLock)
    # Charged on top wherever automatic tax is on.
    tax_percent: int = 0
    # The API request whose effects are being made, as events name it.
    request_id: str | None = None
    idempotency_key: str | None = None
    announce: Callable[[str], None] = lambda _: None

    def make(self, prefix: str, kind: str, **fields: Any) -> Doc:
        """A new stored object with an id and the time."""
        head: Doc = {"id": new_id(prefix), "object": kind, "created": self.clock.now(), "livemode": False}
        return self.store.add(head | fields)

    def get(self, kind: str, identifier: str, param: str = "id") -> Doc:
        document = self.store.find(identifier)
        if document is None or document["object"] != kind:
            raise missing(kind, identifier, param)
        return document

    def find(self, kind: str, **fields: Any) -> list[Doc]:
        """Documents of a kind with these values, oldest first."""
        return [
            document
            for document in self.store.all(kind)
            if all(document.get(name) == value for name, value in fields.items())
        ]

    def emit(self, kind: str, subject: Doc, previous: Doc | None = None) -> Doc:
        """Record an event about an object as it is now, and hand it on for delivery."""
        data: Doc = {"object": public_copy(subject)}
        if previous:
            data["previous_attributes"] = copy.deepcopy(previous)
        event = self.make(
            "evt",
            "event",
            api_version=API_VERSION,
            data=data,
            pending_webhooks=1,
            request={"id": self.request_id, "idempotency_key": self.idempotency_key},
            type=kind,
            _tries=0,
        )
        self.announce(event["id"])
        return event
