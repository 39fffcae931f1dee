"""What showing a purchase made in an app leads to, whatever store it was made in."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from billing.models import Payment, Subscription
from common.errors import Conflict


@dataclass(frozen=True, slots=True)
class Verified:
    """A subscription, or the payment for a pack; `is_pending` while nothing is paid."""

    subscription: Subscription | None = None
    payment: Payment | None = None
    is_pending: bool = False


class OfSomebodyElse(Conflict):
    title = _("This purchase belongs to another account")
