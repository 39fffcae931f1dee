"""What each user has and what is set aside of it.

Written only by the SQL functions of `migrations/sql`; the application's role may read and nothing else.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.catalogue import Tier


class Wallet(models.Model):
    """What one user has. Balances are what the ledger's entries add up to; held parts are in open holds."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.PROTECT,
        related_name="wallet",
        verbose_name=_("user"),
    )
    tier = models.ForeignKey(
        Tier, on_delete=models.PROTECT, related_name="wallets", verbose_name=_("tier"), db_index=False
    )
    daily_balance = models.BigIntegerField(_("daily"), default=0)
    daily_held = models.BigIntegerField(_("daily, held"), default=0)
    bonus_balance = models.BigIntegerField(_("bonus"), default=0)
    bonus_held = models.BigIntegerField(_("bonus, held"), default=0)
    purchased_balance = models.BigIntegerField(_("purchased"), default=0)
    purchased_held = models.BigIntegerField(_("purchased, held"), default=0)
    # The operator's day whose allowance is in the wallet, and when the next one may be given.
    day = models.DateField(_("day"))
    day_zone = models.CharField(_("time zone of the day"), max_length=64)
    opened_at = models.DateTimeField(_("day opened at"))
    next_day_at = models.DateTimeField(_("next day begins at"))
    daily_granted = models.BigIntegerField(_("granted today"), default=0)
    messages_used = models.IntegerField(_("messages today"), default=0)
    used_on = models.DateField(_("last used on"), null=True)
    # How many ledger transactions the wallet has, and how many of them came before this day's.
    last_number = models.BigIntegerField(_("transactions"), default=0)
    day_number = models.BigIntegerField(default=0)
    suspended_at = models.DateTimeField(_("suspended at"), null=True, blank=True)
    # Credits that were spent and then refunded. Nothing can be spent until they are paid off.
    debt = models.BigIntegerField(_("owed"), default=0, db_default=0)
    # Credits of payments whose bank disputes them.
    frozen = models.BigIntegerField(_("frozen"), default=0, db_default=0)
    # The tier ends then unless a subscription says otherwise; empty: no subscription gives it.
    tier_until = models.DateTimeField(_("tier until"), null=True, blank=True)
    day_spent = models.BigIntegerField(_("spent today"), default=0, db_default=0)
    # The owner's own limits; empty: none.
    paused_at = models.DateTimeField(_("paused by the owner at"), null=True, blank=True)
    message_cap = models.BigIntegerField(_("most for a message"), null=True, blank=True)
    day_cap = models.BigIntegerField(_("most in a day"), null=True, blank=True)
    low_balance = models.BigIntegerField(_("say when less is left"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("wallet")
        verbose_name_plural = _("wallets")
        permissions: ClassVar = [
            ("adjust_wallet", _("Can adjust the credits of a wallet")),
            ("suspend_wallet", _("Can suspend and resume a wallet")),
            ("refresh_allowance", _("Can refresh daily allowances")),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(daily_held__gte=0, daily_balance__gte=F("daily_held")),
                name="wallet_daily_covers_held",
            ),
            models.CheckConstraint(
                condition=Q(bonus_held__gte=0, bonus_balance__gte=F("bonus_held")),
                name="wallet_bonus_covers_held",
            ),
            models.CheckConstraint(
                condition=Q(purchased_held__gte=0, purchased_balance__gte=F("purchased_held")),
                name="wallet_purchased_covers_held",
            ),
            models.CheckConstraint(
                condition=Q(daily_granted__gte=0, messages_used__gte=0, day_number__gte=0)
                & Q(last_number__gte=F("day_number")),
                name="wallet_counts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(debt__gte=0, frozen__gte=0, day_spent__gte=0), name="wallet_owed_not_negative"
            ),
            # What comes in pays off what is owed first.
            models.CheckConstraint(
                condition=Q(debt=0) | Q(bonus_balance=F("bonus_held"), purchased_balance=F("purchased_held")),
                name="wallet_debt_is_paid_first",
            ),
            models.CheckConstraint(
                condition=(Q(message_cap__isnull=True) | Q(message_cap__gt=0))
                & (Q(day_cap__isnull=True) | Q(day_cap__gt=0))
                & (Q(low_balance__isnull=True) | Q(low_balance__gt=0)),
                name="wallet_own_limits_positive",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def balance(self) -> int:
        return self.daily_balance + self.bonus_balance + self.purchased_balance

    @property
    def held(self) -> int:
        return self.daily_held + self.bonus_held + self.purchased_held

    @property
    def available(self) -> int:
        return 0 if self.debt else self.balance - self.held


class Hold(models.Model):
    """Credits set aside for work whose price is not known yet. Ends once: captured, released or expired."""

    class State(models.TextChoices):
        HELD = "held", _("open")
        CAPTURED = "captured", _("captured")
        RELEASED = "released", _("released")
        EXPIRED = "expired", _("expired")

    id = models.UUIDField(primary_key=True, editable=False)
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, related_name="holds", db_column="user_id", db_index=False
    )
    key = models.CharField(_("key"), max_length=200)
    reference = models.CharField(_("reference"), max_length=200)
    state = models.CharField(_("state"), max_length=10, choices=State)
    daily = models.BigIntegerField(_("daily"))
    bonus = models.BigIntegerField(_("bonus"))
    purchased = models.BigIntegerField(_("purchased"))
    # The day the daily part was taken from: it lapses instead of going back once that day is over.
    day = models.DateField(_("day"))
    captured = models.BigIntegerField(_("captured"), default=0)
    written_off = models.BigIntegerField(_("written off"), default=0)
    counts_message = models.BooleanField(_("is a message"), default=False)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    resolved_at = models.DateTimeField(_("resolved at"), null=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        permissions: ClassVar = [("release_hold", _("Can release a hold"))]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["wallet", "key"], name="hold_key_once_per_wallet"),
            models.CheckConstraint(
                condition=Q(daily__gte=0, bonus__gte=0, purchased__gte=0, written_off__gte=0),
                name="hold_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(captured__gte=0, captured__lte=F("daily") + F("bonus") + F("purchased")),
                name="hold_captures_at_most_itself",
            ),
            models.CheckConstraint(
                condition=Q(state="captured") | Q(captured=0), name="hold_captured_amount_needs_capture"
            ),
            models.CheckConstraint(
                condition=Q(state="held", resolved_at__isnull=True)
                | Q(state__in=["captured", "released", "expired"], resolved_at__isnull=False),
                name="hold_state_and_end_agree",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="hold_open_by_expiry", condition=Q(state="held")),
        ]

    def __str__(self) -> str:
        return f"{self.reference} ({self.state})"

    @property
    def amount(self) -> int:
        return self.daily + self.bonus + self.purchased
