"""What was used, added up from the ledger, and files of it made for its owner."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.wallets import Wallet
from common.models import UUIDModel


class UsageSlot(models.Model):
    """What a wallet paid for in one quarter of an hour, with one persona and one model.

    A quarter, because days and hours of every time zone begin at one: India is half an hour off the others.
    """

    id = models.BigAutoField(primary_key=True)
    wallet = models.ForeignKey(
        Wallet,
        on_delete=models.CASCADE,
        related_name="+",
        db_column="user_id",
        db_index=False,
        verbose_name=_("wallet"),
    )
    starts_at = models.DateTimeField(_("starts at"))
    # Personas live above this app, so this is their plain id; empty for whatever else was paid.
    persona_id = models.UUIDField(_("persona"), null=True)
    label = models.CharField(
        _("for"), max_length=300, blank=True, help_text=_("The persona's name then, or what was paid for.")
    )
    model = models.CharField(_("model"), max_length=200, blank=True)
    charges = models.BigIntegerField(_("charges"))
    replies = models.BigIntegerField(_("replies"))
    input_tokens = models.BigIntegerField(_("tokens read"))
    output_tokens = models.BigIntegerField(_("tokens written"))
    cached_tokens = models.BigIntegerField(_("tokens from cache"))
    credits = models.BigIntegerField(_("credits"), help_text=_("In microcredits."))

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["wallet", "starts_at", "persona_id", "label", "model"],
                name="usage_slot_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(charges__gte=1, replies__gte=0, credits__gte=0), name="usage_slot_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} {self.label}"


class UsageMark(models.Model):
    """How far a wallet's ledger is in the slots: every charge up to this number, and no other.

    A wallet's transactions are numbered under its lock and without gaps, so whoever sees a number sees all
    below it: nothing can be committed late beneath the mark.
    """

    # The mark of somebody who left: nothing of theirs is added up again.
    CLOSED: ClassVar[int] = 2**62

    wallet = models.OneToOneField(
        Wallet, primary_key=True, on_delete=models.CASCADE, related_name="+", db_column="user_id"
    )
    through_number = models.BigIntegerField(_("through number"), default=0)

    class Meta:
        verbose_name = _("usage mark")
        verbose_name_plural = _("usage marks")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(through_number__gte=0), name="usage_mark_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.wallet_id}: {self.through_number}"


class UsageExport(UUIDModel):
    """Somebody's charges as one file: asked for, being made, there for a while."""

    class Format(models.TextChoices):
        JSON = "json", "JSON"
        CSV = "csv", "CSV"

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        PROCESSING = "processing", _("processing")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")
        EXPIRED = "expired", _("expired")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    format = models.CharField(_("format"), max_length=4, choices=Format)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    # Days in `time_zone`, both included; empty: from the beginning, until now.
    first_day = models.DateField(_("from"), null=True)
    last_day = models.DateField(_("to"), null=True)
    time_zone = models.CharField(_("time zone"), max_length=64)
    key = models.CharField(max_length=80, blank=True, editable=False)
    rows = models.BigIntegerField(_("rows"), default=0)
    size = models.BigIntegerField(_("size in bytes"), default=0)
    expires_at = models.DateTimeField(_("expires"), null=True)

    class Meta:
        verbose_name = _("usage export")
        verbose_name_plural = _("usage exports")
        indexes: ClassVar = [
            models.Index(fields=["user", "-created_at"], name="usage_export_newest"),
            models.Index(
                fields=["created_at"],
                name="usage_export_with_file",
                condition=~Q(key="") | Q(state__in=["queued", "processing"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.format} {self.created_at:%Y-%m-%d}"
