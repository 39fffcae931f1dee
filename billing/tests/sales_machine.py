"""Random sales for the ledger's state machine: payments, refunds, disputes, subscriptions, own limits."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.models import Payment, Store, Subscription, Wallet
from billing.services import payments, subscriptions
from billing.stores.base import (
    DisputeFacts,
    DisputeStanding,
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    SubscriptionFacts,
)
from billing.tests.ledger_model import WalletModel
from common.credits import MICRO

STORE = Store.STRIPE
PACKS = {"credits_10": 10 * MICRO, "credits_100": 100 * MICRO, "credits_500": 550 * MICRO}
# Slug -> tier, price, bonus.
PLANS = {
    "premium_monthly": ("premium", 999, 200 * MICRO),
    "vip_monthly": ("vip", 2999, 1000 * MICRO),
    "premium_daily": ("premium", 99, 0),
}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class PaymentModel:
    owner: UUID
    external_id: str
    bucket: int
    credits: int
    amount: int
    facts: dict[str, Any]
    returned: int = 0
    credits_returned: int = 0
    refunds: list[RefundFacts] = field(default_factory=list)
    disputes: list[DisputeFacts] = field(default_factory=list)
    frozen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def as_facts(self) -> PaymentFacts:
        return PaymentFacts(
            external_id=self.external_id,
            standing=PaymentStanding.PAID,
            user_id=self.owner,
            amount=self.amount,
            currency="USD",
            refunds=tuple(self.refunds),
            disputes=tuple(self.disputes),
            **self.facts,
        )

    def give_back(self, wallet: WalletModel, amount: int) -> None:
        counted = min(amount, self.amount - self.returned)
        self.returned += counted
        target = self.credits * self.returned // self.amount if self.amount else 0
        wallet.take_back(self.bucket, target - self.credits_returned, counted)
        self.credits_returned = target


@dataclass
class SubscriptionModel:
    owner: UUID
    external_id: str
    plan: str
    ended: bool = False


class SalesSteps:
    """What a Machine does beside holds and grants. Its users' payments and subscriptions are kept here."""

    def __init__(self) -> None:
        self.payments: list[PaymentModel] = []
        self.subscriptions: list[SubscriptionModel] = []
        self.asked = 0
        self.latest = LONG_AGO

    # --- money in ---

    def pay(self: Any, user_id: UUID) -> None:
        own = [payment for payment in self.payments if payment.owner == user_id]
        if own and self.chance.random() < 0.25:
            self.tell_again(self.chance.choice(own))
            return
        subscribed = [row for row in self.subscriptions if row.owner == user_id]
        if subscribed and self.chance.random() < 0.5:
            self.pay_for_plan(user_id, self.chance.choice(subscribed))
        else:
            self.pay_for_pack(user_id)

    def pay_for_pack(self: Any, user_id: UUID) -> None:
        # Small ones are spent before their money goes back.
        slug = self.chance.choices(list(PACKS), weights=[8, 2, 1])[0]
        amount = self.chance.choice([0, *[self.chance.randrange(1, 4000) for _ in range(5)]])
        facts = {"pack": slug, "earned": amount, "tax": self.chance.randrange(amount + 1)}
        self.book(PaymentModel(user_id, f"pi_{self.next_key()}", 2, PACKS[slug], amount, facts), "pack paid")

    def pay_for_plan(self: Any, user_id: UUID, row: SubscriptionModel) -> None:
        _tier, price, bonus = PLANS[row.plan]
        earned = self.chance.choice([price, price, self.chance.randrange(price + 300)])
        facts = {"plan": row.plan, "earned": earned, "subscription_id": row.external_id}
        credits = bonus * min(earned, price) // price
        amount = self.chance.choice([earned, earned // 2])
        self.book(PaymentModel(user_id, f"in_{self.next_key()}", 1, credits, amount, facts), "plan paid")

    def book(self: Any, payment: PaymentModel, name: str) -> None:
        def model(wallet: WalletModel) -> bool:
            wallet.pay(payment.bucket, payment.credits, payment.amount)
            self.payments.append(payment)
            return True

        expected, answer = self.run(self.wallets[payment.owner], model, lambda: self.tell(payment))
        if expected:
            assert isinstance(answer, Payment)
            assert (answer.credits, answer.amount) == (payment.credits, payment.amount)
            self.count(name)

    def tell_again(self: Any, payment: PaymentModel) -> None:
        self.count("payment told again")
        self.tell(payment)

    def tell(self: Any, payment: PaymentModel) -> Payment | None:
        return payments.apply_facts(store=STORE, facts=payment.as_facts(), asked_at=self.ask(), now=self.now)

    def ask(self: Any) -> datetime:
        """Stores are asked one after the other, whatever our clock does."""
        self.asked += 1
        return LONG_AGO + timedelta(seconds=self.asked)

    # --- money back ---

    def give_back(self: Any, user_id: UUID) -> None:
        own = [payment for payment in self.payments if payment.owner == user_id]
        if not own:
            return
        payment = self.chance.choice(own)
        is_open = [fact for fact in payment.disputes if fact.standing == DisputeStanding.OPEN]
        kind = self.chance.random()
        if is_open and kind < 0.5:
            self.decide(payment, self.chance.choice(is_open))
        elif kind < 0.75:
            self.refund(payment)
        else:
            self.dispute(payment)

    def refund(self: Any, payment: PaymentModel) -> None:
        part = self.chance.randrange(payment.amount + 500)
        amount = self.chance.choice([payment.amount, payment.amount, payment.amount + 1, part])
        fact = RefundFacts(f"re_{self.next_key()}", amount, self.ask())
        payment.refunds.append(fact)

        def model(wallet: WalletModel) -> bool:
            payment.give_back(wallet, amount)
            if payment.returned == payment.amount:
                self.end_plan(wallet, payment)
            return True

        self.tell_change(payment, model, "refunded", lambda: payment.refunds.remove(fact))

    def dispute(self: Any, payment: PaymentModel) -> None:
        amount = self.chance.choice([payment.amount, self.chance.randrange(payment.amount + 1)])
        fact = DisputeFacts(f"dp_{self.next_key()}", DisputeStanding.OPEN, amount, self.ask())
        payment.disputes.append(fact)

        def model(wallet: WalletModel) -> bool:
            disputed = (
                payment.credits * min(amount, payment.amount) // payment.amount if payment.amount else 0
            )
            left = payment.credits - payment.credits_returned
            payment.frozen[fact.external_id] = wallet.freeze(payment.bucket, min(left, disputed))
            return True

        self.tell_change(payment, model, "disputed", lambda: payment.disputes.remove(fact))

    def decide(self: Any, payment: PaymentModel, fact: DisputeFacts) -> None:
        standing = self.chance.choice([DisputeStanding.WON, DisputeStanding.LOST])
        place = payment.disputes.index(fact)
        payment.disputes[place] = DisputeFacts(fact.external_id, standing, fact.amount, fact.opened_at)

        def model(wallet: WalletModel) -> bool:
            wallet.unfreeze(payment.frozen.pop(fact.external_id))
            if standing == DisputeStanding.LOST:
                payment.give_back(wallet, fact.amount)
                self.end_plan(wallet, payment)
            return True

        def forget() -> None:
            payment.disputes[place] = fact

        self.tell_change(payment, model, f"dispute {standing}", forget)

    def end_plan(self: Any, wallet: WalletModel, payment: PaymentModel) -> None:
        """A plan whose money is gone gives nothing any more, for good."""
        for row in self.subscriptions:
            is_its = row.external_id == payment.facts.get("subscription_id")
            if is_its and payment.amount and not row.ended:
                row.ended = True
                wallet.give(row.external_id, None, self.now)

    def tell_change(self: Any, payment: PaymentModel, model: Any, name: str, forget: Any) -> None:
        expected, answer = self.run(self.wallets[payment.owner], model, lambda: self.tell(payment))
        if expected is None:
            # It did not happen in the end, so the store tells nothing of it either.
            forget()
            return
        assert isinstance(answer, Payment)
        assert (answer.returned, answer.credits_returned) == (payment.returned, payment.credits_returned)
        self.count(name)

    # --- subscriptions ---

    def subscribe(self: Any, user_id: UUID) -> None:
        own = [row for row in self.subscriptions if row.owner == user_id]
        if own and self.chance.random() < 0.8:
            row = self.chance.choice(own)
            if self.chance.random() < 0.2:
                row.plan = self.chance.choice(list(PLANS))
        else:
            row = SubscriptionModel(user_id, f"sub_{self.next_key()}", self.chance.choice(list(PLANS)))
            self.subscriptions.append(row)
        self.tell_subscription(row)

    def tell_subscription(self: Any, row: SubscriptionModel) -> None:
        standing = self.chance.choice([*[Standing.ACTIVE] * 5, *Standing])
        end = self.now + timedelta(hours=self.chance.randrange(-100, 900))
        facts = SubscriptionFacts(
            external_id=row.external_id,
            standing=standing,
            plan=row.plan,
            user_id=row.owner,
            price=PLANS[row.plan][1],
            currency="USD",
            period_end=end,
            ends_at_period_end=self.chance.random() < 0.3,
            past_due_since=self.now - timedelta(hours=self.chance.randrange(100)),
        )
        right = right_of(facts, self.now)
        if row.ended:
            # Nothing revives it, and its wallet is not even looked at.
            answer = subscriptions.apply_facts(store=STORE, facts=facts, asked_at=self.ask(), now=self.now)
            assert (answer.state, answer.entitled_until) == ("expired", None)
            row.plan = answer.plan_id or row.plan
            return

        def model(wallet: WalletModel) -> bool:
            wallet.give(row.external_id, (PLANS[row.plan][0], right) if right else None, self.now)
            row.ended = has_ended(facts, self.now)
            return True

        # A crash leaves the row unborn: then nobody can pay for it.
        expected, answer = self.run(
            self.wallets[row.owner],
            model,
            lambda: subscriptions.apply_facts(store=STORE, facts=facts, asked_at=self.ask(), now=self.now),
        )
        if expected is None:
            if not Subscription.objects.filter(external_id=row.external_id).exists():
                self.subscriptions.remove(row)
            else:
                row.plan = Subscription.objects.values_list("plan_id", flat=True).get(
                    external_id=row.external_id
                )
            return
        assert isinstance(answer, Subscription)
        self.count(f"subscription {answer.state}")

    def move_on(self: Any) -> set[UUID]:
        """What time alone does to subscriptions."""
        due = subscriptions.list_due(self.now, 1000)
        for stored in due:
            subscriptions.advance(stored.id, now=self.now)
            row = next(row for row in self.subscriptions if row.external_id == stored.external_id)
            wallet = self.wallets[row.owner]
            wallet.open(self.now, self.zone)
            facts = SubscriptionFacts(
                external_id=row.external_id,
                standing=Standing(stored.standing),
                plan=row.plan,
                user_id=row.owner,
                period_end=stored.period_end,
                ends_at_period_end=stored.ends_at_period_end,
                past_due_since=stored.past_due_since,
            )
            right = right_of(facts, self.now)
            wallet.give(row.external_id, (stored.tier_id, right) if right else None, self.now)
            row.ended = row.ended or has_ended(facts, self.now)
            self.count("subscription moved on")
        return {row.user_id for row in due}

    # --- the owner's own limits ---

    def limit_oneself(self: Any, user_id: UUID) -> None:
        wallet = self.wallets[user_id]
        caps: list[int | None] = [None, None, *[self.chance.randrange(1, 40 * MICRO) for _ in range(2)]]
        wallet.message_cap, wallet.day_cap = self.chance.choice(caps), self.chance.choice(caps)
        wallet.is_paused = self.chance.random() < 0.05
        wallet.open(self.now, self.zone)
        self.open_really(user_id)
        Wallet.objects.filter(pk=user_id).update(
            message_cap=wallet.message_cap,
            day_cap=wallet.day_cap,
            paused_at=self.now if wallet.is_paused else None,
        )
        self.count("limits set")


def right_of(facts: SubscriptionFacts, now: datetime) -> datetime | None:
    """Until when a subscription gives its tier, said a second time and in other words."""
    grace = timedelta(days=3)
    if facts.standing in (Standing.PENDING, Standing.ON_HOLD, Standing.ENDED):
        return None
    if facts.standing == Standing.PAST_DUE:
        assert facts.past_due_since is not None
        end = facts.past_due_since + grace
    else:
        assert facts.period_end is not None
        end = facts.period_end + (timedelta(0) if facts.ends_at_period_end else grace)
    return end if end > now else None


def has_ended(facts: SubscriptionFacts, now: datetime) -> bool:
    """What the store ended is over for good; what time ended is not."""
    return facts.standing == Standing.ENDED
