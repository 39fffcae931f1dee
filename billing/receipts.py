"""Receipts of payments: what stands on one, in the reader's words, for the page, the PDF and mails alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.models import User
from billing import selectors
from billing.models import TEST_STORES, Bucket, Payment, Refund, Store
from billing.money import format_money
from common.credits import format_credits
from common.errors import NotFound

PAGE = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One thing a receipt says, and what it is called."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment with all that came back of it, as its buyer reads it."""

    payment: Payment
    refunds: list[Refund]

    @property
    def is_test(self) -> bool:
        return self.payment.store in TEST_STORES

    @property
    def seller(self) -> list[str]:
        lines = [line.strip() for line in settings.BILLING_SELLER.split("|")]
        return [line for line in lines if line] or ["Parlor"]

    @property
    def buyer(self) -> list[str]:
        user = self.payment.user
        return [line for line in (user.display_name, user.email) if line]

    @property
    def facts(self) -> list[Line]:
        payment = self.payment
        lines = [
            Line(_("Number"), payment.number),
            Line(_("Date"), moment_in_words(payment.paid_at)),
            Line(_("For"), payment.name),
        ]
        if payment.period_start and payment.period_end:
            lines.append(Line(_("Period"), period_in_words(payment.period_start, payment.period_end)))
        if payment.credits:
            lines.append(Line(_("Credits"), credits_in_words(payment)))
        lines.append(Line(_("Paid with"), way_of_payment(payment)))
        return lines

    @property
    def net(self) -> str:
        return self._money(self.payment.amount - self.payment.tax)

    @property
    def tax(self) -> str:
        return self._money(self.payment.tax)

    @property
    def total(self) -> str:
        return self._money(self.payment.amount)

    @property
    def returns(self) -> list[Line]:
        return [
            Line(_return_in_words(refund), self._money(_sign(refund) * refund.counted))
            for refund in self.refunds
            if refund.counted
        ]

    @property
    def returned(self) -> str:
        """All that came back; empty where nothing did."""
        return self._money(self.payment.returned) if self.payment.returned else ""

    @property
    def left(self) -> str:
        """What was paid in the end."""
        return self._money(self.payment.amount - self.payment.returned)

    @property
    def document_url(self) -> str:
        """The store's own document; the test shop's is no page of anybody's."""
        url = self.payment.document_url
        return url if url.startswith("https://") else ""

    def _money(self, amount: int) -> str:
        return format_money(amount, self.payment.currency)


@dataclass(frozen=True, slots=True)
class Page:
    """Some receipts, latest first and without their refunds; `older_than` is the last payment's id."""

    receipts: list[Receipt]
    older_than: UUID | None


def list_payments(user_id: UUID, *, before: UUID | None = None) -> Page:
    """The person's payments before one of theirs. Raises NotFound for somebody else's."""
    payments = selectors.list_payments(user_id)
    if before is not None:
        last = _own_payment(user_id, before)
        is_older = Q(paid_at__lt=last.paid_at) | Q(paid_at=last.paid_at, id__lt=last.id)
        payments = payments.filter(is_older)
    rows = list(payments[: PAGE + 1])
    older_than = rows[PAGE - 1].id if len(rows) > PAGE else None
    return Page([Receipt(payment, []) for payment in rows[:PAGE]], older_than)


def get_receipt(user_id: UUID, payment_id: UUID) -> Receipt:
    """Raises NotFound for what somebody else paid."""
    payment = _own_payment(user_id, payment_id)
    return Receipt(payment, list(payment.refunds.order_by("refunded_at", "id")))


@contextmanager
def as_read_by(user: User) -> Iterator[None]:
    """In the person's language, where we have it, and time zone."""
    zone = ZoneInfo(user.time_zone) if user.time_zone else timezone.get_default_timezone()
    with translation.override(_language_of(user)), timezone.override(zone):
        yield


def moment_in_words(moment: datetime) -> str:
    """With the name of the time zone, since a receipt is read in other places, too."""
    local = timezone.localtime(moment)
    return f"{date_format(local, 'DATE_FORMAT')}, {date_format(local, 'TIME_FORMAT')} ({local.tzname()})"


def day_in_words(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")


def period_in_words(start: datetime, end: datetime) -> str:
    return f"{day_in_words(start)} – {day_in_words(end)}"


def credits_in_words(payment: Payment) -> str:
    amount = format_credits(payment.credits)
    if payment.bucket == Bucket.BONUS:
        return _("%(credits)s bonus credits") % {"credits": amount}
    return _("%(credits)s credits") % {"credits": amount}


def way_of_payment(payment: Payment) -> str:
    if payment.store in TEST_STORES:
        return _("Test shop: no money moved")
    return str(Store(payment.store).label)


def receipt_url(payment_id: UUID, *, as_pdf: bool = False) -> str:
    """The address in full, for mails and apps."""
    name = "billing:receipt-pdf" if as_pdf else "billing:receipt"
    return f"{settings.PUBLIC_URL}{reverse(name, args=[payment_id])}"


def _own_payment(user_id: UUID, payment_id: UUID) -> Payment:
    payment = selectors.list_payments(user_id).select_related("user").filter(id=payment_id).first()
    if payment is None:
        raise NotFound
    return payment


def _sign(refund: Refund) -> int:
    return 1 if refund.kind == Refund.Kind.REVERSED else -1


def _return_in_words(refund: Refund) -> str:
    words = {"date": day_in_words(refund.refunded_at), "credits": format_credits(refund.credits)}
    if refund.kind == Refund.Kind.CHARGEBACK:
        text = _("Taken back by the bank on %(date)s") % words
    elif refund.kind == Refund.Kind.REVERSED:
        return _("A refund did not arrive, seen on %(date)s; its credits are yours again") % words
    else:
        text = _("Refunded on %(date)s") % words
    if refund.credits:
        text += " · " + _("%(credits)s credits taken back") % words
    return text


def _language_of(user: User) -> str:
    try:
        return translation.get_supported_language_variant((user.locale or settings.LANGUAGE_CODE).lower())
    except LookupError:
        return settings.LANGUAGE_CODE
