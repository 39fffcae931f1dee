"""What staff do with money: refunds, large adjustments, debts. Each needs a reason and is noted in the log of
staff actions; what is above a limit waits for a second person.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import StaffAction
from accounts.services import audit
from billing import database
from billing.errors import UnknownWallet
from billing.events import publish_wallet_changed
from billing.models import STRIPE_LIKE, Approval, Bucket, Payment, Refund, Store, Wallet
from billing.services import adjustments, four_eyes, inbox, promises, replays
from billing.services.four_eyes import Outcome, Wish
from billing.stores import google_play
from billing.stores.base import StoreError
from billing.stores.stripe import outgoing
from billing.stores.stripe.connection import connect
from common import jobs
from common.errors import Conflict, DomainError, Invalid, NotFound, PermissionDenied, Unavailable
from common.models import OutboxMessage

Action = Approval.Action
_SEND = "billing.send_refund"
_KEY_LASTS = timedelta(hours=20)


def refund_payment(
    *, payment_id: UUID, amount: int | None, reason: str, actor_id: UUID, token: str
) -> Outcome:
    """Send `amount` (smallest units; None: all that is left) of a payment back, once for the form's `token`.

    It is promised together with the wish and sent at once: what the store answers is in the books then. When
    it does not answer, or we die before, the refund is sent again by itself and by the same form, with the
    same key. Raises NotFound, Invalid, Conflict (nothing is left, or the store refused), PermissionDenied
    for one's own payment, Unavailable, and accounts' ReasonRequired.
    """
    wish = Wish(f"refund:{payment_id}:{token}", audit.required_reason(reason), actor_id)
    outcome = database.atomically(lambda: _wish_refund(payment_id, amount, wish))
    if outcome.approval is not None:
        return outcome
    is_sent = _send_now(payment_id, wish.key)
    return replace(outcome, applied=outcome.applied or is_sent)


def adjust_credits(
    *,
    user_id: UUID,
    amount: int,
    reason: str,
    actor_id: UUID,
    token: str,
    bucket: Bucket = Bucket.BONUS,
    now: datetime | None = None,
) -> Outcome:
    """As `adjustments.adjust_credits`; above the limit it waits for a second person.

    What the same person gave to, took from or waived in the wallet within a day counts together. Raises
    PermissionDenied for one's own wallet.
    """
    wish = Wish(f"adjustment:{token}", audit.required_reason(reason), actor_id)
    moment = now or timezone.now()
    four_eyes.check_not_for_oneself(actor_id, user_id)

    def work() -> Outcome:
        if four_eyes.needs_approval(wish, user_id, amount, moment):
            arguments = {"amount": amount, "bucket": str(bucket), "token": token}
            return four_eyes.ask(Action.ADJUST, user_id, arguments, wish)
        posting = adjustments.adjust_credits(
            user_id=user_id,
            amount=amount,
            reason=reason,
            actor_id=actor_id,
            token=token,
            bucket=bucket,
            now=now,
        )
        return Outcome(applied=posting.applied, available=posting.available)

    return database.atomically(work)


def waive_debt(*, user_id: UUID, reason: str, actor_id: UUID, token: str) -> Outcome:
    """Waive all that a user owes, once for the form's `token`; a large debt waits for a second person.

    It counts together with adjustments. Raises Conflict where nothing is owed, UnknownWallet,
    PermissionDenied for one's own debt, and accounts' ReasonRequired.
    """
    wish = Wish(f"waive:{token}", audit.required_reason(reason), actor_id)
    four_eyes.check_not_for_oneself(actor_id, user_id)

    def work() -> Outcome:
        wallet = Wallet.objects.filter(user_id=user_id).first()
        if wallet is None:
            raise UnknownWallet
        if wallet.debt and four_eyes.needs_approval(wish, user_id, wallet.debt, timezone.now()):
            arguments = {"waive": wallet.debt, "token": token}
            return four_eyes.ask(Action.ADJUST, user_id, arguments, wish)
        return _waive(user_id, wallet.debt, wish)

    return database.atomically(work)


def decide_approval(*, approval_id: UUID, approve: bool, reason: str, actor_id: UUID) -> Approval:
    """Say yes or no to what somebody else asked for; a yes happens once.

    An adjustment is made in the same transaction, a refund is sent after it and again until the store has
    answered. Raises NotFound, Conflict (decided before), PermissionDenied for one's own wish and for what is
    for oneself, what the adjustment raises, and accounts' ReasonRequired.
    """
    reason = audit.required_reason(reason)
    return database.atomically(lambda: _decide(approval_id, approve, Wish("", reason, actor_id)))


def send_refund(*, payment_id: UUID, amount: int | None, key: str, reason: str) -> None:
    """Carry out a refund that was promised. Raises StoreError or ShopClosed where it must be tried again."""
    payment = Payment.objects.get(id=payment_id)
    if _arrived_before(payment, key):
        _note_outcome(key, str(_("sent")))
        return
    try:
        sent = _send(payment, amount, key, reason)
    except StoreError as error:
        if error.is_passing:
            raise
        _note_refusal(payment, key, str(error))
        _note_outcome(key, _("refused: %s") % error)
    else:
        _note_outcome(key, _("sent: %s") % sent)


def _wish_refund(payment_id: UUID, amount: int | None, wish: Wish) -> Outcome:
    payment = Payment.objects.select_for_update().filter(id=payment_id).first()
    if payment is None:
        raise NotFound(_("There is no such payment."))
    four_eyes.check_not_for_oneself(wish.actor_id, payment.user_id)
    if any(row.details["key"] == wish.key for row in _noted(payment, "refund_payment")):
        return Outcome(applied=False)
    under_way = sum(row.details["amount"] for row in _unbooked(payment))
    left = payment.amount - payment.returned - under_way
    _check_refund(payment, amount, left)
    wanted = left if amount is None else amount
    if under_way and amount is None and payment.store != Store.GOOGLE_PLAY:
        # To the store "all" would be what is under way too, if it has not heard of that yet.
        amount = wanted
    if four_eyes.is_large_refund(payment.returned + under_way + wanted, payment.currency):
        arguments = {
            "payment_id": str(payment.id),
            "payment": payment.number,
            "amount": amount,
            "total": wanted,
            "currency": payment.currency,
        }
        return four_eyes.ask(Action.REFUND, payment.user_id, arguments, wish)
    _note_refund(payment, wanted, wish)
    jobs.promise(_SEND, key=wish.key, **_sending(payment, amount, wish))
    return Outcome()


def _check_refund(payment: Payment, amount: int | None, left: int) -> None:
    if left <= 0:
        raise Conflict(_("Everything of this payment went back already, or is on its way."))
    if amount is not None and not 0 < amount <= left:
        raise Invalid.field("amount", "invalid", _("Give an amount above 0, at most what is left."))
    if payment.store == Store.GOOGLE_PLAY and amount not in (None, left):
        raise Invalid.field("amount", "invalid", _("Google Play gives whole payments back only."))


def _unbooked(payment: Payment) -> list[StaffAction]:
    """What staff sent back that the store did not refuse and the books do not have yet.

    What is older than any promise is tried no more.
    """
    refused = {row.details["key"] for row in _noted(payment, "refund_refused")}
    booked = list(payment.refunds.filter(kind=Refund.Kind.REFUND).order_by("created_at", "id"))
    unbooked = []
    since = timezone.now() - promises.KEPT_FOR - timedelta(days=1)
    for row in _noted(payment, "refund_payment").filter(created_at__gte=since):
        if row.details["key"] in refused:
            continue
        amount = row.details["amount"]
        # The store does not say which wish a refund comes from; the amount does.
        found = next((it for it in booked if it.amount == amount and it.created_at >= row.created_at), None)
        if found is None:
            unbooked.append(row)
        else:
            booked.remove(found)
    return unbooked


def _arrived_before(payment: Payment, key: str) -> bool:
    """Whether a refund whose answer was lost long ago is in the books once the store was asked.

    Stripe forgets keys after a day; after that the same key would send the money again. Raises as
    `replays.sync_payment`: not to know is no reason to send.
    """
    noted = _noted(payment, "refund_payment").filter(details__key=key).first()
    if noted is None or noted.created_at > timezone.now() - _KEY_LASTS:
        return False
    if payment.store not in STRIPE_LIKE or connect().store != payment.store:
        return False
    replays.sync_payment(store=Store(payment.store), external_id=payment.external_id)
    payment.refresh_from_db()
    return noted not in _unbooked(payment)


def _sending(payment: Payment, amount: int | None, wish: Wish) -> dict[str, Any]:
    return {
        "payment_id": str(payment.id),
        "amount": amount,
        "refund_key": wish.key,
        "reason": wish.reason,
    }


def _send_now(payment_id: UUID, key: str) -> bool:
    """Keep the promise now; False where that was done before, or somebody else is at it.

    Raises Unavailable while the store has not answered, Conflict where it refused.
    """
    promised = OutboxMessage.objects.filter(task=_SEND, key=key).first()
    is_sent = False
    if promised is not None:
        jobs.retry_failed_message(promised.id)
        is_sent = jobs.run_message(promised.id)
        promised.refresh_from_db()
        if promised.state != OutboxMessage.State.DONE:
            raise Unavailable(_("The store does not answer. The refund is sent again by itself."))
    for row in _noted(Payment.objects.get(id=payment_id), "refund_refused"):
        if row.details["key"] == key:
            raise Conflict(_("The store refused: %s") % row.details["why"])
    return is_sent


def _send(payment: Payment, amount: int | None, key: str, reason: str) -> str:
    """Ask the store, which takes the same key for the same refund; then see what it made of it."""
    if payment.store == Store.GOOGLE_PLAY:
        google_play.refund_order(order_id=payment.external_id)
        _tell_of_void(payment, key)
        return payment.external_id
    connection = connect()
    if connection.store != payment.store:
        raise StoreError(str(_("the shop it was paid in is closed")), is_passing=False)
    sent = outgoing.refund(connection, payment_id=payment.external_id, amount=amount, key=key, reason=reason)
    try:
        replays.sync_payment(store=Store(payment.store), external_id=payment.external_id)
    except (DomainError, StoreError):
        # The store's webhook brings the same.
        return sent
    return sent


def _tell_of_void(payment: Payment, key: str) -> None:
    """As Google will tell us itself, later."""
    inbox.keep_event(
        store=Store.GOOGLE_PLAY,
        external_id=key,
        kind="voided.refund",
        object_id=payment.external_id,
        happened_at=timezone.now(),
        payload={"order_id": payment.external_id, "is_whole": True},
    )


def _decide(approval_id: UUID, approve: bool, wish: Wish) -> Approval:
    approval = Approval.objects.select_for_update().filter(id=approval_id).first()
    if approval is None:
        raise NotFound(_("There is no such approval."))
    if approval.state != Approval.State.WAITING:
        raise Conflict(_("This was decided before."))
    if approval.asked_by_id == wish.actor_id:
        raise PermissionDenied(_("You asked for this yourself; somebody else has to decide."))
    four_eyes.check_not_for_oneself(wish.actor_id, approval.user_id)
    approval.state = Approval.State.APPROVED if approve else Approval.State.DECLINED
    approval.decided_by_id, approval.decided_at = wish.actor_id, timezone.now()
    approval.save(update_fields=["state", "decided_by", "decided_at"])
    audit.record_staff_action(
        actor_id=wish.actor_id,
        action="approve" if approve else "decline",
        target=approval,
        reason=wish.reason,
        details={"what": approval.action, **approval.arguments},
    )
    if approve:
        _carry_out(approval)
    return approval


def _carry_out(approval: Approval) -> None:
    given = approval.arguments
    wish = Wish(approval.key, approval.reason, approval.asked_by_id)
    if approval.action == Action.REFUND:
        payment = Payment.objects.get(id=given["payment_id"])
        _note_refund(payment, given["total"], wish)
        jobs.enqueue(_SEND, key=wish.key, **_sending(payment, given["amount"], wish))
    elif "waive" in given:
        _waive(approval.user_id, given["waive"], wish)
    elif "tier" in given:
        _give_tier(approval.user_id, given, wish)
    else:
        adjustments.adjust_credits(
            user_id=approval.user_id,
            amount=given["amount"],
            bucket=Bucket(given["bucket"]),
            reason=wish.reason,
            actor_id=wish.actor_id,
            token=given["token"],
        )


def _waive(user_id: UUID, amount: int, wish: Wish) -> Outcome:
    outcome, waived, available = database.call(
        "billing_waive_debt", user_id, amount, wish.key, wish.actor_id, wish.reason[:500]
    )
    if outcome == "no_wallet":
        raise UnknownWallet
    if outcome == "nothing":
        raise Conflict(_("Nothing is owed."))
    if outcome == "posted":
        audit.record_staff_action(
            actor_id=wish.actor_id,
            action="waive_debt",
            target=Wallet(pk=user_id),
            reason=wish.reason,
            details={"amount": waived},
        )
        publish_wallet_changed(user_id, available)
    return Outcome(applied=outcome == "posted", available=available)


def _give_tier(user_id: UUID, given: dict[str, Any], wish: Wish) -> None:
    until = datetime.fromisoformat(given["until"]) if given["until"] else None
    if until is not None and until <= timezone.now():
        raise Conflict(_("The time it was asked for is over."))
    adjustments.set_tier(
        user_id=user_id, tier=given["tier"], until=until, reason=wish.reason, actor_id=wish.actor_id
    )


def _noted(payment: Payment, action: str) -> QuerySet[StaffAction]:
    """What the log of staff says of a payment, in order."""
    noted = StaffAction.objects.filter(
        target_type=payment._meta.label_lower, target_id=str(payment.id), action=action
    )
    return noted.order_by("created_at", "id")


def _note_refund(payment: Payment, amount: int, wish: Wish) -> None:
    audit.record_staff_action(
        actor_id=wish.actor_id,
        action="refund_payment",
        target=payment,
        reason=wish.reason,
        details={"key": wish.key, "amount": amount, "currency": payment.currency},
    )


def _note_refusal(payment: Payment, key: str, why: str) -> None:
    audit.record_staff_action(
        actor_id=None, action="refund_refused", target=payment, details={"key": key, "why": why[:500]}
    )


def _note_outcome(key: str, outcome: str) -> None:
    """Where the refund was approved by a second person, both see what became of it."""

    def work() -> None:
        approval = Approval.objects.select_for_update().filter(key=key).first()
        if approval is not None:
            approval.arguments = approval.arguments | {"outcome": str(outcome)[:500]}
            approval.save(update_fields=["arguments"])

    database.atomically(work)
