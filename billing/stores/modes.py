"""Which shop this installation sells in, and whether for money: decided by its settings alone."""

from django.conf import settings

from billing.models import TEST_STORES, Store
from billing.stores import google_play
from billing.stores.app_store import connection as app_store
from billing.stores.stripe.connection import store_of


def store_in_use() -> Store | None:
    """Where our pages sell; unlike `connect` it knows of the test shop in another process."""
    if settings.STRIPE_SECRET_KEY:
        return store_of(settings.STRIPE_SECRET_KEY)
    return Store.SANDBOX if settings.BILLING_SANDBOX else None


def sells_for_money() -> bool:
    is_apples = app_store.is_configured() and settings.APP_STORE_ENVIRONMENT == "Production"
    return store_in_use() == Store.STRIPE or google_play.is_configured() or is_apples


def closed_test_stores() -> frozenset[Store]:
    """Test shops nobody can buy in any more."""
    return frozenset(TEST_STORES - {store_in_use()})


def worthless_stores() -> frozenset[Store]:
    """What was bought there is no revenue: a test shop's sales count only while nothing is sold for money."""
    return TEST_STORES if sells_for_money() else closed_test_stores()
