"""What is on sale, in words of somebody who wonders what it gives them."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from billing import selectors
from billing.models import STRIPE_LIKE, Pack, Plan, Store, Subscription, Tier
from billing.services import management
from common.credits import MICRO

_WITH_A_RHYTHM = (Plan.Period.MONTH, Plan.Period.YEAR)


@dataclass(frozen=True, slots=True)
class PackOffer:
    """`replies` is about how many it pays for, None where they are free; `per_hundred` is in cents."""

    pack: Pack
    replies: int | None
    per_hundred: int


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """`way` is what its button does (start, change), or why it has none (yours, coming, elsewhere, none)."""

    plan: Plan
    way: str

    @property
    def emphasis(self) -> str:
        """One button of the page stands out: the first step up, for who has no plan."""
        is_first = self.way == "start" and self.plan.tier.memory == Tier.Memory.BASIC
        return "button-primary" if is_first else ""


@dataclass(frozen=True, slots=True)
class Column:
    """A tier beside its plan for the period one looks at; the first tier has none, and costs nothing."""

    tier: Tier
    replies_a_day: int | None
    is_yours: bool
    offer: PlanOffer | None


@dataclass(frozen=True, slots=True)
class Shelf:
    """The page of prices. `others` are plans without a rhythm of months or years."""

    columns: list[Column]
    others: list[PlanOffer]
    has_years: bool


def get_shelf(*, period: str, current: Subscription | None, tier: Tier | None) -> Shelf:
    """Everything on sale for somebody with `current` and `tier`; both None for who is not signed in."""
    plans = list(selectors.list_plans().select_related("tier"))
    in_rhythm = {plan.tier_id: plan for plan in plans if plan.period == period}
    columns: list[Column] = []
    for each in selectors.list_tiers():
        plan = in_rhythm.get(each.slug)
        if plan is None and columns:
            continue
        columns.append(
            Column(
                tier=each,
                replies_a_day=_replies_a_day(each),
                is_yours=tier is not None and tier.slug == each.slug,
                offer=_offer(plan, current) if plan is not None else None,
            )
        )
    others = [_offer(plan, current) for plan in plans if plan.period not in _WITH_A_RHYTHM]
    return Shelf(columns, others, any(plan.period == Plan.Period.YEAR for plan in plans))


def list_pack_offers(usual_price: int, packs: Iterable[Pack] | None = None) -> list[PackOffer]:
    """`usual_price` is what a reply costs the reader, in microcredits."""
    return [
        PackOffer(
            pack=pack,
            replies=round_down(pack.credits // usual_price) if usual_price else None,
            per_hundred=pack.price * 100 * MICRO // pack.credits,
        )
        for pack in (selectors.list_packs() if packs is None else packs)
    ]


def usual_price_for_strangers() -> int:
    tier = selectors.list_tiers().first()
    return selectors.USUAL_REPLY_TOKENS * tier.token_price if tier is not None else 0


def list_changes(current: Subscription | None) -> list[PlanOffer]:
    """The plans somebody who subscribed here could change to."""
    offers = [_offer(plan, current) for plan in selectors.list_plans().select_related("tier")]
    return [offer for offer in offers if offer.way == "change"]


def about_replies(user_id: UUID, wallet: selectors.WalletView) -> int | None:
    """About how many replies are left, as one would say it; None where they are free."""
    replies = selectors.estimate_replies(user_id, wallet)
    return None if replies is None else round_down(replies)


def round_down(count: int) -> int:
    """A number one would say: 66 as 65, 3,666 as 3,600."""
    if count < 20:
        return count
    step = 5 if count < 100 else 10 ** (len(str(count)) - 2)
    return count // step * step


def is_changeable(current: Subscription | None) -> bool:
    """Whether it can be changed here: it was bought in this shop and has a next date."""
    return (
        current is not None
        and current.store in STRIPE_LIKE
        and current.period_end is not None
        and current.plan_id is not None
    )


def _replies_a_day(tier: Tier) -> int | None:
    """None where replies are free."""
    if not tier.token_price:
        return tier.messages_per_day
    replies = round_down(tier.daily_credits // (selectors.USUAL_REPLY_TOKENS * tier.token_price))
    return replies if tier.messages_per_day is None else min(replies, tier.messages_per_day)


def _offer(plan: Plan, current: Subscription | None) -> PlanOffer:
    if current is not None and current.plan_id == plan.slug:
        return PlanOffer(plan, "yours")
    if current is not None and current.next_plan_id == plan.slug:
        return PlanOffer(plan, "coming")
    way = management.way_to(current, plan)
    if way is None:
        is_apps = current is not None and current.store in (Store.GOOGLE_PLAY, Store.APP_STORE)
        return PlanOffer(plan, "elsewhere" if is_apps else "none")
    return PlanOffer(plan, "start" if way == management.Way.BUY else "change")
