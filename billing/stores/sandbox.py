"""The test shop of an installation without keys: a small Stripe of our own, in this very process.

Its checkout and portal pages are reached through Parlor's own address, below `/sandbox/`.
"""

import threading
from pathlib import Path

import structlog
from django.conf import settings

from billing.stores.fake_stripe import FakeStripe

SECRET_KEY = "sk_test_parlor_sandbox"  # noqa: S105 - it opens nothing but the test shop
WEBHOOK_SECRET = "whsec_parlor_sandbox"  # noqa: S105
_EVERYWHERE = ("", "0.0.0.0", "::", "localhost")  # noqa: S104 - compared with, not bound to
logger = structlog.get_logger("parlor.billing")

_lock = threading.Lock()
_running: FakeStripe | None = None


def start() -> FakeStripe:
    """Open the test shop; what was bought in it is kept in the data folder."""
    global _running
    with _lock:
        if _running is None:
            host = "127.0.0.1" if settings.HOST in _EVERYWHERE else settings.HOST
            _running = FakeStripe(
                secret_key=SECRET_KEY,
                webhook_secret=WEBHOOK_SECRET,
                webhook_url=f"http://{host}:{settings.PORT}/webhooks/stripe/",
                path=Path(settings.DATA_DIR) / "sandbox-shop.sqlite3",
                public_base=f"{settings.PUBLIC_URL}/sandbox",
            )
            _running.start()
            logger.info("sandbox_shop_open")
        return _running


def stop() -> None:
    global _running
    with _lock:
        shop, _running = _running, None
    if shop is not None:
        shop.stop()


def running() -> FakeStripe | None:
    return _running
