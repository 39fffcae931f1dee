"""Whom we speak to: Stripe with the operator's key, else the test shop, else nobody.

Only this package imports Stripe's SDK, and only when it is spoken to: it takes half a second to load.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from billing.models import Store
from billing.stores import sandbox
from billing.stores.base import StoreError, UnknownObject
from common.errors import Unavailable

if TYPE_CHECKING:
    import stripe

_TIMEOUT_SECONDS = (5, 20)
_NETWORK_RETRIES = 2


class ShopClosed(Unavailable):
    title = _("Nothing can be bought here yet")


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to call and what to believe. `is_live` is whether real money moves."""

    store: Store
    key: str
    api_base: str
    webhook_secret: str

    @property
    def is_live(self) -> bool:
        return self.store == Store.STRIPE

    @property
    def api(self) -> Any:
        return _client(self.key, self.api_base).v1


def is_open() -> bool:
    return bool(settings.STRIPE_SECRET_KEY) or sandbox.running() is not None


def is_test_shop() -> bool:
    """Whether what is bought here costs nothing: the test shop, or Stripe with a key for tests."""
    return is_open() and not connect().is_live


def connect() -> Connection:
    """Raises ShopClosed where there is neither a key nor a test shop."""
    if key := settings.STRIPE_SECRET_KEY:
        return Connection(store_of(key), key, settings.STRIPE_API_BASE, settings.STRIPE_WEBHOOK_SECRET)
    shop = sandbox.running()
    if shop is None:
        raise ShopClosed
    return Connection(Store.SANDBOX, sandbox.SECRET_KEY, shop.api_base, sandbox.WEBHOOK_SECRET)


def store_of(key: str) -> Store:
    """Stripe's two modes share nothing but the address."""
    return Store.STRIPE if "_live_" in key else Store.STRIPE_TEST


@cache
def _client(key: str, api_base: str) -> "stripe.StripeClient":
    import stripe

    return stripe.StripeClient(
        key,
        base_addresses={"api": api_base},
        max_network_retries=_NETWORK_RETRIES,
        http_client=stripe.RequestsClient(timeout=_TIMEOUT_SECONDS),
    )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Stripe's errors as ours. A passing one may be tried again with the same idempotency key."""
    import stripe

    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.http_status == 404 or error.code == "resource_missing":
            raise UnknownObject(str(error)) from error
        raise StoreError(str(error), is_passing=False) from error
    except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError) as error:
        raise StoreError(str(error), is_passing=True) from error
    except stripe.StripeError as error:
        raise StoreError(str(error), is_passing=(error.http_status or 0) >= 500) from error


def call(operation: Callable[[], Any]) -> dict[str, Any]:
    """What Stripe answers to `operation`, as plain data. Raises StoreError."""
    with translated_errors():
        answer = operation()
    plain: dict[str, Any] = answer.to_dict()
    return plain


def listed(operation: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    """Every row of a list of Stripe's, page by page."""
    with translated_errors():
        for row in operation().auto_paging_iter():
            yield row.to_dict()
