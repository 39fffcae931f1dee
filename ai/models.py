"""The catalogue of models, the log of calls, and the operator's spending limits."""

from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models, transaction
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from common.models import TimestampedModel, UUIDModel

# Sent when a catalogue row or the limits changed, so that what a process remembers of them is dropped.
catalogue_changed = Signal()
spend_limit_changed = Signal()

# What the gateway itself puts into a request; extra options may not replace it.
RESERVED_OPTIONS = {
    "model",
    "messages",
    "contents",
    "system",
    "systemInstruction",
    "stream",
    "stream_options",
}


class ProviderName(models.TextChoices):
    ECHO = "echo", _("Echo (offline demo)")
    ANTHROPIC = "anthropic", _("Anthropic")
    OPENAI = "openai", _("OpenAI")
    XAI = "xai", _("xAI")
    GEMINI = "gemini", _("Google Gemini")
    COMPATIBLE = "compatible", _("OpenAI-compatible server")


def price_field(label: Any, **options: Any) -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(
        label,
        max_digits=10,
        decimal_places=4,
        validators=[MinValueValidator(Decimal(0))],
        help_text=_("US dollars per million tokens."),
        **options,
    )


def validate_options(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError(_("Extra options must be a JSON object."))
    taken = sorted(RESERVED_OPTIONS & value.keys())
    if taken:
        raise ValidationError(
            _("These options are set by Parlor itself: %(names)s."), params={"names": ", ".join(taken)}
        )


class AIModel(TimestampedModel):
    """One model that can be called, what it costs and what it can do."""

    slug = models.CharField(
        _("slug"),
        max_length=80,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9._:-]*\Z")],
        help_text=_("Personas and the API name the model by this."),
    )
    provider = models.CharField(_("provider"), max_length=20, choices=ProviderName)
    name = models.CharField(
        _("provider's name"), max_length=120, help_text=_("Exactly as the provider spells it.")
    )
    display_name = models.CharField(_("display name"), max_length=80)
    context_window = models.PositiveIntegerField(
        _("context window"), help_text=_("Tokens, prompt and reply.")
    )
    max_output_tokens = models.PositiveIntegerField(_("longest reply"), help_text=_("Tokens."))
    input_price = price_field(_("input price"))
    output_price = price_field(_("output price"))
    cached_price = price_field(_("cached input price"))
    cache_write_price = price_field(_("cache write price"))
    lowest_tier = models.CharField(
        _("lowest tier"),
        max_length=30,
        default="free",
        help_text=_("The first tier that may choose this model."),
    )
    supports_temperature = models.BooleanField(
        _("takes a temperature"), default=True, help_text=_("Off: the persona's temperature is not sent.")
    )
    options = models.JSONField(
        _("extra options"),
        default=dict,
        blank=True,
        validators=[validate_options],
        help_text=_("Added to the body of every request, as the provider documents them."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    is_default = models.BooleanField(
        _("default of its provider"), default=False, help_text=_("Used where nothing else was chosen.")
    )
    fallback = models.ForeignKey(
        "self",
        verbose_name=_("fall back to"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Tried when this model fails before its first word."),
    )

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    input_price__gte=0, output_price__gte=0, cached_price__gte=0, cache_write_price__gte=0
                ),
                name="ai_model_prices_not_negative",
                violation_error_message=_("A price cannot be negative."),
            ),
            models.CheckConstraint(
                condition=models.Q(
                    max_output_tokens__gte=1, context_window__gt=models.F("max_output_tokens")
                ),
                name="ai_model_window_holds_reply",
                violation_error_message=_("The context window must be larger than the longest reply."),
            ),
            models.CheckConstraint(
                condition=models.Q(provider__in=ProviderName.values), name="ai_model_provider_known"
            ),
            models.UniqueConstraint(
                fields=["provider"],
                condition=models.Q(is_default=True),
                name="ai_model_one_default_a_provider",
                violation_error_message=_("This provider has a default model already."),
            ),
        ]

    def __str__(self) -> str:
        return self.display_name

    def clean(self) -> None:
        self.options = self.options or {}

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        _announce(catalogue_changed)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        _announce(catalogue_changed)
        return deleted


class ModelCall(UUIDModel):
    """One call as it ended. Rows are only ever added; no text of any conversation is kept here."""

    class Status(models.TextChoices):
        COMPLETE = "complete", _("complete")
        LENGTH = "length", _("cut at the longest reply")
        REFUSED = "refused", _("refused by the model")
        STOPPED = "stopped", _("stopped")
        FAILED = "failed", _("failed")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    purpose = models.CharField(_("purpose"), max_length=40)
    reference = models.CharField(_("reference"), max_length=80, blank=True)
    model = models.CharField(_("model"), max_length=80)
    provider = models.CharField(_("provider"), max_length=20, choices=ProviderName)
    status = models.CharField(_("outcome"), max_length=10, choices=Status)
    error_code = models.CharField(_("error"), max_length=40, blank=True)
    error_detail = models.CharField(_("error detail"), max_length=300, blank=True)
    input_tokens = models.PositiveIntegerField(_("input tokens"))
    output_tokens = models.PositiveIntegerField(_("output tokens"))
    cached_tokens = models.PositiveIntegerField(_("cached tokens"))
    cache_write_tokens = models.PositiveIntegerField(_("cache write tokens"))
    cost_micro_usd = models.BigIntegerField(_("cost"), help_text=_("Millionths of a US dollar."))
    first_token_ms = models.PositiveIntegerField(_("first token (ms)"), null=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"))
    attempts = models.JSONField(_("attempts"), default=list)

    class Meta:
        verbose_name = _("model call")
        verbose_name_plural = _("model calls")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(cost_micro_usd__gte=0), name="ai_call_cost_not_negative"
            ),
        ]
        indexes = [
            # Summing a day's cost reads the index only.
            models.Index(fields=["created_at"], include=["cost_micro_usd"], name="ai_call_day_cost"),
            models.Index(fields=["user", "-created_at"], name="ai_call_user"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.status}"


class SpendLimit(models.Model):
    """What the operator is willing to pay providers a day. One row."""

    ONLY_ID: ClassVar[int] = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    daily_alert_usd = models.DecimalField(
        _("alert at"),
        max_digits=10,
        decimal_places=2,
        default=50,
        help_text=_("US dollars a day; staff get an email."),
    )
    daily_cap_usd = models.DecimalField(
        _("stop at"),
        max_digits=10,
        decimal_places=2,
        default=500,
        help_text=_("US dollars a day; new calls are refused."),
    )
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("spending limit")
        verbose_name_plural = _("spending limits")
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="ai_spend_limit_one_row"),
            models.CheckConstraint(
                condition=models.Q(daily_alert_usd__gte=0, daily_cap_usd__gte=0),
                name="ai_spend_limit_not_negative",
                violation_error_message=_("A limit cannot be negative."),
            ),
        ]

    def __str__(self) -> str:
        return str(_("Spending limits"))

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        _announce(spend_limit_changed)


def _announce(signal: Signal) -> None:
    # Now for this process's next read, and after commit for a read that came in between.
    signal.send(None)
    transaction.on_commit(lambda: signal.send(None))
