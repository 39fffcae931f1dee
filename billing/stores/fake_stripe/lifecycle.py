"""Time passing: what falls due, in the order in which it does."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import checkout, schedules, subscriptions
from .clock import DAY
from .store import Doc
from .world import World


class Due(NamedTuple):
    """`rank` settles ties: a schedule's new phase comes before the renewal that bills it."""

    at: int
    rank: int
    act: Callable[[World, Doc], None]
    subject: Doc


def pass_time(world: World, seconds: int) -> None:
    """Move the clock forward, stopping at each moment at which something is to be done."""
    goal = world.clock.now() + seconds
    catch_up(world, goal)
    world.clock.shift(seconds)


def catch_up(world: World, goal: int | None = None) -> None:
    """Do all that is due up to `goal`, or up to now."""
    until = world.clock.now() if goal is None else goal
    try:
        while due := min(_all_due(world, until), key=lambda due: due[:2], default=None):
            world.clock.stand_at(due.at)
            due.act(world, due.subject)
    finally:
        world.clock.stand_at(None)


def _all_due(world: World, until: int) -> Iterator[Due]:
    for due in (*_schedules(world), *_subscriptions(world), *_retries(world), *_sessions(world)):
        if due.at <= until:
            yield due


def _schedules(world: World) -> Iterator[Due]:
    for schedule in world.find("subscription_schedule", status="active"):
        yield Due(schedule["current_phase"]["end_date"], 0, schedules.fall_due, schedule)


def _subscriptions(world: World) -> Iterator[Due]:
    for subscription in world.store.all("subscription"):
        if subscription["status"] not in ("trialing", "active", "past_due"):
            continue
        yield Due(
            subscriptions.item_of(subscription)["current_period_end"], 2, subscriptions.fall_due, subscription
        )
        if subscription["status"] == "trialing" and not subscription.get("_is_warned"):
            notice = max(subscription["created"], subscription["trial_end"] - 3 * DAY)
            yield Due(notice, 1, subscriptions.warn_of_trial_end, subscription)


def _retries(world: World) -> Iterator[Due]:
    for invoice in world.find("invoice", status="open"):
        if invoice["next_payment_attempt"] is not None:
            yield Due(invoice["next_payment_attempt"], 1, subscriptions.retry, invoice)


def _sessions(world: World) -> Iterator[Due]:
    for session in world.find("checkout.session", status="open"):
        yield Due(session["expires_at"], 1, checkout.expire_now, session)
