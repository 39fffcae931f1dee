"""Reading wallets, prices, the catalogue and the history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Func, Prefetch, Q, QuerySet, Sum, Value
from django.utils import timezone

from billing import database
from billing.errors import (
    CreditsOwed,
    InsufficientCredits,
    SpendingPaused,
    UnknownHold,
    UnknownWallet,
    WalletSuspended,
)
from billing.models import (
    STRIPE_LIKE,
    ActionPrice,
    Gift,
    Hold,
    LedgerEntry,
    LedgerTransaction,
    Pack,
    Payment,
    Plan,
    Store,
    StoreCustomer,
    Subscription,
    SubscriptionEvent,
    Tier,
    Wallet,
)
from billing.money import format_amount
from billing.stores import modes
from common.credits import format_credits
from common.errors import NotFound

# The SQL functions keep this distance between two days when the operator's time zone was changed.
_SHORTEST_DAY = timedelta(hours=20)
# Prompt and answer of an ordinary turn, for somebody who has not talked yet.
USUAL_REPLY_TOKENS = 1_500

# The tier of somebody who has no wallet yet is the first one.
_PRICE = """
SELECT slug, position, token_price, max_output_tokens, requests_per_minute, messages_per_day,
       (SELECT array_agg(other.slug) FROM billing_tier other WHERE other.position <= own.position),
       (SELECT message_cap FROM billing_wallet WHERE user_id = %(user)s)
  FROM billing_tier own
 WHERE slug = billing_tier_now(%(user)s, NULL)
"""


@dataclass(frozen=True, slots=True)
class UserPrice:
    """What a user pays and may do, in one look. `token_price` is microcredits for a token in or out."""

    tier_slug: str
    tier_position: int
    token_price: int
    max_output_tokens: int
    requests_per_minute: int
    messages_per_day: int | None
    # The tiers whose things this one includes, its own among them.
    included_tiers: list[str]
    # The most the user allows for a message, in microcredits.
    message_cap: int | None

    def includes(self, lowest_tier: str) -> bool:
        """Whether the user may use what is for `lowest_tier` and above; unknown names mean no."""
        return not lowest_tier or lowest_tier in self.included_tiers


@dataclass(frozen=True, slots=True)
class WalletView:
    """A wallet with today's allowance in it, in microcredits.

    `available` is the sum of `daily_remaining`, `bonus` and `purchased`, or nothing while something is owed;
    `held` comes on top of it.
    """

    tier: Tier
    available: int
    held: int
    daily_granted: int
    daily_remaining: int
    bonus: int
    purchased: int
    day: date
    resets_at: datetime
    messages_used: int
    is_suspended: bool
    # Transactions with a higher number belong to the current day.
    day_number: int
    # Owed: nothing can be spent until it is paid off, so `available` is 0.
    debt: int
    # Set aside while a bank decides.
    frozen: int
    # The owner's own limits.
    is_paused: bool
    message_cap: int | None
    day_cap: int | None
    low_balance: int | None
    day_spent: int

    @property
    def is_low(self) -> bool:
        return self.low_balance is not None and self.available < self.low_balance


@dataclass(frozen=True, slots=True)
class Usage:
    """Today against its limits; `spent` is in microcredits."""

    wallet: WalletView
    spent: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """The money part of a reply: what was reserved, what was paid from which bucket, and for what."""

    state: str
    held: int
    charged: int
    written_off: int
    buckets: dict[str, int]
    description: str
    details: dict[str, Any]

    @property
    def returned(self) -> int:
        """What was set aside and not needed."""
        return self.held - self.charged


def get_tier(user_id: UUID) -> Tier:
    """The user's tier; the first one for somebody who has no wallet yet."""
    return Tier.objects.get(slug=Func(Value(user_id), Value(None), function="billing_tier_now"))


def get_price(user_id: UUID) -> UserPrice:
    """Asked before every reply, so it does without the ORM, which takes longer than the database."""
    with connection.cursor() as cursor:
        cursor.execute(_PRICE, {"user": user_id})
        return UserPrice(*cursor.fetchone())


def get_wallet(user_id: UUID, *, now: datetime | None = None) -> WalletView:
    """The wallet as it is today; made and opened here on the first look of a day. Raises UnknownWallet."""
    wallet = _find_wallet(user_id)
    if wallet is None or _is_over(wallet, now or timezone.now()):
        database.call("billing_open_wallet", user_id, now=now)
        wallet = _find_wallet(user_id)
    if wallet is None:
        raise UnknownWallet
    return WalletView(
        tier=wallet.tier,
        available=wallet.available,
        held=wallet.held,
        daily_granted=wallet.daily_granted,
        daily_remaining=wallet.daily_balance - wallet.daily_held,
        bonus=wallet.bonus_balance - wallet.bonus_held,
        purchased=wallet.purchased_balance - wallet.purchased_held,
        day=wallet.day,
        resets_at=_next_day_starts_at(wallet),
        messages_used=wallet.messages_used,
        is_suspended=wallet.suspended_at is not None,
        day_number=wallet.day_number,
        debt=wallet.debt,
        frozen=wallet.frozen,
        is_paused=wallet.paused_at is not None,
        message_cap=wallet.message_cap,
        day_cap=wallet.day_cap,
        low_balance=wallet.low_balance,
        day_spent=wallet.day_spent,
    )


def get_usage(user_id: UUID, *, now: datetime | None = None) -> Usage:
    wallet = get_wallet(user_id, now=now)
    paid = LedgerTransaction.objects.filter(
        wallet_id=user_id, number__gt=wallet.day_number, kind=LedgerTransaction.Kind.CHARGE
    )
    return Usage(wallet, -(paid.aggregate(total=Sum("amount"))["total"] or 0))


def estimate_replies(user_id: UUID, wallet: WalletView) -> int | None:
    """About how many replies the wallet pays for, by the user's latest ones; None where they are free.

    The tier's daily number of messages bounds it.
    """
    usual = get_usual_price(user_id, wallet.tier)
    replies = wallet.available // usual if usual else None
    limit = wallet.tier.messages_per_day
    if limit is None:
        return replies
    messages_left = max(limit - wallet.messages_used, 0)
    return messages_left if replies is None else min(replies, messages_left)


def get_usual_price(user_id: UUID, tier: Tier) -> int:
    """What a reply usually costs the user, by their latest ones, in microcredits."""
    latest = LedgerTransaction.objects.filter(wallet_id=user_id, kind=LedgerTransaction.Kind.CHARGE)
    amounts = [-amount for amount in latest.order_by("-number").values_list("amount", flat=True)[:20]]
    return sum(amounts) // len(amounts) if amounts else USUAL_REPLY_TOKENS * tier.token_price


def check_funds(user_id: UUID, *, amount: int, freed: Iterable[UUID]) -> None:
    """Whether `amount` microcredits could be reserved once the holds in `freed` have ended.

    Raises InsufficientCredits, CreditsOwed, SpendingPaused, WalletSuspended. What counts is the reservation
    itself.
    """
    wallet = get_wallet(user_id)
    if wallet.is_suspended:
        raise WalletSuspended
    if wallet.is_paused:
        raise SpendingPaused
    if wallet.debt:
        packs = list_packs_covering(amount + wallet.debt)
        raise CreditsOwed(required=amount, owed=wallet.debt, packs=packs)
    coming = Hold.objects.filter(id__in=list(freed), state=Hold.State.HELD)
    available = wallet.available + sum(hold.amount for hold in coming)
    if available < amount:
        packs = list_packs_covering(amount - available)
        raise InsufficientCredits(required=amount, available=available, packs=packs)


def list_transactions(user_id: UUID) -> QuerySet[LedgerTransaction]:
    """The user's history, latest first, without the platform's own losses."""
    entries = LedgerEntry.objects.select_related("account").filter(account__wallet__isnull=False)
    return (
        LedgerTransaction.objects.filter(wallet_id=user_id)
        .exclude(amount=0)
        .order_by("-number")
        .prefetch_related(Prefetch("entries", entries, to_attr="bucket_entries"))
    )


def get_receipt(hold_id: UUID) -> Receipt:
    """What became of a hold. Raises UnknownHold."""
    hold = Hold.objects.filter(id=hold_id).first()
    if hold is None:
        raise UnknownHold
    charge = (
        LedgerTransaction.objects.filter(key__in=[f"charge:{hold_id}", f"write_off:{hold_id}"])
        .prefetch_related(Prefetch("entries", LedgerEntry.objects.select_related("account")))
        .first()
    )
    entries = charge.entries.all() if charge else []
    return Receipt(
        state=hold.state,
        held=hold.amount,
        charged=hold.captured,
        written_off=hold.written_off,
        buckets={entry.account.name: entry.amount for entry in entries if entry.account.wallet_id},
        description=charge.description if charge else "",
        details=charge.details if charge else {},
    )


def get_subscription(user_id: UUID) -> Subscription | None:
    """The subscription that gives the user's tier; where none does, one that waits for money, else None."""
    own = Subscription.objects.filter(user_id=user_id).select_related("plan", "tier", "next_plan")
    giving = own.filter(entitled_until__gt=timezone.now())
    best = giving.order_by("-tier__position", "-entitled_until", "-id").first()
    return best or own.filter(state__in=["on_hold", "pending"]).order_by("-id").first()


def list_bought_subscriptions(user_id: UUID) -> list[Subscription]:
    """What somebody bought and has, or waits for its money, best first; what was given is not among it."""
    own = Subscription.objects.filter(user_id=user_id).exclude(store=Store.GIVEN)
    there = own.filter(
        Q(entitled_until__gt=timezone.now())
        | Q(state__in=[Subscription.State.ON_HOLD, Subscription.State.PENDING])
    )
    return sorted(there.select_related("plan", "tier", "next_plan"), key=_rank, reverse=True)


def get_bought_subscription(user_id: UUID) -> Subscription | None:
    """The bought subscription somebody can do something with, whatever they were given beside it.

    One that renews comes before a plan for life of a lower tier, also while it waits for money.
    """
    rows = list_bought_subscriptions(user_id)
    for_life = max((row.tier.position for row in rows if _is_for_life(row)), default=-1)
    renewing = [row for row in rows if not _is_for_life(row) and row.tier.position > for_life]
    return next(iter([*renewing, *rows]), None)


def get_given_subscription(user_id: UUID) -> Subscription | None:
    """The tier somebody was given, while it lasts."""
    own = Subscription.objects.filter(user_id=user_id, store=Store.GIVEN, entitled_until__gt=timezone.now())
    return own.select_related("tier").first()


def had_subscription(user_id: UUID) -> bool:
    """Whether somebody ever subscribed; a tier that was given does not count."""
    return Subscription.objects.filter(user_id=user_id).exclude(store=Store.GIVEN).exists()


def had_subscription_since(user_id: UUID, moment: datetime) -> bool:
    own = Subscription.objects.filter(user_id=user_id, started_at__gte=moment)
    return own.exclude(store=Store.GIVEN).exists()


def had_unpaid_end_since(user_id: UUID, moment: datetime) -> bool:
    """Whether a subscription ended while a payment for it was due."""
    ends = SubscriptionEvent.objects.filter(
        subscription__user_id=user_id,
        from_state__in=[Subscription.State.GRACE, Subscription.State.ON_HOLD],
        to_state=Subscription.State.EXPIRED,
        created_at__gte=moment,
    )
    return ends.exclude(subscription__store=Store.GIVEN).exists()


def has_begun(user_id: UUID, plan: str, moment: datetime) -> bool:
    """Whether a subscription to `plan` gives its tier that began at `moment` or later."""
    own = Subscription.objects.filter(user_id=user_id, plan_id=plan, started_at__gte=moment)
    return own.filter(entitled_until__gt=timezone.now()).exists()


def is_customer(user_id: UUID) -> bool:
    """Whether somebody has papers at a store that has a page for them."""
    open_ones = STRIPE_LIKE - modes.closed_test_stores()
    return StoreCustomer.objects.filter(user_id=user_id, store__in=open_ones).exists()


def list_subscriptions(user_id: UUID) -> QuerySet[Subscription]:
    """Everything somebody ever had, latest first."""
    return Subscription.objects.filter(user_id=user_id).select_related("plan", "tier").order_by("-id")


def list_subscription_events(user_id: UUID) -> QuerySet[SubscriptionEvent]:
    return SubscriptionEvent.objects.filter(subscription__user_id=user_id).order_by("-created_at", "-number")


def list_payments(user_id: UUID) -> QuerySet[Payment]:
    return Payment.objects.filter(user_id=user_id).order_by("-paid_at", "-id")


def get_payment(user_id: UUID, payment_id: UUID) -> Payment:
    """A payment of the user's with what came back of it. Raises NotFound."""
    payment = Payment.objects.filter(user_id=user_id, id=payment_id).prefetch_related("refunds").first()
    if payment is None:
        raise NotFound
    return payment


def list_tiers() -> QuerySet[Tier]:
    return Tier.objects.order_by("position")


def list_plans() -> QuerySet[Plan]:
    return Plan.objects.filter(is_active=True).order_by("position", "slug")


def list_packs() -> QuerySet[Pack]:
    return Pack.objects.filter(is_active=True).order_by("position", "slug")


def list_actions() -> QuerySet[ActionPrice]:
    return ActionPrice.objects.order_by("position", "slug")


def list_packs_covering(shortage: int) -> list[dict[str, str]]:
    """The packs on sale that alone make up for `shortage` microcredits; else the largest one."""
    packs = sorted(list_packs(), key=lambda pack: pack.credits)
    covering = [pack for pack in packs if pack.credits >= shortage] or packs[-1:]
    return [
        {
            "slug": pack.slug,
            "name": pack.name,
            "credits": format_credits(pack.credits),
            "price": format_amount(pack.price, pack.currency),
            "currency": pack.currency,
        }
        for pack in covering
    ]


def get_gift(occasion: str) -> int:
    """Microcredits given on the occasion; 0 where there is no such gift."""
    return Gift.objects.filter(slug=occasion).values_list("credits", flat=True).first() or 0


def _rank(row: Subscription) -> tuple[bool, int, float, str]:
    until = row.entitled_until.timestamp() if row.entitled_until is not None else 0
    return row.is_entitled, row.tier.position, until, str(row.id)


def _is_for_life(row: Subscription) -> bool:
    return row.is_entitled and row.period_end is None


def _find_wallet(user_id: UUID) -> Wallet | None:
    return Wallet.objects.select_related("tier").filter(user_id=user_id).first()


def _is_over(wallet: Wallet, now: datetime) -> bool:
    has_other_tier = wallet.tier_until is not None and now >= wallet.tier_until
    return has_other_tier or now >= _next_day_starts_at(wallet)


def _next_day_starts_at(wallet: Wallet) -> datetime:
    if wallet.day_zone == settings.TIME_ZONE:
        return wallet.next_day_at
    midnight = timezone.make_aware(datetime.combine(wallet.day + timedelta(days=1), time.min))
    return max(midnight, wallet.opened_at + _SHORTEST_DAY)
