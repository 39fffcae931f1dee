"""What is on offer. Operators change it in the admin; migrations ship the first of it."""

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.amounts import MAX_AMOUNT
from billing.stores.currencies import decimals


def check_has_cents(currency: str) -> None:
    """Prices of the catalogue are typed and kept in hundredths."""
    if decimals(currency) != 2:
        raise ValidationError(_("Only currencies with two decimals can be sold in."), code="no_cents")


class Tier(models.Model):
    """What a user may do. New users start in the tier with the lowest position."""

    class Memory(models.TextChoices):
        NONE = "none", _("none")
        BASIC = "basic", _("yes")
        DEEP = "deep", _("yes, deeper")

    slug = models.SlugField(_("slug"), primary_key=True, max_length=40)
    name = models.CharField(_("name"), max_length=60)
    position = models.PositiveSmallIntegerField(_("position"), unique=True)
    daily_credits = models.BigIntegerField(_("daily credits"))
    token_price = models.BigIntegerField(
        _("price of a token"), help_text=_("Microcredits for each token in or out.")
    )
    requests_per_minute = models.IntegerField(_("AI requests a minute"))
    messages_per_day = models.IntegerField(
        _("messages a day"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    max_output_tokens = models.IntegerField(
        _("longest reply in tokens"), help_text=_("What is reserved before a reply, beside its prompt.")
    )
    persona_limit = models.IntegerField(
        _("own personas"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    history_days = models.IntegerField(
        _("days of chat history"), null=True, blank=True, help_text=_("Empty: kept for ever.")
    )
    memory = models.CharField(_("long-term memory"), max_length=10, choices=Memory, default=Memory.NONE)
    storage_bytes = models.BigIntegerField(_("storage in bytes"))
    mentor_messages_per_day = models.IntegerField(_("mentor messages a day"))

    class Meta:
        verbose_name = _("tier")
        verbose_name_plural = _("tiers")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(daily_credits__gte=0, daily_credits__lte=MAX_AMOUNT),
                name="tier_daily_credits_in_range",
            ),
            models.CheckConstraint(
                condition=Q(token_price__gte=0, token_price__lte=MAX_AMOUNT), name="tier_token_price_in_range"
            ),
            models.CheckConstraint(condition=Q(requests_per_minute__gte=1), name="tier_requests_positive"),
            models.CheckConstraint(condition=Q(max_output_tokens__gte=1), name="tier_output_positive"),
            models.CheckConstraint(
                condition=Q(
                    Q(messages_per_day__isnull=True) | Q(messages_per_day__gte=0),
                    Q(persona_limit__isnull=True) | Q(persona_limit__gte=0),
                    Q(history_days__isnull=True) | Q(history_days__gte=1),
                    storage_bytes__gte=0,
                    mentor_messages_per_day__gte=0,
                ),
                name="tier_limits_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """A subscription on sale: a tier for a time, with bonus credits on top."""

    class Period(models.TextChoices):
        DAY = "day", _("a day")
        MONTH = "month", _("a month")
        YEAR = "year", _("a year")
        LIFETIME = "lifetime", _("for life")

    slug = models.SlugField(_("slug"), primary_key=True, max_length=40)
    name = models.CharField(_("name"), max_length=60)
    tier = models.ForeignKey(Tier, on_delete=models.PROTECT, related_name="plans", verbose_name=_("tier"))
    period = models.CharField(_("period"), max_length=10, choices=Period)
    price = models.BigIntegerField(_("price"), help_text=_("In the currency's smallest unit (cents)."))
    currency = models.CharField(_("currency"), max_length=3, default="USD", validators=[check_has_cents])
    bonus_credits = models.BigIntegerField(_("bonus credits"), default=0)
    trial_days = models.PositiveSmallIntegerField(
        _("days of trial"), default=0, help_text=_("For somebody's first subscription; 0: none.")
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("on sale"), default=True)

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(price__gte=0, bonus_credits__gte=0, bonus_credits__lte=MAX_AMOUNT),
                name="plan_amounts_not_negative",
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="plan_currency_iso"),
        ]

    def __str__(self) -> str:
        return self.name


class Pack(models.Model):
    """Credits on sale."""

    slug = models.SlugField(_("slug"), primary_key=True, max_length=40)
    name = models.CharField(_("name"), max_length=60)
    credits = models.BigIntegerField(_("credits"))
    price = models.BigIntegerField(_("price"), help_text=_("In the currency's smallest unit (cents)."))
    currency = models.CharField(_("currency"), max_length=3, default="USD", validators=[check_has_cents])
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("on sale"), default=True)

    class Meta:
        verbose_name = _("credit pack")
        verbose_name_plural = _("credit packs")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=MAX_AMOUNT, price__gte=0),
                name="pack_amounts_in_range",
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="pack_currency_iso"),
        ]

    def __str__(self) -> str:
        return self.name


class ActionPrice(models.Model):
    """What one action with a fixed price costs."""

    slug = models.SlugField(_("slug"), primary_key=True, max_length=40)
    name = models.CharField(_("name"), max_length=60)
    credits = models.BigIntegerField(_("credits"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("action price")
        verbose_name_plural = _("action prices")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(credits__gte=0, credits__lte=MAX_AMOUNT), name="action_price_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Gift(models.Model):
    """Credits given on an occasion, such as signing up; 0 switches an occasion off."""

    SIGN_UP = "sign_up"

    slug = models.SlugField(_("occasion"), primary_key=True, max_length=40)
    name = models.CharField(_("name"), max_length=60)
    credits = models.BigIntegerField(_("credits"))

    class Meta:
        verbose_name = _("gift")
        verbose_name_plural = _("gifts")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(credits__gte=0, credits__lte=MAX_AMOUNT), name="gift_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name
