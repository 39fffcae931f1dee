"""What was ordered, what was paid for it, and what came back. Amounts of money are in smallest units."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.amounts import MAX_AMOUNT, Bucket
from billing.models.catalogue import Pack, Plan
from billing.models.stores import Store
from billing.models.subscriptions import Subscription
from common.models import UUIDModel


class Order(UUIDModel):
    """What somebody set out to buy, as it was on sale at that moment."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        PAID = "paid", _("paid")
        FAILED = "failed", _("failed")
        EXPIRED = "expired", _("expired")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("user")
    )
    store = models.CharField(_("store"), max_length=20, choices=Store)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    pack = models.ForeignKey(
        Pack, null=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("pack")
    )
    plan = models.ForeignKey(
        Plan, null=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("plan")
    )
    name = models.CharField(_("what"), max_length=60)
    credits = models.BigIntegerField(_("credits"))
    price = models.BigIntegerField(_("price"))
    currency = models.CharField(_("currency"), max_length=3)
    trial_days = models.PositiveSmallIntegerField(_("days of trial"), default=0)
    session_id = models.CharField(_("checkout"), max_length=255, blank=True)
    intent_id = models.CharField(_("payment intent"), max_length=255, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(pack__isnull=True, plan__isnull=False) | Q(pack__isnull=False, plan__isnull=True),
                name="order_is_for_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(credits__gte=0, credits__lte=MAX_AMOUNT, price__gte=0),
                name="order_amounts_in_range",
            ),
            models.UniqueConstraint(
                fields=["store", "session_id"], name="order_session_once", condition=~Q(session_id="")
            ),
            models.UniqueConstraint(
                fields=["store", "intent_id"], name="order_intent_once", condition=~Q(intent_id="")
            ),
            # One way into a subscription at a time: two checkouts could both be paid.
            models.UniqueConstraint(
                fields=["user"], name="order_one_open_plan", condition=Q(state="open", plan__isnull=False)
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="order_of_user"),
            models.Index(fields=["created_at"], name="order_open", condition=Q(state="open")),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"


class Payment(UUIDModel):
    """Money that came in, once per payment intent, invoice or order of a store, and the credits it gave."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("user")
    )
    store = models.CharField(_("store"), max_length=20, choices=Store)
    external_id = models.CharField(_("id at the store"), max_length=255)
    order = models.ForeignKey(
        Order,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="payments",
        verbose_name=_("order"),
    )
    subscription = models.ForeignKey(
        Subscription,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="payments",
        verbose_name=_("subscription"),
    )
    name = models.CharField(_("for"), max_length=60)
    bucket = models.CharField(_("bucket"), max_length=10, choices=Bucket)
    credits = models.BigIntegerField(_("credits"))
    amount = models.BigIntegerField(_("amount"))
    tax = models.BigIntegerField(_("tax in it"), default=0)
    currency = models.CharField(_("currency"), max_length=3)
    paid_at = models.DateTimeField(_("paid at"))
    period_start = models.DateTimeField(_("from"), null=True, blank=True)
    period_end = models.DateTimeField(_("until"), null=True, blank=True)
    document_url = models.TextField(_("document of the store"), blank=True)
    # What came back, refunds and lost disputes together, and the credits taken for it.
    returned = models.BigIntegerField(_("returned"), default=0)
    credits_returned = models.BigIntegerField(_("credits taken back"), default=0)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        permissions: ClassVar = [("refund_payment", _("Can refund payments"))]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["store", "external_id"], name="payment_once"),
            models.CheckConstraint(
                condition=Q(amount__gte=0, tax__gte=0, tax__lte=F("amount")), name="payment_amounts_in_range"
            ),
            models.CheckConstraint(
                condition=Q(credits__gte=0, credits__lte=MAX_AMOUNT, bucket__in=["bonus", "purchased"]),
                name="payment_credits_in_range",
            ),
            models.CheckConstraint(
                condition=Q(returned__gte=0, returned__lte=F("amount")), name="payment_returned_at_most_all"
            ),
            models.CheckConstraint(
                condition=Q(credits_returned__gte=0, credits_returned__lte=F("credits")),
                name="payment_takes_back_at_most_all",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "-paid_at", "-id"], name="payment_of_user"),
            models.Index(fields=["-paid_at", "-id"], name="payment_newest"),
            models.Index(fields=["external_id"], name="payment_at_store"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def reference(self) -> str:
        """How the ledger names it."""
        return f"payment:{self.id}"

    @property
    def number(self) -> str:
        """What stands on the receipt: the day and enough of the id."""
        return f"P-{self.paid_at:%Y%m%d}-{self.id.hex[-8:].upper()}"


class Refund(UUIDModel):
    """Money that went back for a payment, once for each of the store's refunds and lost disputes."""

    class Kind(models.TextChoices):
        REFUND = "refund", _("refund")
        CHARGEBACK = "chargeback", _("chargeback")
        # A refund that failed in the end: its counted money and credits were given back.
        REVERSED = "reversed", _("refund that failed")

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    external_id = models.CharField(_("id at the store"), max_length=255)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    amount = models.BigIntegerField(_("amount"))
    # What the amount counted for: together refunds and chargebacks never exceed the payment.
    counted = models.BigIntegerField(_("counted"))
    credits = models.BigIntegerField(_("credits taken back"))
    debt = models.BigIntegerField(_("of it owed, since it was spent"))
    refunded_at = models.DateTimeField(_("refunded at"))

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["payment", "external_id"], name="refund_once"),
            models.CheckConstraint(
                condition=Q(amount__gte=0, counted__gte=0, counted__lte=F("amount"))
                & Q(credits__gte=0, debt__gte=0, debt__lte=F("credits")),
                name="refund_amounts_in_range",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["external_id"], name="refund_at_store")]

    def __str__(self) -> str:
        return f"{self.kind} {self.external_id}"


class Dispute(UUIDModel):
    """A bank took money back for its customer; what the payment still gives is frozen until it is decided."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        WON = "won", _("won")
        LOST = "lost", _("lost")

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    external_id = models.CharField(_("id at the store"), max_length=255)
    state = models.CharField(_("state"), max_length=10, choices=State)
    amount = models.BigIntegerField(_("amount"))
    frozen_bonus = models.BigIntegerField(_("bonus credits frozen"), default=0)
    frozen_purchased = models.BigIntegerField(_("purchased credits frozen"), default=0)
    opened_at = models.DateTimeField(_("opened at"))
    closed_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["payment", "external_id"], name="dispute_once"),
            models.CheckConstraint(
                condition=Q(amount__gte=0, frozen_bonus__gte=0, frozen_purchased__gte=0),
                name="dispute_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True)
                | Q(state__in=["won", "lost"], closed_at__isnull=False),
                name="dispute_state_and_end_agree",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["external_id"], name="dispute_at_store")]

    def __str__(self) -> str:
        return f"{self.external_id} ({self.state})"
