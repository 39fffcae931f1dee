"""Mails about money: each once for what it tells of, in its reader's language and time zone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from billing import receipts
from billing.models import (
    TEST_STORES,
    Dispute,
    Payment,
    Reconciliation,
    Refund,
    Store,
    StoreEvent,
    Subscription,
    Wallet,
)
from billing.money import format_money
from billing.receipts import Line
from billing.stores import modes
from common import jobs
from common.credits import format_credits
from common.models import OutboxMessage
from notifications.services.email import send_email

State = Subscription.State
_GOOGLE_PLAY_SUBSCRIPTIONS = "https://play.google.com/store/account/subscriptions"


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says; its two templates set it as text and as HTML."""

    subject: str
    paragraphs: list[str]
    links: list[Link]
    lines: list[Line] = field(default_factory=list)


def mail_receipt(*, payment_id: UUID) -> None:
    """Send the receipt of a payment to who paid, once; not where nothing was paid and nothing given."""
    payment = Payment.objects.get(id=payment_id)
    if payment.amount or payment.credits:
        _send_once(f"receipt:{payment_id}", payment.user_id, lambda: _receipt(payment))


def mail_refund(*, payment_id: UUID, external_id: str) -> None:
    """Tell who paid what came back and which credits went for it, once for each refund that counted."""
    refund = Refund.objects.select_related("payment").get(payment_id=payment_id, external_id=external_id)
    if refund.counted:
        _send_once(f"refund:{refund.id}", refund.payment.user_id, lambda: _refund(refund))


def tell_subscription_changed(*, subscription_id: UUID, from_state: str, to_state: str) -> None:
    """Tell somebody that their subscription came into `to_state`, once for each such change.

    Silent about tiers that were given, test shops that are closed, what a receipt says already, and what is
    no longer so.
    """
    row = Subscription.objects.select_related("plan", "tier").get(id=subscription_id)
    write = _writer(row, from_state, to_state)
    change = row.events.filter(from_state=from_state, to_state=to_state).order_by("-number").first()
    if write is None or change is None or row.state != to_state:
        return
    if row.store == Store.GIVEN or row.store in modes.closed_test_stores():
        return
    _send_once(f"subscription:{change.id}", row.user_id, lambda: write(row))


def tell_staff_of_event(*, event_id: UUID) -> None:
    """Tell who may replay events of one that contradicts our books."""
    event = StoreEvent.objects.get(id=event_id)
    body = _(
        "%(store)s sent %(kind)s about %(object)s. It contradicts our books, so nothing was done:\n\n"
        "%(detail)s\n\nLook at it, then replay or leave it: %(url)s"
    )
    words = {
        "store": event.get_store_display(),
        "kind": event.kind,
        "object": event.object_id,
        "detail": event.detail,
        "url": _admin_url("storeevent", event.id),
    }
    _mail_staff("replay_storeevent", f"event:{event_id}", _("An event of a store needs a look"), body % words)


def tell_staff_of_dispute(*, dispute_id: UUID) -> None:
    """Tell who may refund that a bank disputes a payment."""
    dispute = Dispute.objects.select_related("payment").get(id=dispute_id)
    payment = dispute.payment
    body = _(
        "A bank disputes %(amount)s of the payment %(number)s (%(name)s, paid %(paid)s through %(store)s). "
        "The credits it still gives are frozen until the bank has decided.\n\n"
        "Answer the bank at the store. The payment: %(url)s"
    )
    words = {
        "amount": format_money(dispute.amount, payment.currency),
        "number": payment.number,
        "name": payment.name,
        "paid": format_money(payment.amount, payment.currency),
        "store": payment.get_store_display(),
        "url": _admin_url("payment", payment.id),
    }
    _mail_staff("refund_payment", f"dispute:{dispute_id}", _("A payment is disputed"), body % words)


def tell_staff_of_reconciliation(*, reconciliation_id: UUID) -> None:
    """Tell who may reconcile what a reconciliation found, or that it could not be finished."""
    run = Reconciliation.objects.get(id=reconciliation_id)
    if run.state not in (Reconciliation.State.DIFFERENT, Reconciliation.State.INCOMPLETE):
        return
    if run.state == Reconciliation.State.DIFFERENT:
        subject = _("Our books and the stores differ")
    else:
        subject = _("The reconciliation could not be finished")
    money = ", ".join(format_money(amount, currency) for currency, amount in sorted(run.difference.items()))
    body = _("Differences: %(count)d\nIn money: %(money)s\n%(detail)s\nEach of them: %(url)s") % {
        "count": len(run.differences),
        "money": money or _("none"),
        "detail": f"{run.detail}\n" if run.detail else "",
        "url": _admin_url("reconciliation", run.id),
    }
    _mail_staff("run_reconciliation", f"reconciliation:{reconciliation_id}", subject, body)


def tell_staff_of_promises(given_up: list[OutboxMessage], *, day: date) -> None:
    """Tell who may refund, once a day, what stores were asked for in vain; it is asked for again."""
    lines = "\n".join(f"{message.task}: {message.last_error[:200]}" for message in given_up[:20])
    body = _(
        "Stores were asked for these in vain and are asked again every hour, for thirty days: %(count)d\n\n"
        "%(lines)s\n\nAll of them: %(url)s"
    )
    words = {
        "count": len(given_up),
        "lines": lines,
        "url": f"{settings.PUBLIC_URL}/admin/common/outboxmessage/?state__exact=failed",
    }
    subject = _("A store does not do what was promised")
    _mail_staff("refund_payment", f"promises:{day}", subject, body % words)


# --- To people ------------------------------------------------------------------------------------


def _send_once(key: str, user_id: UUID, write: Callable[[], Mail]) -> None:
    """Nothing goes to somebody without an address, or who is leaving or gone."""
    with transaction.atomic():
        user = User.objects.filter(id=user_id, email__isnull=False, leaving_at=None).first()
        if user is None or not jobs.note_once("billing.mailed", key=key):
            return
        with receipts.as_read_by(user):
            mail = write()
            context = {"name": user.display_name, "mail": mail}
            send_email(
                to=str(user.email),
                subject=" ".join(mail.subject.split()),
                body=render_to_string("billing/email/message.txt", context),
                html=render_to_string("billing/email/message.html", context),
            )


def _receipt(payment: Payment) -> Mail:
    receipt = receipts.Receipt(payment, [])
    words = {"amount": receipt.total, "name": payment.name}
    if receipt.is_test:
        thanks = _("this is what you bought in the test shop. No money moved.")
    else:
        thanks = _("thank you. You paid %(amount)s for %(name)s.") % words
    lines = [*receipt.facts, Line(_("Net"), receipt.net), Line(_("Tax"), receipt.tax)]
    return Mail(
        subject=_("Your receipt for %(name)s") % words,
        paragraphs=[thanks],
        lines=[*lines, Line(_("Total"), receipt.total)],
        links=_receipt_links(payment),
    )


def _refund(refund: Refund) -> Mail:
    payment = refund.payment
    words = {
        "amount": format_money(refund.counted, payment.currency),
        "name": payment.name,
        "date": receipts.day_in_words(refund.refunded_at),
        "credits": format_credits(refund.credits),
        "spent": format_credits(refund.debt),
    }
    if refund.kind == Refund.Kind.CHARGEBACK:
        subject = _("Your bank took back a payment")
        first = _("your bank took back %(amount)s that you paid for %(name)s, on %(date)s.")
    else:
        subject = _("Your refund for %(name)s")
        first = _("%(amount)s that you paid for %(name)s went back to you on %(date)s.")
    return Mail(
        subject=subject % words,
        paragraphs=[first % words, *_what_a_refund_took(refund, words)],
        links=_receipt_links(payment),
    )


def _what_a_refund_took(refund: Refund, words: dict[str, str]) -> list[str]:
    said = []
    if refund.payment.store in TEST_STORES:
        said.append(_("It was bought in the test shop, so no money moved."))
    if refund.credits:
        said.append(_("%(credits)s credits that came with it were taken back.") % words)
    if refund.debt:
        said.append(_("%(spent)s of them were spent already.") % words)
    owed = Wallet.objects.filter(pk=refund.payment.user_id).values_list("debt", flat=True).first()
    if owed:
        said.append(
            _("You owe %(owed)s credits now. What comes in pays them off first; then you can go on.")
            % {"owed": format_credits(owed)}
        )
    return said


def _receipt_links(payment: Payment) -> list[Link]:
    return [
        Link(_("Your receipt"), receipts.receipt_url(payment.id)),
        Link(_("The same as a PDF"), receipts.receipt_url(payment.id, as_pdf=True)),
    ]


def _writer(row: Subscription, from_state: str, to_state: str) -> Callable[[Subscription], Mail] | None:
    was_begun = from_state not in ("", State.PENDING)
    match to_state:
        case State.TRIALING | State.ACTIVE if from_state in (State.CANCELLED, State.ON_HOLD):
            return _resumed
        case State.TRIALING if not was_begun:
            return _trial_started
        case State.GRACE:
            return _payment_due
        case State.ON_HOLD:
            return _on_hold
        case State.CANCELLED:
            return _cancelled
        case State.EXPIRED if was_begun and row.replaced_by_id is None:
            return _ended
    return None


def _trial_started(row: Subscription) -> Mail:
    return _about_plan(
        row,
        _("Your trial of %(plan)s has begun"),
        _("your trial of %(plan)s has begun. It lasts until %(period_end)s and costs nothing."),
        _("After that it costs %(price)s. Cancel before then and you pay nothing."),
        link=_("Your plan"),
    )


def _payment_due(row: Subscription) -> Mail:
    return _about_plan(
        row,
        _("The payment for %(plan)s is missing"),
        _("the payment for %(plan)s did not come through. You keep the plan until %(right_end)s."),
        _("It is tried again by itself. If your card has changed, or has too little on it, see to it now."),
        link=_("See to your payment"),
    )


def _on_hold(row: Subscription) -> Mail:
    return _about_plan(
        row,
        _("%(plan)s is on hold"),
        _("%(plan)s is on hold: what it gives rests until it is paid for again."),
        _("Your bonus and purchased credits, chats and personas are kept."),
        link=_("See to your payment"),
    )


def _cancelled(row: Subscription) -> Mail:
    return _about_plan(
        row,
        _("%(plan)s is cancelled"),
        _("%(plan)s is cancelled. It runs until %(period_end)s; nothing more will be charged."),
        _("If you change your mind, resume it before then."),
        link=_("Your plan"),
    )


def _resumed(row: Subscription) -> Mail:
    renewal = [_("It renews on %(period_end)s for %(price)s.")] if row.period_end else []
    return _about_plan(row, _("%(plan)s goes on"), _("%(plan)s goes on."), *renewal, link=_("Your plan"))


def _ended(row: Subscription) -> Mail:
    return _about_plan(
        row,
        _("%(plan)s has ended"),
        _("%(plan)s has ended. Nothing more will be charged."),
        _("Your bonus and purchased credits, chats and personas are kept. A plan can be taken at any time."),
        link=_("Your plan"),
    )


def _about_plan(row: Subscription, subject: str, *paragraphs: str, link: str) -> Mail:
    words = _words(row)
    return Mail(
        subject=subject % words,
        paragraphs=[paragraph % words for paragraph in paragraphs],
        links=[_plan_link(row, link)],
    )


def _words(row: Subscription) -> dict[str, str]:
    price = format_money(row.price, row.currency)
    return {
        "plan": row.name,
        "period_end": receipts.moment_in_words(row.period_end) if row.period_end else "",
        "right_end": receipts.moment_in_words(row.entitled_until) if row.entitled_until else "",
        "price": f"{price} {row.plan.get_period_display()}" if row.plan else price,
    }


def _plan_link(row: Subscription, label: str) -> Link:
    if row.store == Store.GOOGLE_PLAY:
        return Link(label, _GOOGLE_PLAY_SUBSCRIPTIONS)
    return Link(label, f"{settings.PUBLIC_URL}{reverse('billing:plan')}")


# --- To staff -------------------------------------------------------------------------------------


def _mail_staff(permission: str, key: str, subject: str, body: str) -> None:
    addresses = _staff_with(permission)
    if not addresses:
        return
    with transaction.atomic():
        if jobs.note_once("billing.mailed", key=f"staff:{key}"):
            EmailMessage(subject, body, bcc=addresses).send()


def _staff_with(permission: str) -> list[str]:
    """The addresses of active staff with a permission of billing: their own, or by a role."""
    rights = {"codename": permission, "content_type__app_label": "billing"}
    own = Q(**{f"user_permissions__{name}": value for name, value in rights.items()})
    by_role = Q(**{f"groups__permissions__{name}": value for name, value in rights.items()})
    staff = User.objects.filter(is_active=True, is_staff=True, email__isnull=False)
    chosen = staff.filter(Q(is_superuser=True) | own | by_role).order_by("id").distinct()
    return [str(email) for email in chosen.values_list("email", flat=True)]


def _admin_url(model: str, key: UUID) -> str:
    return f"{settings.PUBLIC_URL}/admin/billing/{model}/{key}/change/"
