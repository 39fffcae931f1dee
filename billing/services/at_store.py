"""Calls of a store on somebody's behalf: what goes wrong there, said to them."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from django.utils.translation import gettext_lazy as _

from billing.errors import PaymentRefused
from billing.stores.base import StoreError
from common.errors import Unavailable

T = TypeVar("T")
logger = structlog.get_logger("parlor.billing")


def at_store(operation: Callable[[], T]) -> T:
    """Raises Unavailable where the store does not answer, PaymentRefused where it says no."""
    try:
        return operation()
    except StoreError as error:
        logger.warning("store_said_no", error=str(error), is_passing=error.is_passing)
        if error.is_passing:
            raise Unavailable(_("The store does not answer. Please try again."), retry_after=5) from error
        raise PaymentRefused(_("The store refused this. Nothing was charged.")) from error
