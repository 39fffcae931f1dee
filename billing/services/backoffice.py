"""What staff do with money: refunds, large adjustments, debts. Each needs a reason and is noted in the log of
staff actions; what is above a limit waits for a second person.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Sum
from django.db.models.functions import Abs
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import StaffAction
from accounts.services import audit
from billing import database
from billing.errors import UnknownWallet
from billing.events import publish_wallet_changed
from billing.models import Approval, Bucket, LedgerTransaction, MoneyLimit, Payment, Store, Wallet
from billing.services import adjustments, inbox, replays
from billing.stores import google_play
from billing.stores.base import StoreError
from billing.stores.stripe import outgoing
from billing.stores.stripe.connection import connect
from common import jobs
from common.errors import Conflict, DomainError, Invalid, NotFound, PermissionDenied, Unavailable

# Parts of one large thing count together.
_SUMMED_OVER = timedelta(days=1)
Action = Approval.Action


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wish: `approval` waits for a second person, else it is done."""

    approval: Approval | None = None
    # False where the same form had been sent before.
    applied: bool = True
    # What the wallet can spend now, in microcredits, where that is known.
    available: int | None = None


@dataclass(frozen=True, slots=True)
class _Wish:
    """Who wants what and why; `key` makes it happen once."""

    key: str
    reason: str
    actor_id: UUID


def refund_payment(
    *, payment_id: UUID, amount: int | None, reason: str, actor_id: UUID, token: str
) -> Outcome:
    """Send `amount` (smallest units; None: all that is left) of a payment back, once for the form's `token`.

    What the store answers is in the books at once. When it does not answer the refund is sent again by
    itself, with the same key. Raises NotFound, Invalid, Conflict (nothing is left, or the store refused),
    Unavailable, and accounts' ReasonRequired.
    """
    wish = _Wish(f"refund:{payment_id}:{token}", audit.required_reason(reason), actor_id)
    outcome = database.atomically(lambda: _wish_refund(payment_id, amount, wish))
    if outcome.approval is None and outcome.applied:
        _send_or_promise(payment_id, amount, wish)
    return outcome


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

    What the same person gave to or took from the wallet within a day counts together.
    """
    wish = _Wish(f"adjustment:{token}", audit.required_reason(reason), actor_id)
    arguments = {"amount": amount, "bucket": str(bucket), "token": token}
    if _needs_second_person(wish, user_id, amount, now or timezone.now()):
        return database.atomically(lambda: _ask(Action.ADJUST, user_id, arguments, wish))
    posting = adjustments.adjust_credits(
        user_id=user_id, amount=amount, reason=reason, actor_id=actor_id, token=token, bucket=bucket, now=now
    )
    return Outcome(applied=posting.applied, available=posting.available)


def waive_debt(*, user_id: UUID, reason: str, actor_id: UUID, token: str) -> Outcome:
    """Waive all that a user owes, once for the form's `token`; a large debt waits for a second person.

    Raises Conflict where nothing is owed, UnknownWallet, and accounts' ReasonRequired.
    """
    wish = _Wish(f"waive:{token}", audit.required_reason(reason), actor_id)
    wallet = Wallet.objects.filter(user_id=user_id).first()
    if wallet is None:
        raise UnknownWallet
    if wallet.debt > _limits().adjustment_credits:
        arguments = {"waive": wallet.debt, "token": token}
        return database.atomically(lambda: _ask(Action.ADJUST, user_id, arguments, wish))
    return database.atomically(lambda: _waive(user_id, wallet.debt, wish))


def decide_approval(*, approval_id: UUID, approve: bool, reason: str, actor_id: UUID) -> Approval:
    """Say yes or no to what somebody else asked for; a yes happens once.

    An adjustment is made in the same transaction, a refund is sent after it and again until the store has
    answered. Raises NotFound, Conflict (decided before), PermissionDenied for one's own, what the adjustment
    raises, and accounts' ReasonRequired.
    """
    reason = audit.required_reason(reason)
    return database.atomically(lambda: _decide(approval_id, approve, _Wish("", reason, actor_id)))


def send_refund(*, payment_id: UUID, amount: int | None, key: str, reason: str) -> None:
    """Carry out a refund that was promised. Raises StoreError or ShopClosed where it must be tried again."""
    payment = Payment.objects.get(id=payment_id)
    try:
        sent = _send(payment, amount, key, reason)
    except StoreError as error:
        if error.is_passing:
            raise
        _note_refusal(payment, key, str(error))
        _note_outcome(key, _("refused: %s") % error)
    else:
        _note_outcome(key, _("sent: %s") % sent)


def _wish_refund(payment_id: UUID, amount: int | None, wish: _Wish) -> Outcome:
    payment = Payment.objects.select_for_update().filter(id=payment_id).first()
    if payment is None:
        raise NotFound(_("There is no such payment."))
    if _was_noted(payment, wish.key):
        return Outcome(applied=False)
    left = payment.amount - payment.returned
    _check_refund(payment, amount, left)
    wanted = left if amount is None else amount
    if payment.returned + wanted > _limits().refund_amount:
        arguments = {
            "payment_id": str(payment.id),
            "payment": payment.number,
            "amount": amount,
            "total": wanted,
            "currency": payment.currency,
        }
        return _ask(Action.REFUND, payment.user_id, arguments, wish)
    _note_refund(payment, wanted, wish)
    return Outcome()


def _check_refund(payment: Payment, amount: int | None, left: int) -> None:
    if left <= 0:
        raise Conflict(_("Everything of this payment went back already."))
    if amount is not None and not 0 < amount <= left:
        raise Invalid.field("amount", "invalid", _("Give an amount above 0, at most what is left."))
    if payment.store == Store.GOOGLE_PLAY and amount not in (None, left):
        raise Invalid.field("amount", "invalid", _("Google Play gives whole payments back only."))


def _send_or_promise(payment_id: UUID, amount: int | None, wish: _Wish) -> None:
    payment = Payment.objects.get(id=payment_id)
    try:
        _send(payment, amount, wish.key, wish.reason)
    except StoreError as error:
        if not error.is_passing:
            _note_refusal(payment, wish.key, str(error))
            raise Conflict(_("The store refused: %s") % error) from error
        database.atomically(lambda: _promise_refund(payment_id, amount, wish))
        raise Unavailable(_("The store does not answer. The refund is sent again by itself.")) from error


def _promise_refund(payment_id: UUID, amount: int | None, wish: _Wish) -> None:
    jobs.enqueue(
        "billing.send_refund",
        key=wish.key,
        payment_id=str(payment_id),
        amount=amount,
        refund_key=wish.key,
        reason=wish.reason,
    )


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


def _needs_second_person(wish: _Wish, user_id: UUID, amount: int, now: datetime) -> bool:
    adjusted = LedgerTransaction.objects.filter(
        wallet_id=user_id,
        actor_id=wish.actor_id,
        kind=LedgerTransaction.Kind.ADJUSTMENT,
        created_at__gte=now - _SUMMED_OVER,
    )
    before = adjusted.aggregate(total=Sum(Abs("amount")))["total"] or 0
    # Looked for after the sum: a form sent twice must not count itself.
    if LedgerTransaction.objects.filter(key=wish.key).exists():
        return False
    return bool(before + abs(amount) > _limits().adjustment_credits)


def _ask(action: Action, user_id: UUID, arguments: dict[str, Any], wish: _Wish) -> Outcome:
    approval, is_new = Approval.objects.get_or_create(
        key=wish.key,
        defaults={
            "action": action,
            "user_id": user_id,
            "arguments": arguments,
            "reason": wish.reason,
            "asked_by_id": wish.actor_id,
        },
    )
    if is_new:
        audit.record_staff_action(
            actor_id=wish.actor_id,
            action="ask_approval",
            target=approval,
            reason=wish.reason,
            details={"what": str(action), "user": str(user_id), **arguments},
        )
    return Outcome(approval=approval, applied=is_new)


def _decide(approval_id: UUID, approve: bool, wish: _Wish) -> Approval:
    approval = Approval.objects.select_for_update().filter(id=approval_id).first()
    if approval is None:
        raise NotFound(_("There is no such approval."))
    if approval.state != Approval.State.WAITING:
        raise Conflict(_("This was decided before."))
    if approval.asked_by_id == wish.actor_id:
        raise PermissionDenied(_("You asked for this yourself; somebody else has to decide."))
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
    wish = _Wish(approval.key, approval.reason, approval.asked_by_id)
    if approval.action == Action.REFUND:
        payment = Payment.objects.get(id=given["payment_id"])
        _note_refund(payment, given["total"], wish)
        _promise_refund(payment.id, given["amount"], wish)
    elif "waive" in given:
        _waive(approval.user_id, given["waive"], wish)
    else:
        adjustments.adjust_credits(
            user_id=approval.user_id,
            amount=given["amount"],
            bucket=Bucket(given["bucket"]),
            reason=wish.reason,
            actor_id=wish.actor_id,
            token=given["token"],
        )


def _waive(user_id: UUID, amount: int, wish: _Wish) -> Outcome:
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


def _was_noted(payment: Payment, key: str) -> bool:
    noted = StaffAction.objects.filter(
        target_type=payment._meta.label_lower, target_id=str(payment.id), action="refund_payment"
    )
    return noted.filter(details__key=key).exists()


def _note_refund(payment: Payment, amount: int, wish: _Wish) -> None:
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


def _limits() -> MoneyLimit:
    return MoneyLimit.objects.get_or_create(id=1)[0]
