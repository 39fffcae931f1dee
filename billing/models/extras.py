"""Codes people redeem, what staff must approve together, the catalogue's history, and reconciliations."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.amounts import MAX_AMOUNT
from common.models import UUIDModel


class RedemptionCode(UUIDModel):
    """A code that gives bonus credits, to so many people, once to each."""

    # As it is compared: upper case, without anything but letters and digits.
    code = models.CharField(_("code"), max_length=40, unique=True)
    credits = models.BigIntegerField(_("credits"))
    uses = models.PositiveIntegerField(_("people who may use it"), default=1)
    used = models.PositiveIntegerField(_("used"), default=0, editable=False)
    expires_at = models.DateTimeField(_("good until"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("code")
        verbose_name_plural = _("codes")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(used__lte=F("uses")), name="redemption_code_not_overused"),
            models.CheckConstraint(
                condition=Q(credits__gt=0, credits__lte=MAX_AMOUNT), name="redemption_code_credits_in_range"
            ),
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Z0-9]{4,40}$"), name="redemption_code_plain"
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Redemption(UUIDModel):
    """That somebody used a code."""

    code = models.ForeignKey(RedemptionCode, on_delete=models.PROTECT, related_name="redemptions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    credits = models.BigIntegerField(_("credits"))

    class Meta:
        verbose_name = _("redemption")
        verbose_name_plural = _("redemptions")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["code", "user"], name="redemption_once_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.code_id} by {self.user_id}"


class Approval(UUIDModel):
    """Something large a member of staff wants to do with money; another one says yes or no."""

    class Action(models.TextChoices):
        ADJUST = "adjust", _("adjust credits")
        REFUND = "refund", _("refund a payment")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        APPROVED = "approved", _("approved")
        DECLINED = "declined", _("declined")

    action = models.CharField(_("what"), max_length=10, choices=Action)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("for")
    )
    # The arguments of the service, and the key that makes it happen once.
    arguments = models.JSONField(_("details"))
    key = models.CharField(_("key"), max_length=200, unique=True)
    reason = models.CharField(_("reason"), max_length=1000)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("asked by")
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        permissions: ClassVar = [("decide_approval", _("Can approve or decline what others ask for"))]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("asked_by")),
                name="approval_takes_four_eyes",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", decided_by__isnull=True, decided_at__isnull=True)
                | Q(state__in=["approved", "declined"], decided_by__isnull=False, decided_at__isnull=False),
                name="approval_state_and_decision_agree",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-created_at"], name="approval_newest")]

    def __str__(self) -> str:
        return f"{self.action} ({self.state})"


class CatalogueChange(models.Model):
    """What a row of the catalogue was and became. Written by a trigger, whoever makes the change."""

    changed_at = models.DateTimeField(_("changed at"))
    table = models.CharField(_("what"), max_length=40)
    slug = models.CharField(_("slug"), max_length=40)
    before = models.JSONField(_("before"), null=True)
    after = models.JSONField(_("after"), null=True)

    class Meta:
        verbose_name = _("change of the catalogue")
        verbose_name_plural = _("changes of the catalogue")
        indexes: ClassVar = [models.Index(fields=["table", "slug", "-id"], name="catalogue_change_of_row")]

    def __str__(self) -> str:
        return f"{self.table} {self.slug}"


class MoneyLimit(models.Model):
    """Above what one member of staff cannot act alone; one row."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    adjustment_credits = models.BigIntegerField(
        _("adjustments above"), default=1000 * 1_000_000, help_text=_("A larger one needs a second person.")
    )
    refund_amount = models.BigIntegerField(
        _("refunds above"), default=20_000, help_text=_("In the currency's smallest unit (cents).")
    )

    class Meta:
        verbose_name = _("limit for staff")
        verbose_name_plural = _("limits for staff")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="money_limit_one_row"),
            models.CheckConstraint(
                condition=Q(adjustment_credits__gte=0, refund_amount__gte=0), name="money_limit_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return str(_("Limits for staff"))


class Reconciliation(UUIDModel):
    """One comparison of what we have with what the stores say. Each difference names its row."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        CLEAN = "clean", _("all in order")
        DIFFERENT = "different", _("differences")
        INCOMPLETE = "incomplete", _("could not be finished")

    finished_at = models.DateTimeField(_("finished at"), null=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RUNNING)
    # How many rows of each kind were compared.
    compared = models.JSONField(_("compared"), default=dict)
    differences = models.JSONField(_("differences"), default=list)
    # The sum of all differences of money, in smallest units by currency.
    difference = models.JSONField(_("difference in money"), default=dict)
    detail = models.TextField(_("detail"), blank=True)

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")
        permissions: ClassVar = [("run_reconciliation", _("Can reconcile with the stores"))]
        indexes: ClassVar = [models.Index(fields=["-created_at"], name="reconciliation_newest")]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} ({self.state})"
