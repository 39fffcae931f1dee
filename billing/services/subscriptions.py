"""Subscriptions of every store: what a store says is written down, and its user's tier follows at once."""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db.models import Q
from django.utils import timezone

from billing import database, subscription_states
from billing.errors import NotOurs, Quarantined, UnknownWallet
from billing.events import publish_wallet_changed
from billing.models import Plan, Store, StoreCustomer, Subscription, SubscriptionEvent, Tier
from billing.stores.base import Standing, SubscriptionFacts
from common import jobs

Cause = SubscriptionEvent.Cause
logger = structlog.get_logger("parlor.billing")

# What is worth a line in the history, as it is called there.
_TOLD = ("state", "plan_id", "period_end", "ends_at_period_end", "next_plan_id")


def apply_facts(
    *,
    store: Store,
    facts: SubscriptionFacts,
    asked_at: datetime,
    cause: Cause = Cause.STORE,
    actor_id: UUID | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> Subscription:
    """Write down what `store` said about a subscription when asked at `asked_at`, and give or take its tier.

    Older answers than the newest one, and anything about a subscription that ended, change nothing, so facts
    may come in any order and any number of times. Raises NotOurs for people or products that are none of
    ours, Quarantined where the subscription belongs to somebody else by our books.
    """
    return database.atomically(
        lambda: _apply(store, facts, asked_at, _Author(cause, actor_id, reason), now or timezone.now())
    )


def advance(subscription_id: UUID, *, now: datetime | None = None) -> bool:
    """Move a subscription on by time alone; False where its time has not come, or news came first."""
    return database.atomically(lambda: _advance(subscription_id, now or timezone.now()))


def list_due(now: datetime, limit: int) -> list[Subscription]:
    """Subscriptions whose time has come without a word of their store, the longest waiting first."""
    return list(Subscription.objects.filter(due_at__lte=now).order_by("due_at", "id")[:limit])


def give_tier(
    *,
    user_id: UUID,
    tier: Tier,
    until: datetime | None,
    actor_id: UUID | None,
    reason: str,
    now: datetime | None = None,
) -> Subscription:
    """Give a user `tier` until a moment, or for life, beside whatever they bought. Raises UnknownWallet.

    One gift at a time: it takes the place of an earlier one.
    """
    moment = now or timezone.now()

    def work() -> Subscription:
        row = _given(user_id) or Subscription(
            user_id=user_id,
            store=Store.GIVEN,
            external_id=f"given:{user_id}",
            tier=tier,
            started_at=moment,
            synced_at=moment,
        )
        before = _told(row)
        row.tier = tier
        row.standing, row.ended_at = Standing.ACTIVE, None
        row.period_start, row.period_end, row.ends_at_period_end = moment, until, until is not None
        return _place(row, before, _Author(Cause.STAFF, actor_id, reason), moment)

    return database.atomically(work)


def end_given(*, user_id: UUID, actor_id: UUID | None, reason: str, now: datetime | None = None) -> None:
    """Take back a tier that was given. Raises UnknownWallet."""
    moment = now or timezone.now()

    def work() -> None:
        row = _given(user_id)
        if row is None or row.standing == Standing.ENDED:
            _refresh_tier(user_id, actor_id, reason, moment)
            return
        _end(row, _Author(Cause.STAFF, actor_id, reason), moment)

    database.atomically(work)


def end_now(
    *,
    subscription_id: UUID,
    cause: Cause,
    actor_id: UUID | None = None,
    reason: str,
    now: datetime | None = None,
) -> None:
    """End a subscription of ours at once; its store has been told, or knows nothing of it."""
    moment = now or timezone.now()

    def work() -> None:
        row = Subscription.objects.select_for_update(of=("self",)).get(id=subscription_id)
        if row.standing != Standing.ENDED:
            _end(row, _Author(cause, actor_id, reason), moment)

    database.atomically(work)


class _Author:
    """Who or what changes a subscription, for its history."""

    def __init__(self, cause: Cause, actor_id: UUID | None = None, reason: str = "") -> None:
        self.cause, self.actor_id, self.reason = cause, actor_id, reason


def _apply(
    store: Store, facts: SubscriptionFacts, asked_at: datetime, author: _Author, now: datetime
) -> Subscription:
    row = _lock(store, facts.external_id)
    owner = _owner(store, facts)
    if row is None:
        row = _begin(store, facts, owner, now)
    elif owner is not None and owner != row.user_id:
        raise Quarantined(f"subscription of {row.user_id}, said to be {owner}'s")
    elif row.standing == Standing.ENDED or asked_at < row.synced_at:
        return row
    before = _told(row)
    _write(row, facts, now)
    row.synced_at = asked_at
    row = _place(row, before, author, now)
    if facts.replaces:
        _replace(store, facts.replaces, row, author, now)
    return row


def _owner(store: Store, facts: SubscriptionFacts) -> UUID | None:
    of_customer = _customer(store, facts.customer_id)
    claims = {claim for claim in (facts.user_id, of_customer) if claim is not None}
    if len(claims) > 1:
        raise Quarantined(f"a customer of {of_customer}, said to be {facts.user_id}'s")
    return claims.pop() if claims else None


def _begin(store: Store, facts: SubscriptionFacts, owner: UUID | None, now: datetime) -> Subscription:
    if owner is None:
        raise NotOurs("nobody of ours")
    return Subscription(
        user_id=owner, store=store, external_id=facts.external_id, started_at=facts.started_at or now
    )


def _write(row: Subscription, facts: SubscriptionFacts, now: datetime) -> None:
    if row.plan_id != facts.plan or row.price != facts.price:
        plan = Plan.objects.filter(slug=facts.plan).first()
        if plan is None:
            raise NotOurs(f"no plan {facts.plan!r}")
        row.plan, row.tier_id, row.bonus_credits = plan, plan.tier_id, plan.bonus_credits
    row.price, row.currency = facts.price, facts.currency or row.currency
    row.standing = facts.standing
    row.period_start, row.period_end = facts.period_start, facts.period_end
    row.ends_at_period_end = facts.ends_at_period_end
    row.past_due_since = (facts.past_due_since or now) if facts.standing == Standing.PAST_DUE else None
    row.next_plan_id = _known_plan(facts.next_plan)
    row.ended_at = (facts.ended_at or now) if facts.standing == Standing.ENDED else None


def _known_plan(slug: str) -> str | None:
    """What follows may be a product of the operator that is none of our plans; that is seen when it comes."""
    return slug if slug and Plan.objects.filter(slug=slug).exists() else None


def _place(row: Subscription, before: dict[str, Any], author: _Author, now: datetime) -> Subscription:
    """Derive the state, save the row with a line in its history, and bring the user's tier in line."""
    position = subscription_states.derive(
        standing=row.standing,
        period=subscription_states.Period(row.period_start, row.period_end),
        ends_at_period_end=row.ends_at_period_end,
        past_due_since=row.past_due_since,
        now=now,
    )
    row.state, row.entitled_until, row.due_at = position.state, position.entitled_until, position.due_at
    # What time alone ended may come back: the store's word counts more. What the store ended never does.
    is_over = row.state == Subscription.State.EXPIRED
    row.ended_at = (row.ended_at or now) if is_over else None
    row.save()
    after = _told(row)
    if after != before:
        _note(row, before, after, author)
    _refresh_tier(row.user_id, author.actor_id, author.reason, now)
    return row


def _note(row: Subscription, before: dict[str, Any], after: dict[str, Any], author: _Author) -> None:
    SubscriptionEvent.objects.create(
        subscription=row,
        number=row.events.count() + 1,
        cause=author.cause,
        from_state=before["state"] or "",
        to_state=row.state,
        plan=row.plan_id or row.tier_id,
        period_end=row.period_end,
        changes={
            name: [_plain(before[name]), _plain(after[name])] for name in _TOLD if before[name] != after[name]
        },
        actor_id=author.actor_id,
        reason=author.reason[:1000],
    )
    is_silence = row.state == Subscription.State.GRACE and row.standing != Standing.PAST_DUE
    if before["state"] != row.state and not is_silence:
        jobs.enqueue(
            "billing.tell_subscription_changed",
            subscription_id=str(row.id),
            from_state=before["state"] or "",
            to_state=row.state,
        )


def _advance(subscription_id: UUID, now: datetime) -> bool:
    row = (
        Subscription.objects.select_for_update(of=("self",))
        .filter(id=subscription_id, due_at__lte=now)
        .first()
    )
    if row is None:
        return False
    before = _told(row)
    _place(row, before, _Author(Cause.TIME), now)
    return True


def _replace(store: Store, external_id: str, successor: Subscription, author: _Author, now: datetime) -> None:
    old = _lock(store, external_id)
    if old is None or old.replaced_by_id is not None or old.user_id != successor.user_id:
        return
    old.replaced_by = successor
    if old.standing == Standing.ENDED:
        old.save(update_fields=["replaced_by"])
    else:
        _end(old, author, now)


def _end(row: Subscription, author: _Author, now: datetime) -> None:
    before = _told(row)
    row.standing, row.ended_at, row.past_due_since = Standing.ENDED, now, None
    _place(row, before, author, now)


def _refresh_tier(user_id: UUID, actor_id: UUID | None, reason: str, now: datetime) -> None:
    wallet = database.wallet("billing_refresh_tier", user_id, actor_id, reason[:500], now=now)
    if wallet is None:
        raise UnknownWallet
    publish_wallet_changed(user_id, wallet.available, tier=wallet.tier_id)


def _lock(store: Store, external_id: str) -> Subscription | None:
    rows = Subscription.objects.select_for_update(of=("self",)).select_related("plan")
    return rows.filter(store=store, external_id=external_id).first()


def _given(user_id: UUID) -> Subscription | None:
    return _lock(Store.GIVEN, f"given:{user_id}")


def _customer(store: Store, customer_id: str) -> UUID | None:
    found = StoreCustomer.objects.filter(Q(store=store, external_id=customer_id) & ~Q(external_id=""))
    return found.values_list("user_id", flat=True).first()


def _told(row: Subscription) -> dict[str, Any]:
    return {name: getattr(row, name) or None for name in _TOLD} if row.state else dict.fromkeys(_TOLD)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
