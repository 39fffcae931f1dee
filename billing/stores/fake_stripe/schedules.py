"""Subscription schedules: what a subscription changes to at its next turns."""

from . import catalogue, subscriptions
from .clock import later
from .errors import StripeError
from .forms import group, integer, merged_metadata, optional_integer, rows, text
from .store import Doc
from .world import World


def create(world: World, params: Doc) -> Doc:
    """Only from a running subscription, whose present period becomes the first phase."""
    subscription = world.get("subscription", text(params, "from_subscription"), "from_subscription")
    if subscription["schedule"]:
        raise StripeError(
            "You cannot migrate a subscription that is already attached to a schedule: "
            f"`{subscription['schedule']}`.",
            param="from_subscription",
        )
    if subscription["status"] not in subscriptions.LIVE:
        raise StripeError("You cannot migrate a canceled subscription.", param="from_subscription")
    item = subscriptions.item_of(subscription)
    phase = _phase(
        subscription,
        (item["current_period_start"], item["current_period_end"]),
        item["price"],
        item["quantity"],
    )
    if subscription["status"] == "trialing":
        phase["trial_end"] = subscription["trial_end"]
    schedule = world.make(
        "sub_sched",
        "subscription_schedule",
        billing_mode=subscription["billing_mode"],
        canceled_at=None,
        completed_at=None,
        current_phase={"start_date": phase["start_date"], "end_date": phase["end_date"]},
        customer=subscription["customer"],
        default_settings={
            "billing_cycle_anchor": "automatic",
            "collection_method": "charge_automatically",
            "default_payment_method": None,
        },
        end_behavior="release",
        metadata=merged_metadata({}, params),
        phases=[phase],
        released_at=None,
        released_subscription=None,
        status="active",
        subscription=subscription["id"],
        test_clock=None,
    )
    subscription["schedule"] = schedule["id"]
    world.emit("subscription_schedule.created", schedule)
    world.emit("customer.subscription.updated", subscription, {"schedule": None})
    return schedule


def _phase(
    subscription: Doc, span: tuple[int, int], price: Doc, quantity: int, behavior: str = "create_prorations"
) -> Doc:
    return {
        "add_invoice_items": [],
        "billing_cycle_anchor": None,
        "collection_method": None,
        "currency": subscription["currency"],
        "default_payment_method": None,
        "discounts": [],
        "end_date": span[1],
        "items": [{"discounts": [], "metadata": {}, "price": price["id"], "quantity": quantity}],
        "metadata": {},
        "proration_behavior": behavior,
        "start_date": span[0],
        "trial_end": None,
    }


def update(world: World, params: Doc, schedule_id: str) -> Doc:
    schedule = _active(world, schedule_id)
    end_behavior = params.get("end_behavior", schedule["end_behavior"])
    if end_behavior not in ("release", "cancel"):
        raise StripeError("Invalid end_behavior: must be one of release, cancel", param="end_behavior")
    wanted = rows(params, "phases")
    if wanted:
        schedule["phases"] = _phases(world, schedule, wanted)
        schedule["current_phase"] = _current(world, schedule)
        if schedule["phases"][0]["trial_end"] is None:
            # A present phase without a trial is one to be paid from now on.
            subscriptions.end_trial(world, world.get("subscription", schedule["subscription"]))
    schedule["end_behavior"] = end_behavior
    schedule["metadata"] = merged_metadata(schedule["metadata"], params)
    world.emit("subscription_schedule.updated", schedule)
    return schedule


def _active(world: World, schedule_id: str) -> Doc:
    schedule = world.get("subscription_schedule", schedule_id)
    if schedule["status"] != "active":
        raise StripeError(
            f"You cannot change a subscription schedule whose status is `{schedule['status']}`."
        )
    return schedule


def _phases(world: World, schedule: Doc, wanted: list[Doc]) -> list[Doc]:
    subscription = world.get("subscription", schedule["subscription"])
    now = world.clock.now()
    phases: list[Doc] = []
    start = schedule["current_phase"]["start_date"]
    if integer(wanted[0], "start_date", start) != start:
        raise StripeError(
            "You can not modify the start date of the current phase.", param="phases[0][start_date]"
        )
    for number, asked in enumerate(wanted):
        named = f"phases[{number}]"
        if integer(asked, "start_date", start) != start:
            raise StripeError("Phases must follow one another.", param=f"{named}[start_date]")
        items = rows(asked, "items")
        if len(items) != 1:
            raise StripeError("A phase here has one item.", param=f"{named}[items]")
        price = catalogue.line_price(world, items[0])
        end = _end(asked, start, price)
        if end <= max(start, now if number == 0 else start):
            raise StripeError("A phase must end after it starts.", param=f"{named}[end_date]")
        quantity = integer(items[0], "quantity", 1)
        phase = _phase(subscription, (start, end), price, quantity, subscriptions.behavior_of(asked))
        phase["trial_end"] = optional_integer(asked, "trial_end")
        phase["metadata"] = merged_metadata({}, asked)
        phases.append(phase)
        start = end
    return phases


def _end(asked: Doc, start: int, price: Doc) -> int:
    if "end_date" in asked:
        return integer(asked, "end_date")
    length = group(asked, "duration") or price["recurring"]
    return later(start, text(length, "interval"), integer(length, "interval_count", 1))


def _current(world: World, schedule: Doc) -> Doc | None:
    now = world.clock.now()
    for phase in schedule["phases"]:
        if phase["start_date"] <= now < phase["end_date"]:
            return {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    return None


def release(world: World, _params: Doc, schedule_id: str) -> Doc:
    schedule = _active(world, schedule_id)
    _let_go(world, schedule)
    return schedule


def _let_go(world: World, schedule: Doc) -> None:
    subscription = world.get("subscription", schedule["subscription"])
    schedule.update(
        status="released",
        released_at=world.clock.now(),
        released_subscription=subscription["id"],
        subscription=None,
        current_phase=None,
    )
    subscription["schedule"] = None
    world.emit("subscription_schedule.released", schedule)
    world.emit("customer.subscription.updated", subscription, {"schedule": schedule["id"]})


def fall_due(world: World, schedule: Doc) -> None:
    """A phase is over: begin the next, or do what the end asks."""
    ended = schedule["current_phase"]["end_date"]
    upcoming = [phase for phase in schedule["phases"] if phase["start_date"] >= ended]
    if upcoming:
        _begin(world, schedule, upcoming[0])
    elif schedule["end_behavior"] == "cancel":
        subscription = world.get("subscription", schedule["subscription"])
        schedule.update(status="completed", completed_at=world.clock.now(), current_phase=None)
        world.emit("subscription_schedule.completed", schedule)
        subscriptions.end_now(world, subscription, reason="cancellation_requested")
    else:
        _let_go(world, schedule)


def _begin(world: World, schedule: Doc, phase: Doc) -> None:
    subscription = world.get("subscription", schedule["subscription"])
    item = subscriptions.item_of(subscription)
    asked = {**phase["items"][0], "id": item["id"], "quantity": str(phase["items"][0]["quantity"])}
    subscriptions.move(world, subscription, asked, phase["proration_behavior"])
    subscription["metadata"] |= phase["metadata"]
    schedule["current_phase"] = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    world.emit("subscription_schedule.updated", schedule)
