"""Subscriptions of every store in one shape, and everything that ever happened to them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.catalogue import Plan, Tier
from billing.models.stores import Store
from common.models import UUIDModel


class Subscription(UUIDModel):
    """A tier for a time. `standing` and the moments are the store's word, `state` follows from them."""

    class State(models.TextChoices):
        PENDING = "pending", _("waiting for payment")
        TRIALING = "trialing", _("trial")
        ACTIVE = "active", _("active")
        GRACE = "grace", _("payment due")
        ON_HOLD = "on_hold", _("on hold")
        CANCELLED = "cancelled", _("cancelled, runs until its end")
        EXPIRED = "expired", _("ended")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("user")
    )
    store = models.CharField(_("store"), max_length=20, choices=Store)
    external_id = models.CharField(_("id at the store"), max_length=500)
    # Empty for a tier that was given.
    plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("plan")
    )
    tier = models.ForeignKey(Tier, on_delete=models.PROTECT, related_name="+", verbose_name=_("tier"))
    price = models.BigIntegerField(_("price"), default=0)
    currency = models.CharField(_("currency"), max_length=3, default="USD")
    # What a whole paid period gives, as the plan was when it was sold.
    bonus_credits = models.BigIntegerField(_("bonus credits"), default=0)
    next_plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("then")
    )
    standing = models.CharField(_("the store says"), max_length=10)
    state = models.CharField(_("state"), max_length=10, choices=State)
    started_at = models.DateTimeField(_("started at"))
    period_start = models.DateTimeField(_("period from"), null=True, blank=True)
    # Empty: for life.
    period_end = models.DateTimeField(_("period until"), null=True, blank=True)
    ends_at_period_end = models.BooleanField(_("ends with its period"), default=False)
    past_due_since = models.DateTimeField(_("payment due since"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    # Until when it gives its tier if nothing more is heard; empty: it gives nothing.
    entitled_until = models.DateTimeField(_("gives its tier until"), null=True, blank=True)
    # When time alone changes the state, or the store must be asked again.
    due_at = models.DateTimeField(_("looked at again"), null=True, blank=True)
    # When the store was asked for what the row says.
    synced_at = models.DateTimeField(_("asked at"))
    replaced_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaced"
    )

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        permissions: ClassVar = [
            ("comp_subscription", _("Can give tiers")),
            ("extend_subscription", _("Can extend and end subscriptions")),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["store", "external_id"], name="subscription_once"),
            models.CheckConstraint(
                condition=Q(
                    state__in=["trialing", "active", "grace", "cancelled"], entitled_until__isnull=False
                )
                | Q(state__in=["pending", "on_hold", "expired"], entitled_until__isnull=True),
                name="subscription_state_and_right_agree",
            ),
            models.CheckConstraint(
                condition=~Q(state="expired") | Q(ended_at__isnull=False), name="subscription_expired_has_end"
            ),
            models.CheckConstraint(
                condition=Q(price__gte=0, bonus_credits__gte=0), name="subscription_amounts_not_negative"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="subscription_of_user"),
            models.Index(fields=["due_at"], name="subscription_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["external_id"], name="subscription_at_store"),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id or self.tier_id} ({self.state})"

    @property
    def is_entitled(self) -> bool:
        return self.entitled_until is not None

    @property
    def name(self) -> str:
        return self.plan.name if self.plan is not None else self.tier.name


class SubscriptionEvent(UUIDModel):
    """One change of a subscription. Rows are only ever added."""

    class Cause(models.TextChoices):
        STORE = "store", _("the store")
        TIME = "time", _("time")
        USER = "user", _("the user")
        STAFF = "staff", _("staff")

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="events")
    number = models.PositiveIntegerField(_("number"))
    cause = models.CharField(_("cause"), max_length=10, choices=Cause)
    from_state = models.CharField(_("from"), max_length=10, blank=True)
    to_state = models.CharField(_("to"), max_length=10, choices=Subscription.State)
    plan = models.CharField(_("plan"), max_length=40, blank=True)
    period_end = models.DateTimeField(_("period until"), null=True)
    # What else changed: name of the field -> [before, after].
    changes = models.JSONField(_("changes"), default=dict)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("by")
    )
    reason = models.CharField(_("reason"), max_length=1000, blank=True)

    class Meta:
        verbose_name = _("change of a subscription")
        verbose_name_plural = _("changes of subscriptions")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subscription", "number"], name="subscription_event_numbered"),
        ]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"
