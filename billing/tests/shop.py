"""A shop to test with: our fake Stripe on a local port, wired to the application as a real one would be."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_user
from billing.models import StoreEvent
from billing.services import checkout, inbox
from billing.stores.fake_stripe import FakeStripe

SECRET_KEY = "sk_test_parlor_tests"
WEBHOOK_SECRET = "whsec_parlor_tests"


class Shop:
    """The fake with what tests do with it. Webhooks come when `tell` is called, through the front door."""

    def __init__(self, fake: FakeStripe) -> None:
        self.fake = fake
        self.told: set[str] = set()

    def buy(self, user: User, *, card: str = "4242424242424242", tell: bool = True, **what: str) -> str:
        """Order, pay on the hosted page, and (unless told not to) hear of it. Answers the session's id."""
        page = checkout.begin_checkout(user_id=user.pk, **what)
        self.fake.pay(page.session_id, card=card)
        if tell:
            self.tell()
        return page.session_id

    def post(self, event: dict[str, Any], *, times: int = 1) -> list[int]:
        """Deliver one event, signed, through HTTP."""
        return [self._post(event) for _ in range(times)]

    def tell(self) -> list[str]:
        """Deliver every event that was not delivered yet, in order, and apply it."""
        told = []
        for event in list(self.fake.events):
            if event["id"] not in self.told:
                assert self._post(event) == 200
                told.append(event["type"])
        self.apply()
        return told

    def apply(self) -> list[str]:
        waiting = StoreEvent.objects.filter(state__in=["pending", "failed"]).order_by("created_at", "id")
        return [inbox.apply_event(event_id) for event_id in list(waiting.values_list("id", flat=True))]

    def _post(self, event: dict[str, Any]) -> int:
        import json

        import stripe

        self.told.add(event["id"])
        body = json.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
        answer = Client().post(
            "/webhooks/stripe/", body, content_type="application/json", headers={"stripe-signature": header}
        )
        return answer.status_code


@contextmanager
def open_shop(settings: Any) -> Iterator[Shop]:
    """Settings with a key and a fake behind it."""
    with FakeStripe(secret_key=SECRET_KEY, webhook_secret=WEBHOOK_SECRET, webhook_url=None) as fake:
        fake.deliveries = "hold"
        settings.STRIPE_SECRET_KEY = SECRET_KEY
        settings.STRIPE_WEBHOOK_SECRET = WEBHOOK_SECRET
        settings.STRIPE_API_BASE = fake.api_base
        settings.BILLING_SANDBOX = False
        yield Shop(fake)


def make_buyer(**fields: Any) -> User:
    """Somebody whose address is proved, without the welcome gift."""
    from allauth.account.models import EmailAddress

    user = make_user(**fields)
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
    return user


def buyer_id(**fields: Any) -> UUID:
    return make_buyer(**fields).pk
