"""Stripe's events, kept and applied.

They are posted to the WSGI application in this process by threads, so what is measured is checking the
signature, the whole of the middleware, and the rows; sockets and HTTP parsing are not in it. The fake Stripe
that is asked when events are applied runs in this process too and takes its share of the interpreter.
"""

import io
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4
from wsgiref.util import setup_testing_defaults

from benchmarks import database
from benchmarks.report import Result

SECRET_KEY = "sk_test_parlor_bench"
WEBHOOK_SECRET = "whsec_parlor_bench"
_THREADS = 4
_INSERT = """
INSERT INTO billing_storeevent (
    id, created_at, store, external_id, kind, object_id, payload, happened_at, state, attempts, detail)
VALUES (uuidv7(), now(), 'stripe_test', 'evt_' || gen_random_uuid(), '{kind}', '{object_id}', '{payload}',
        now(), 'pending', 0, '');
"""


def run(name: str, *, people: range, events: int, rounds: int) -> Iterator[Result]:
    """`people` are numbers of wallets whose owners buy; `events` are posted in each of `rounds`."""
    with _shop() as shop:
        _buy(shop, people)
        models = list(shop.events)
        kept, inserted = [], []
        for _round in range(rounds):
            kept.append(_keep([_signed(_anew(models[n % len(models)])) for n in range(events)]))
            inserted.append(_bare_inserts(name, models[0]))
        title = "webhooks verified and kept a second against bare inserts of the row"
        yield Result(title, statistics.median(kept), statistics.median(inserted), 0)
        _forget()
        _keep([_signed(event) for event in models])
        applied, asked = _apply()
        yield Result("events applied a second against only asking the fake Stripe", applied, asked, 0)


@contextmanager
def _shop() -> Iterator[Any]:
    from django.conf import settings
    from django.test import override_settings

    from billing.stores.fake_stripe import FakeStripe

    with FakeStripe(secret_key=SECRET_KEY, webhook_secret=WEBHOOK_SECRET, webhook_url=None) as fake:
        fake.deliveries = "hold"
        with override_settings(
            STRIPE_SECRET_KEY=SECRET_KEY,
            STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET,
            STRIPE_API_BASE=fake.api_base,
            BILLING_SANDBOX=False,
            ALLOWED_HOSTS=[*settings.ALLOWED_HOSTS, "localhost"],
        ):
            yield fake


def _buy(shop: Any, people: range) -> None:
    """A pack, and every second time a plan too, ordered and paid on the shop's page."""
    from allauth.account.models import EmailAddress

    from accounts.models import User
    from billing.services import checkout

    for number in people:
        user = User.objects.get(id=database.user_id(number))
        user.email = f"bench-{number}@example.com"
        user.save(update_fields=["email"])
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        wishes = [{"pack": "credits_100"}, {"plan": "premium_monthly"}]
        for wish in wishes[: 1 + number % 2]:
            page = checkout.begin_checkout(user_id=user.id, **wish)
            shop.pay(page.session_id)


def _anew(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "id": f"evt_{uuid4().hex}"}


def _signed(event: dict[str, Any]) -> tuple[bytes, str]:
    import stripe

    body = json.dumps(event)
    return body.encode(), stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)


def _keep(webhooks: list[tuple[bytes, str]]) -> float:
    """Webhooks a second through the front door, each new."""
    from django.core.wsgi import get_wsgi_application

    post = partial(_post, get_wsgi_application())
    with ThreadPoolExecutor(_THREADS) as pool:
        # Threads and their connections are there before the clock starts.
        list(pool.map(lambda _n: time.sleep(0.05), range(_THREADS)))
        started = time.perf_counter()
        statuses = list(pool.map(post, webhooks))
        seconds = time.perf_counter() - started
    if set(statuses) != {"200 OK"}:
        raise RuntimeError(f"webhooks were answered {set(statuses)}")
    return len(webhooks) / seconds


def _post(application: Callable[..., Any], webhook: tuple[bytes, str]) -> str:
    body, signature = webhook
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/webhooks/stripe/",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_STRIPE_SIGNATURE": signature,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    seen: list[str] = []
    response = application(environ, lambda status, headers, error=None: seen.append(status))
    b"".join(response)
    response.close()
    return seen[0]


def _bare_inserts(name: str, event: dict[str, Any]) -> float:
    # pgbench takes a colon before a word for a variable of its own.
    payload = re.sub(r":(?=\w)", r"\\u003a", json.dumps(event).replace("'", "''"))
    script = _INSERT.format(kind=event["type"], object_id=event["data"]["object"]["id"], payload=payload)
    return database.pgbench(name, script, 2.0, clients=_THREADS)


def _forget() -> None:
    """Only the shop's own events are to be applied."""
    from billing.models import StoreEvent
    from common.models import OutboxMessage

    StoreEvent.objects.all().delete()
    OutboxMessage.objects.filter(task="billing.apply_store_event").delete()


def _apply() -> tuple[float, float]:
    """Events applied a second, and events whose objects are only asked for."""
    from billing.errors import NotOurs
    from billing.models import StoreEvent
    from billing.services import inbox
    from billing.stores.base import UnknownObject

    events = list(StoreEvent.objects.order_by("created_at", "id"))
    started = time.perf_counter()
    for event in events:
        try:
            inbox.ask_stripe(event.kind, event.object_id)
        except (NotOurs, UnknownObject):
            continue
    asked = len(events) / (time.perf_counter() - started)
    started = time.perf_counter()
    states = {inbox.apply_event(event.id) for event in events}
    applied = len(events) / (time.perf_counter() - started)
    if not states <= {"applied", "ignored"}:
        raise RuntimeError(f"events ended {states}")
    return applied, asked
