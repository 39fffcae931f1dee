"""The double-entry ledger all credits rest on, and the results of its checks.

Written only by the SQL functions of `migrations/sql`; the application's role may read and nothing else.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q
from django.utils.translation import gettext_lazy as _

from billing.models.amounts import MAX_AMOUNT, Bucket
from billing.models.wallets import Wallet
from common.models import UUIDModel


class LedgerAccount(models.Model):
    """One side of double entry: a user's bucket, or one of the platform's own accounts."""

    class System(models.TextChoices):
        ALLOWANCE = "allowance", _("daily allowances given")
        GRANTS = "grants", _("bonuses given")
        ADJUSTMENTS = "adjustments", _("adjustments by staff")
        REVENUE = "revenue", _("credits earned")
        EXPIRED = "expired", _("credits lapsed")
        WRITE_OFF = "write_off", _("work nobody paid for")
        SOLD = "sold", _("credits sold")
        # In the currencies of payments.
        STORE = "store", _("money at the stores")
        SALES = "sales", _("sales")
        TAX = "tax", _("taxes owed")

    class Own(models.TextChoices):
        """Accounts a user has beside the buckets, made when they are needed."""

        DEBT = "debt", _("owed")
        FROZEN = "frozen", _("frozen")

    name = models.CharField(_("name"), max_length=20)
    wallet = models.ForeignKey(
        Wallet,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="accounts",
        db_column="user_id",
        db_index=False,
    )
    currency = models.CharField(_("currency"), max_length=10, default="credits")

    class Meta:
        verbose_name = _("ledger account")
        verbose_name_plural = _("ledger accounts")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["wallet", "name", "currency"], name="ledger_account_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(wallet__isnull=False, name__in=[*Bucket.values, "debt", "frozen"])
                | Q(wallet__isnull=True) & ~Q(name__in=[*Bucket.values, "debt", "frozen"]),
                name="ledger_account_bucket_has_owner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.wallet_id}" if self.wallet_id else self.name


class LedgerTransaction(models.Model):
    """One movement of credits in one wallet. Rows are only ever added."""

    class Kind(models.TextChoices):
        ALLOWANCE = "allowance", _("Daily allowance")
        UPGRADE = "upgrade", _("More daily credits in the new tier")
        LAPSE = "lapse", _("Daily credits lapsed")
        CHARGE = "charge", _("Paid")
        WRITE_OFF = "write_off", _("Not charged")
        SIGN_UP_BONUS = "sign_up_bonus", _("Welcome gift")
        GRANT = "grant", _("Credits given")
        ADJUSTMENT = "adjustment", _("Adjustment by support")
        PURCHASE = "purchase", _("Credits bought")
        PLAN = "plan", _("Payment for your plan")
        REFUND = "refund", _("Refund")
        CHARGEBACK = "chargeback", _("Payment taken back by your bank")
        REVERSED = "reversed", _("Refund that did not reach you")
        FREEZE = "freeze", _("Set aside while your bank decides")
        UNFREEZE = "unfreeze", _("Given back after your bank decided")
        CODE = "code", _("Code redeemed")
        DEBT_PAID = "debt_paid", _("Paid off what was owed")
        DEBT_WAIVED = "debt_waived", _("What was owed was waived")

    id = models.UUIDField(primary_key=True, editable=False)
    # Taken from the id, which the database makes from its clock: sorting by id is sorting by time.
    created_at = models.GeneratedField(
        expression=Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(_("created at")),
        db_persist=True,
    )
    wallet = models.ForeignKey(
        Wallet,
        on_delete=models.PROTECT,
        related_name="transactions",
        db_column="user_id",
        db_index=False,
        verbose_name=_("wallet"),
    )
    number = models.BigIntegerField(_("number"), help_text=_("Counts a wallet's transactions, without gaps."))
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    key = models.CharField(_("key"), max_length=200)
    amount = models.BigIntegerField(_("amount"))
    balance_after = models.BigIntegerField(_("balance after"))
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    description = models.CharField(_("description"), max_length=300, blank=True)
    details = models.JSONField(_("details"), default=dict)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("by"),
        db_index=False,
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("ledger transaction")
        verbose_name_plural = _("ledger transactions")
        constraints: ClassVar = [
            # A constraint rather than unique=True, which would bring a second index for LIKE.
            models.UniqueConstraint(fields=["key"], name="ledger_transaction_key_once"),
            models.UniqueConstraint(fields=["wallet", "number"], name="ledger_transaction_numbered"),
            models.CheckConstraint(
                condition=Q(number__gte=1, balance_after__gte=0), name="ledger_transaction_not_negative"
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["adjustment", "debt_waived"]) | ~Q(reason=""),
                name="ledger_adjustment_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class LedgerEntry(models.Model):
    """One amount on one account. A transaction's entries are added by one statement and sum to zero."""

    class Direction(models.IntegerChoices):
        DEBIT = -1, _("debit")
        CREDIT = 1, _("credit")

    # The trigger on this table checks both parents without locking them: neither can ever be deleted,
    # and the lock a foreign key takes on a platform account would be one every charge waits for.
    transaction = models.ForeignKey(
        LedgerTransaction,
        on_delete=models.PROTECT,
        related_name="entries",
        db_constraint=False,
        db_index=False,
    )
    account = models.ForeignKey(
        LedgerAccount, on_delete=models.PROTECT, related_name="entries", db_constraint=False
    )
    direction = models.SmallIntegerField(_("direction"), choices=Direction)
    amount = models.BigIntegerField(_("amount"))

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transaction", "account"], name="ledger_entry_once_per_account"),
            models.CheckConstraint(condition=Q(direction__in=[-1, 1]), name="ledger_entry_direction"),
            models.CheckConstraint(
                condition=Q(amount__gt=0, amount__lte=2 * MAX_AMOUNT), name="ledger_entry_amount_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} {self.amount}"


class LedgerCheck(UUIDModel):
    """The result of one run of the invariants over the whole ledger."""

    finished_at = models.DateTimeField(_("finished at"))
    is_clean = models.BooleanField(_("all in order"))
    violations = models.IntegerField(_("violations"))
    # Name of the check -> what it found (at most a few rows of each).
    results = models.JSONField(_("results"), default=dict)

    class Meta:
        verbose_name = _("ledger check")
        verbose_name_plural = _("ledger checks")
        permissions: ClassVar = [("run_ledgercheck", _("Can run the ledger check"))]
        indexes: ClassVar = [models.Index(fields=["-created_at"], name="ledger_check_newest")]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M}"
