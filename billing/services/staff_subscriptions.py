"""What staff do with subscriptions: give a tier, extend, end. Each needs a reason and is noted."""

from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import StaffAction
from accounts.services import audit
from billing import database
from billing.models import Approval, Store, Subscription, SubscriptionEvent, Tier
from billing.services import adjustments, four_eyes, management, subscriptions
from billing.services.at_store import at_store
from billing.services.four_eyes import Outcome, Wish
from billing.stores import google_play
from billing.stores.stripe import outgoing
from billing.stores.stripe.connection import Connection, connect
from common.errors import Conflict, Invalid, NotFound

MAX_DAYS = 730
_OVER = Subscription.State.EXPIRED


def comp_tier(
    *,
    user_id: UUID,
    tier: str,
    until: datetime | None,
    reason: str,
    actor_id: UUID,
    token: str,
    now: datetime | None = None,
) -> Outcome:
    """Give a tier (a slug) until a moment, or for life; see `adjustments.set_tier`.

    For longer than a year it waits for a second person, once for the form's `token`. Raises Invalid too for
    a moment that is over, and PermissionDenied for oneself.
    """
    moment = now or timezone.now()
    if until is not None and until <= moment:
        raise Invalid.field("until", "invalid", _("Give a moment that is still to come."))
    four_eyes.check_not_for_oneself(actor_id, user_id)
    if four_eyes.is_long_gift(until, moment) and not _is_lowest(tier):
        wish = Wish(f"comp:{token}", audit.required_reason(reason), actor_id)
        given = {"tier": tier, "until": until.isoformat() if until else None}
        return database.atomically(lambda: four_eyes.ask(Approval.Action.ADJUST, user_id, given, wish))
    adjustments.set_tier(user_id=user_id, tier=tier, until=until, reason=reason, actor_id=actor_id, now=now)
    return Outcome()


def end_comp(*, user_id: UUID, reason: str, actor_id: UUID) -> None:
    """Take a given tier back; what was bought stays. Raises UnknownWallet and ReasonRequired."""
    reason = audit.required_reason(reason)

    def work() -> None:
        subscriptions.end_given(user_id=user_id, actor_id=actor_id, reason=reason)
        row = Subscription.objects.filter(user_id=user_id, store=Store.GIVEN).first()
        if row is not None:
            _note(row, actor_id, "end_comp", reason)

    database.atomically(work)


def extend_subscription(
    *, subscription_id: UUID, days: int, reason: str, actor_id: UUID, token: str
) -> Subscription:
    """Move the end of the period by `days`, without charging, once for the form's `token`.

    Where the store did not answer the same form asks it again for the same end. Raises NotFound, Invalid,
    Conflict (ended, for life, of a store where it can't be done, or a gift that gets longer than a year),
    PermissionDenied for one's own, PaymentRefused, Unavailable, and ReasonRequired.
    """
    reason = audit.required_reason(reason)
    if not 0 < days <= MAX_DAYS:
        raise Invalid.field("days", "invalid", _("Give 1 to %s days.") % MAX_DAYS)

    def work() -> tuple[Subscription, datetime]:
        row = _lock(subscription_id)
        four_eyes.check_not_for_oneself(actor_id, row.user_id)
        end = _extensible_end(row)
        if (noted := _noted_end(row, token)) is not None:
            return row, noted
        # Stores count in whole seconds.
        until = (max(end, timezone.now()) + timedelta(days=days)).replace(microsecond=0)
        _check_extension(row, until)
        _note(row, actor_id, "extend_subscription", reason, days=days, until=until.isoformat(), token=token)
        if row.store == Store.GIVEN:
            subscriptions.give_tier(
                user_id=row.user_id, tier=row.tier, until=until, actor_id=actor_id, reason=reason
            )
        return row, until

    row, until = database.atomically(work)
    is_behind = row.period_end is not None and row.period_end < until
    if is_behind and row.store != Store.GIVEN:
        connection = _shop_of(row)
        at_store(lambda: outgoing.extend(connection, subscription_id=row.external_id, until=until))
        management.sync_subscription(connection, row.external_id)
    row.refresh_from_db()
    return row


def cancel_subscription(*, subscription_id: UUID, now: bool, reason: str, actor_id: UUID) -> Subscription:
    """End a subscription at once (`now`) or with its paid period. Doing it again changes nothing.

    Money is not sent back by it. Raises NotFound, Conflict, PaymentRefused, Unavailable, ReasonRequired.
    """
    reason = audit.required_reason(reason)
    row = _get(subscription_id)
    if row.state == _OVER:
        raise Conflict(_("It is over already."))
    if row.store == Store.GIVEN:
        end_comp(user_id=row.user_id, reason=reason, actor_id=actor_id)
    elif row.external_id.startswith("lifetime:"):
        _end_lifetime(row, now, reason, actor_id)
    else:
        _cancel_at_store(row, now)
        _note(row, actor_id, "cancel_subscription", reason, now=now)
    row.refresh_from_db()
    return row


def _cancel_at_store(row: Subscription, now: bool) -> None:
    if row.store == Store.GOOGLE_PLAY:
        if now:
            raise Conflict(_("Google Play ends it with its period; to end it now give its payment back."))
        at_store(
            lambda: google_play.cancel_subscription(
                product_id=row.plan_id or "", purchase_token=row.external_id
            )
        )
        return
    connection = _shop_of(row)
    if now:
        at_store(lambda: outgoing.cancel_now(connection, subscription_id=row.external_id))
    else:
        at_store(
            lambda: outgoing.set_cancellation(connection, subscription_id=row.external_id, at_period_end=True)
        )
    management.sync_subscription(connection, row.external_id)


def _end_lifetime(row: Subscription, now: bool, reason: str, actor_id: UUID) -> None:
    if not now:
        raise Conflict(_("It is for life and has no period to end with."))

    def work() -> None:
        subscriptions.end_now(
            subscription_id=row.id, cause=SubscriptionEvent.Cause.STAFF, actor_id=actor_id, reason=reason
        )
        _note(row, actor_id, "cancel_subscription", reason, now=True)

    database.atomically(work)


def _extensible_end(row: Subscription) -> datetime:
    if row.state == _OVER:
        raise Conflict(_("It is over already; give the tier instead."))
    if row.period_end is None:
        raise Conflict(_("It is for life; there is nothing to extend."))
    if row.store in (Store.GOOGLE_PLAY, Store.APP_STORE):
        raise Conflict(_("The store of the phone does not let us extend it; give the tier instead."))
    return row.period_end


def _check_extension(row: Subscription, until: datetime) -> None:
    if row.store != Store.GIVEN:
        # What cannot be done is not noted.
        _shop_of(row)
    elif four_eyes.is_long_gift(until, timezone.now()):
        raise Conflict(_("That is more than a year: give the tier again, so that somebody else approves it."))


def _shop_of(row: Subscription) -> Connection:
    connection = connect()
    if connection.store != row.store:
        raise Conflict(_("This plan was bought in a shop that is closed now."))
    return connection


def _get(subscription_id: UUID) -> Subscription:
    row = Subscription.objects.filter(id=subscription_id).select_related("tier").first()
    if row is None:
        raise NotFound(_("There is no such subscription."))
    return row


def _lock(subscription_id: UUID) -> Subscription:
    row = Subscription.objects.select_for_update(of=("self",)).select_related("tier")
    found = row.filter(id=subscription_id).first()
    if found is None:
        raise NotFound(_("There is no such subscription."))
    return found


def _is_lowest(tier: str) -> bool:
    """Giving the lowest tier takes a gift back."""
    lowest = Tier.objects.order_by("position").values_list("slug", flat=True).first()
    return tier == lowest


def _noted_end(row: Subscription, token: str) -> datetime | None:
    """The end that the same form asked for before."""
    noted = StaffAction.objects.filter(target_type=row._meta.label_lower, target_id=str(row.id))
    found = noted.filter(action="extend_subscription", details__token=token).first()
    return datetime.fromisoformat(found.details["until"]) if found is not None else None


def _note(row: Subscription, actor_id: UUID, action: str, reason: str, **details: object) -> None:
    audit.record_staff_action(actor_id=actor_id, action=action, target=row, reason=reason, details=details)
