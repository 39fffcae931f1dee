"""Money that came in, and what came back of it. Each happens once per payment of a store, whoever tells."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from billing import database
from billing.errors import NotOurs, Quarantined, UnknownWallet
from billing.events import publish_wallet_changed
from billing.models import (
    Bucket,
    Dispute,
    LedgerTransaction,
    Order,
    Pack,
    Payment,
    Plan,
    Refund,
    Store,
    StoreCustomer,
    Subscription,
    SubscriptionEvent,
)
from billing.services import subscriptions
from billing.stores.base import (
    DisputeFacts,
    DisputeStanding,
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    SubscriptionFacts,
)
from common import jobs

Kind = LedgerTransaction.Kind


@dataclass(frozen=True, slots=True)
class _Telling:
    """What a store told, when it was asked, and when that is written down."""

    store: Store
    facts: PaymentFacts
    asked_at: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class _Sale:
    """What a payment is for and gives."""

    name: str
    bucket: Bucket
    credits: int
    kind: Kind
    subscription: Subscription | None = None


def apply_facts(
    *, store: Store, facts: PaymentFacts, asked_at: datetime, now: datetime | None = None
) -> Payment | None:
    """Book a payment a store told of, with its refunds and disputes; None where nothing was paid.

    Keyed by what is unique at the store, so any number of events, polls and retries book it once.
    Subscriptions are applied before their payments. Raises NotOurs for what is none of ours, Quarantined
    where it contradicts the order: nothing is booked then.
    """
    told = _Telling(store, facts, asked_at, now or timezone.now())
    return database.atomically(lambda: _apply(told))


def _apply(told: _Telling) -> Payment | None:
    facts = told.facts
    order = _lock_order(told.store, facts)
    known = Payment.objects.select_for_update().filter(store=told.store, external_id=facts.external_id)
    payment = known.first()
    if payment is None:
        if facts.standing != PaymentStanding.PAID:
            _end_unpaid(order, facts, told.now)
            return None
        payment = _book(told, order)
    _apply_returns(payment, facts, told.now)
    _reverse_failed_refunds(payment, told)
    return payment


def _lock_order(store: Store, facts: PaymentFacts) -> Order | None:
    if facts.order_id is None:
        return None
    return Order.objects.select_for_update(of=("self",)).filter(id=facts.order_id, store=store).first()


def _end_unpaid(order: Order | None, facts: PaymentFacts, now: datetime) -> None:
    if order is not None and order.state == Order.State.OPEN and facts.standing == PaymentStanding.FAILED:
        order.state, order.ended_at = Order.State.FAILED, now
        order.save(update_fields=["state", "ended_at"])


def _book(told: _Telling, order: Order | None) -> Payment:
    store, facts, now = told.store, told.facts, told.now
    user_id = _owner(store, facts, order)
    sale = _sale(told, order, user_id)
    payment = Payment.objects.create(
        user_id=user_id,
        store=store,
        external_id=facts.external_id,
        order=order,
        subscription=sale.subscription,
        name=sale.name,
        bucket=sale.bucket,
        credits=sale.credits,
        amount=facts.amount,
        tax=facts.tax,
        currency=facts.currency,
        paid_at=facts.paid_at or now,
        period_start=facts.period_start,
        period_end=facts.period_end,
        document_url=facts.document_url,
    )
    _remember_customer(store, facts, user_id)
    if order is not None and order.state != Order.State.PAID:
        order.state, order.ended_at = Order.State.PAID, now
        order.save(update_fields=["state", "ended_at"])
    outcome, _transaction, available = database.call(
        "billing_book_payment",
        user_id,
        str(sale.bucket),
        sale.credits,
        str(sale.kind),
        f"payment:{store}:{facts.external_id}",
        payment.reference,
        sale.name,
        "{}",
        facts.currency,
        facts.amount,
        facts.tax,
        now=now,
    )
    if outcome == "no_wallet":
        raise UnknownWallet
    publish_wallet_changed(user_id, available)
    jobs.enqueue("billing.mail_receipt", key=str(payment.id), payment_id=str(payment.id))
    return payment


def _owner(store: Store, facts: PaymentFacts, order: Order | None) -> UUID:
    known = StoreCustomer.objects.filter(store=store, external_id=facts.customer_id).first()
    of_customer = known.user_id if known is not None and facts.customer_id else None
    claims = {
        claim for claim in (order.user_id if order else None, facts.user_id, of_customer) if claim is not None
    }
    if not claims:
        raise NotOurs("nobody of ours")
    if len(claims) > 1:
        raise Quarantined(
            f"paid by {of_customer}, said to be {facts.user_id}'s, ordered by {order and order.user_id}"
        )
    return claims.pop()


def _remember_customer(store: Store, facts: PaymentFacts, user_id: UUID) -> None:
    """Who paid is known from when the checkout was opened, except after a backup was restored."""
    if facts.customer_id:
        row = StoreCustomer(user_id=user_id, store=store, external_id=facts.customer_id)
        StoreCustomer.objects.bulk_create([row], ignore_conflicts=True)


def _sale(told: _Telling, order: Order | None, user_id: UUID) -> _Sale:
    store, facts = told.store, told.facts
    if order is not None:
        _check_against_order(facts, order)
    if facts.pack:
        return _pack_sale(facts, order)
    plan = Plan.objects.filter(slug=facts.plan).first()
    if plan is None:
        raise NotOurs(f"neither pack nor plan: {facts.pack or facts.plan!r}")
    if not facts.subscription_id:
        return _lifetime_sale(told, plan, order, user_id)
    row = Subscription.objects.filter(store=store, external_id=facts.subscription_id).first()
    if row is None or row.user_id != user_id:
        raise Quarantined(f"no subscription {facts.subscription_id} of {user_id}")
    if order is not None and row.bonus_credits != order.credits:
        # As it was on sale when it was ordered, for every period to come.
        row.bonus_credits = order.credits
        row.save(update_fields=["bonus_credits"])
    return _Sale(plan.name, Bucket.BONUS, _earned_bonus(row, plan, facts, order), Kind.PLAN, row)


def _check_against_order(facts: PaymentFacts, order: Order) -> None:
    """What was paid must be what we asked for; discounts and taxes are not in `earned`."""
    is_trial = bool(order.trial_days and facts.subscription_id and not facts.earned)
    ordered = (order.pack_id or "", order.plan_id or "", 0 if is_trial else order.price, order.currency)
    paid = (facts.pack, facts.plan, facts.earned, facts.currency)
    if ordered != paid:
        raise Quarantined(f"ordered {ordered}, paid {paid}")


def _pack_sale(facts: PaymentFacts, order: Order | None) -> _Sale:
    if order is not None:
        return _Sale(order.name, Bucket.PURCHASED, order.credits, Kind.PURCHASE)
    pack = Pack.objects.filter(slug=facts.pack).first()
    if pack is None:
        raise NotOurs(f"no pack {facts.pack!r}")
    return _Sale(pack.name, Bucket.PURCHASED, pack.credits * facts.quantity, Kind.PURCHASE)


def _lifetime_sale(told: _Telling, plan: Plan, order: Order | None, user_id: UUID) -> _Sale:
    facts = told.facts
    if plan.period != Plan.Period.LIFETIME:
        raise Quarantined(f"{plan.slug} was paid for without a subscription")
    row = subscriptions.apply_facts(
        store=told.store,
        facts=SubscriptionFacts(
            external_id=lifetime_id(facts.external_id),
            standing=Standing.ACTIVE,
            plan=plan.slug,
            user_id=user_id,
            price=facts.earned,
            currency=facts.currency,
            started_at=facts.paid_at,
            period_start=facts.paid_at,
        ),
        asked_at=told.asked_at,
        now=told.now,
    )
    credits = order.credits if order is not None else plan.bonus_credits
    jobs.enqueue("billing.end_beside_lifetime", key=str(row.id), user_id=str(user_id))
    return _Sale(plan.name, Bucket.BONUS, credits, Kind.PLAN, row)


def lifetime_id(payment_id: str) -> str:
    """What a plan for life is called among subscriptions: the store only knows its payment."""
    return f"lifetime:{payment_id}"


def _earned_bonus(row: Subscription, plan: Plan, facts: PaymentFacts, order: Order | None) -> int:
    """The plan's bonus in proportion to what was paid of a period's price.

    So an upgrade in mid-period gives its part, and changing to and fro gives nothing that was not paid for.
    """
    whole = row.bonus_credits if row.plan_id == plan.slug else plan.bonus_credits
    price = row.price if row.plan_id == plan.slug else plan.price
    if order is not None and order.plan_id == plan.slug:
        whole, price = order.credits, order.price
    if not price:
        return whole if facts.earned > 0 else 0
    return whole * max(0, min(facts.earned, price)) // price


def _apply_returns(payment: Payment, facts: PaymentFacts, now: datetime) -> None:
    """Refunds and disputes in the order in which they happened, then what the banks decided.

    So one look at the end leaves the wallet as many looks on the way do. Of the same second refunds come
    first: nobody can refund what is disputed.
    """
    known = set(payment.refunds.values_list("external_id", flat=True))
    happened: list[tuple[datetime, bool, str, RefundFacts | DisputeFacts]] = [
        *((fact.refunded_at, False, fact.external_id, fact) for fact in facts.refunds),
        *((fact.opened_at, True, fact.external_id, fact) for fact in facts.disputes),
    ]
    for _moment, _is_dispute, external_id, fact in sorted(happened, key=lambda item: item[:3]):
        if isinstance(fact, DisputeFacts):
            _open_dispute(payment, fact, now)
        elif external_id not in known:
            _book_return(payment, Refund.Kind.REFUND, fact, now)
    for dispute in facts.disputes:
        _close_dispute(payment, dispute, now)


def _book_return(payment: Payment, kind: str, facts: RefundFacts, now: datetime) -> None:
    external_id, amount = facts.external_id, facts.amount
    counted = min(amount, payment.amount - payment.returned)
    returned = payment.returned + counted
    credits = _share(payment.credits, returned, payment.amount) - payment.credits_returned
    tax = _share(payment.tax, returned, payment.amount) - _share(
        payment.tax, payment.returned, payment.amount
    )
    _outcome, _transaction, available, owed = database.call(
        "billing_book_return",
        payment.user_id,
        payment.bucket,
        credits,
        str(Kind.REFUND if kind == Refund.Kind.REFUND else Kind.CHARGEBACK),
        f"{kind}:{payment.id}:{external_id}",
        payment.reference,
        payment.name,
        payment.currency,
        counted,
        tax,
        now=now,
    )
    Refund.objects.create(
        payment=payment,
        external_id=external_id,
        kind=kind,
        amount=amount,
        counted=counted,
        credits=credits,
        debt=owed,
        refunded_at=facts.refunded_at,
    )
    payment.returned, payment.credits_returned = returned, payment.credits_returned + credits
    payment.save(update_fields=["returned", "credits_returned"])
    publish_wallet_changed(payment.user_id, available)
    jobs.enqueue(
        "billing.mail_refund",
        key=f"{payment.id}:{external_id}",
        payment_id=str(payment.id),
        external_id=external_id,
    )
    _end_what_was_paid_back(payment, kind, now)


def _share(whole: int, part: int, total: int) -> int:
    return whole * part // total if total else 0


def _reverse_failed_refunds(payment: Payment, told: _Telling) -> None:
    """A refund the store stops telling of, when asked after we booked it, did not reach anybody."""
    rows = payment.refunds.all()
    reversed_ids = {row.external_id for row in rows if row.kind == Refund.Kind.REVERSED}
    still_told = {fact.external_id for fact in told.facts.refunds}
    for row in rows:
        is_gone = row.kind == Refund.Kind.REFUND and row.external_id not in still_told
        if is_gone and row.created_at < told.asked_at and _reversal_id(row) not in reversed_ids:
            _reverse(payment, row, told.now)


def _reversal_id(row: Refund) -> str:
    return f"{row.external_id}:failed"


def _reverse(payment: Payment, row: Refund, now: datetime) -> None:
    returned = payment.returned - row.counted
    tax = _share(payment.tax, payment.returned, payment.amount) - _share(
        payment.tax, returned, payment.amount
    )
    _outcome, _transaction, available = database.call(
        "billing_book_payment",
        payment.user_id,
        payment.bucket,
        row.credits,
        str(Kind.REVERSED),
        f"{Refund.Kind.REVERSED}:{payment.id}:{_reversal_id(row)}",
        payment.reference,
        payment.name,
        "{}",
        payment.currency,
        row.counted,
        tax,
        now=now,
    )
    Refund.objects.create(
        payment=payment,
        external_id=_reversal_id(row),
        kind=Refund.Kind.REVERSED,
        amount=row.amount,
        counted=row.counted,
        credits=row.credits,
        debt=0,
        refunded_at=now,
    )
    payment.returned, payment.credits_returned = returned, payment.credits_returned - row.credits
    payment.save(update_fields=["returned", "credits_returned"])
    publish_wallet_changed(payment.user_id, available)


def _end_what_was_paid_back(payment: Payment, kind: str, now: datetime) -> None:
    """Nobody keeps a tier whose present period was paid back whole, or taken back by a bank."""
    row = payment.subscription
    if row is None or row.standing == Standing.ENDED:
        return
    is_present = payment.period_end is None or row.period_end is None or payment.period_end >= row.period_end
    is_back = payment.returned == payment.amount or kind == Refund.Kind.CHARGEBACK
    if not (payment.amount and is_present and is_back):
        return
    subscriptions.end_now(
        subscription_id=row.id, cause=SubscriptionEvent.Cause.STORE, reason="paid back", now=now
    )
    jobs.enqueue("billing.end_at_store", key=str(row.id), subscription_id=str(row.id))


def _open_dispute(payment: Payment, facts: DisputeFacts, now: datetime) -> None:
    if payment.disputes.filter(external_id=facts.external_id).exists():
        return
    row = Dispute.objects.create(
        payment=payment,
        external_id=facts.external_id,
        state=Dispute.State.OPEN,
        amount=facts.amount,
        opened_at=facts.opened_at,
    )
    _freeze(payment, row, now)
    jobs.enqueue("billing.tell_staff_of_dispute", key=str(row.id), dispute_id=str(row.id))


def _close_dispute(payment: Payment, facts: DisputeFacts, now: datetime) -> None:
    if facts.standing == DisputeStanding.OPEN:
        return
    row = payment.disputes.select_for_update().get(external_id=facts.external_id)
    if row.state != Dispute.State.OPEN:
        return
    _unfreeze(payment, row, now)
    row.state, row.closed_at = Dispute.State(str(facts.standing)), now
    row.save(update_fields=["state", "closed_at", "frozen_bonus", "frozen_purchased"])
    if facts.standing == DisputeStanding.LOST:
        taken = RefundFacts(facts.external_id, facts.amount, now)
        _book_return(payment, Refund.Kind.CHARGEBACK, taken, now)


def _freeze(payment: Payment, row: Dispute, now: datetime) -> None:
    left = payment.credits - payment.credits_returned
    disputed = _share(payment.credits, min(row.amount, payment.amount), payment.amount)
    _outcome, row.frozen_bonus, row.frozen_purchased, available = database.call(
        "billing_freeze",
        payment.user_id,
        payment.bucket,
        min(left, disputed),
        f"freeze:{row.id}",
        payment.reference,
        now=now,
    )
    row.save(update_fields=["frozen_bonus", "frozen_purchased"])
    publish_wallet_changed(payment.user_id, available)


def _unfreeze(payment: Payment, row: Dispute, now: datetime) -> None:
    _outcome, available = database.call(
        "billing_unfreeze",
        payment.user_id,
        row.frozen_bonus,
        row.frozen_purchased,
        f"unfreeze:{row.id}",
        payment.reference,
        now=now,
    )
    row.frozen_bonus = row.frozen_purchased = 0
    publish_wallet_changed(payment.user_id, available)
