"""What we know of people and things at the stores, and what stores tell us."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.models import UUIDModel


class Store(models.TextChoices):
    """Where something was bought. The sandbox is the test shop of an installation without keys.

    Stripe's test mode is a store of its own: it knows nothing of what the live one sold, and costs nothing.
    """

    STRIPE = "stripe", "Stripe"
    STRIPE_TEST = "stripe_test", _("Stripe, test mode")
    SANDBOX = "sandbox", _("Test shop")
    GOOGLE_PLAY = "google_play", "Google Play"
    APP_STORE = "app_store", "App Store"
    GIVEN = "given", _("Given by us")


# Where no money moves.
TEST_STORES = frozenset({Store.STRIPE_TEST, Store.SANDBOX})
# Stripe and what speaks like it: bought, changed and paid back on our own pages.
STRIPE_LIKE = TEST_STORES | {Store.STRIPE}


class StoreCustomer(UUIDModel):
    """Who a user is at a store."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    store = models.CharField(_("store"), max_length=20, choices=Store)
    external_id = models.CharField(_("id at the store"), max_length=255)

    class Meta:
        verbose_name = _("customer at a store")
        verbose_name_plural = _("customers at stores")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "store"], name="store_customer_once_per_user"),
            models.UniqueConstraint(fields=["store", "external_id"], name="store_customer_is_one_user"),
        ]

    def __str__(self) -> str:
        return f"{self.store} {self.external_id}"


class StorePrice(UUIDModel):
    """A price made at a store for a pack or plan as it was on sale then; another price gets another row."""

    store = models.CharField(_("store"), max_length=20, choices=Store)
    slug = models.CharField(_("pack or plan"), max_length=40)
    period = models.CharField(_("period"), max_length=10, blank=True)
    amount = models.BigIntegerField(_("amount"))
    currency = models.CharField(_("currency"), max_length=3)
    external_id = models.CharField(_("id at the store"), max_length=255)

    class Meta:
        verbose_name = _("price at a store")
        verbose_name_plural = _("prices at stores")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["store", "slug", "period", "amount", "currency"], name="store_price_once"
            ),
            models.UniqueConstraint(fields=["store", "external_id"], name="store_price_is_one_thing"),
        ]

    def __str__(self) -> str:
        return f"{self.slug} {self.amount} {self.currency}"


class StoreEvent(UUIDModel):
    """Something a store told us: kept first, applied after. `state` changes with the effect."""

    class State(models.TextChoices):
        PENDING = "pending", _("waiting")
        APPLIED = "applied", _("applied")
        IGNORED = "ignored", _("not ours")
        FAILED = "failed", _("failed")
        QUARANTINED = "quarantined", _("needs a look")

    store = models.CharField(_("store"), max_length=20, choices=Store)
    external_id = models.CharField(_("id at the store"), max_length=255)
    kind = models.CharField(_("kind"), max_length=100)
    object_id = models.CharField(_("about"), max_length=500, blank=True)
    payload = models.JSONField(_("as it came"))
    happened_at = models.DateTimeField(_("happened at"))
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    detail = models.TextField(_("detail"), blank=True)
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)

    class Meta:
        verbose_name = _("event of a store")
        verbose_name_plural = _("events of stores")
        permissions: ClassVar = [("replay_storeevent", _("Can replay events of stores"))]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["store", "external_id"], name="store_event_once"),
            models.CheckConstraint(
                condition=Q(state="applied", applied_at__isnull=False)
                | ~Q(state="applied") & Q(applied_at__isnull=True),
                name="store_event_applied_has_time",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="store_event_newest"),
            models.Index(
                fields=["created_at"],
                name="store_event_open",
                condition=Q(state__in=["pending", "failed"]),
            ),
            models.Index(fields=["object_id"], name="store_event_object"),
            models.Index(
                fields=["created_at"],
                name="store_event_quarantined",
                condition=Q(state="quarantined"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.state})"
