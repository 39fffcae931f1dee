"""Credits: what is on offer, what each user has, what is reserved, and the ledger all of it rests on.

Amounts are whole microcredits (1 credit = 1,000,000). Wallets, holds and ledger rows are written only by
the SQL functions of `migrations/sql`; the application's role may read them and nothing else.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q
from django.utils.translation import gettext_lazy as _

from common.models import UUIDModel

# A billion credits: no amount is larger, so sums of amounts stay far inside 64 bits.
MAX_AMOUNT = 10**15


class Bucket(models.TextChoices):
    """The three kinds of credits in a wallet, in the order they are spent."""

    DAILY = "daily", _("Daily")
    BONUS = "bonus", _("Bonus")
    PURCHASED = "purchased", _("Purchased")


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
    currency = models.CharField(_("currency"), max_length=3, default="USD")
    bonus_credits = models.BigIntegerField(_("bonus credits"), default=0)
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
    currency = models.CharField(_("currency"), max_length=3, default="USD")
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
        return self.balance - self.held


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


class LedgerAccount(models.Model):
    """One side of double entry: a user's bucket, or one of the platform's own accounts."""

    class System(models.TextChoices):
        ALLOWANCE = "allowance", _("daily allowances given")
        GRANTS = "grants", _("bonuses given")
        ADJUSTMENTS = "adjustments", _("adjustments by staff")
        REVENUE = "revenue", _("credits earned")
        EXPIRED = "expired", _("credits lapsed")
        WRITE_OFF = "write_off", _("work nobody paid for")

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
                fields=["wallet", "name"], name="ledger_account_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(wallet__isnull=False, name__in=Bucket.values)
                | Q(wallet__isnull=True) & ~Q(name__in=Bucket.values),
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
                condition=~Q(kind="adjustment") | ~Q(reason=""), name="ledger_adjustment_has_reason"
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
