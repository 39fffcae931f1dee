"""Text messages, which cost money: every one is counted against budgets before it is promised.

The budgets stop guessing (per number) and text pumping (per block of numbers, per address, per day, and a
stop for blocks whose codes nobody enters). They are counted in the database, so they hold for all processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from accounts import phones
from accounts.errors import TooManyTexts
from accounts.models import TextMessage, User
from common.errors import Unavailable
from common.jobs import enqueue

logger = structlog.get_logger("parlor.texts")
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_LONGEST_BACKOFF = timedelta(minutes=32)
# Any number will do, as long as nothing else locks it: one sender at a time, for a few milliseconds.
_LOCK = 0x7E_C5
_KEEP = timedelta(days=30)
# Fewer than this say nothing about how many codes are entered.
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Backend:
    """How texts leave: `send(to, body)` raises on failure; `is_available` says whether they can at all."""

    send: Callable[[str, str], None]
    is_available: Callable[[], bool]


def backend() -> Backend:
    found: Backend = import_string(settings.SMS_BACKEND)
    return found


def can_send() -> bool:
    return backend().is_available()


def send_text(*, number: str, body: str, purpose: str, address: str | None) -> None:
    """Promise a text to an E.164 number; a task delivers it.

    Raises TooManyTexts (with `retry_after`, seconds) when a budget is used up, Unavailable where texts are
    not set up.
    """
    if not can_send():
        raise Unavailable(_("Text messages are not set up here."))
    with transaction.atomic():
        _one_at_a_time()
        _check_budgets(number, address, timezone.now())
        message = TextMessage.objects.create(
            number=number,
            prefix=phones.prefix_of(number),
            country=phones.country_of(number),
            address=address,
            purpose=purpose,
        )
        enqueue("accounts.deliver_text", message_id=str(message.id), number=number, body=body)


def deliver(*, message_id: UUID, number: str, body: str) -> None:
    """Hand a promised text to the provider. A failure is raised as it came, and the outbox tries again."""
    lifetime = timedelta(seconds=settings.ACCOUNT_PHONE_VERIFICATION_TIMEOUT)
    if not TextMessage.objects.filter(id=message_id, created_at__gt=timezone.now() - lifetime).exists():
        # A code that is dead by now would only puzzle its receiver.
        return
    try:
        backend().send(number, body)
    except Exception:
        TextMessage.objects.filter(id=message_id).update(state=TextMessage.State.FAILED)
        raise
    TextMessage.objects.filter(id=message_id).update(state=TextMessage.State.SENT)


def note_code_used(*, number: str) -> None:
    """The code of the last text was entered: the number is real, and its pauses start anew."""
    newest = TextMessage.objects.filter(number=number, purpose=TextMessage.Purpose.CODE).order_by(
        "-created_at"
    )
    TextMessage.objects.filter(id__in=newest.values("id")[:1], used_at=None).update(used_at=timezone.now())


def check_conversion() -> None:
    """Tell staff, once an hour, when few of the last hour's codes were entered: a sign of pumping."""
    now = timezone.now()
    sent, used = _conversion(TextMessage.objects.filter(_ripe(now)))
    if not _is_low(sent, used):
        return
    hour = now.strftime("%Y-%m-%dT%H")
    with transaction.atomic():
        enqueue("accounts.warn_of_texts", key=f"texts:{hour}", hour=hour, sent=sent, used=used)


def warn_staff(*, hour: str, sent: int, used: int) -> None:
    logger.warning("text_conversion_low", hour=hour, sent=sent, used=used)
    staff = User.objects.filter(is_active=True, is_staff=True, email__isnull=False).order_by("id")
    addresses = [str(email) for email in staff.values_list("email", flat=True)]
    if not addresses:
        return
    body = _(
        "In the last hour %(sent)d codes were texted and only %(used)d entered. Somebody may be making us "
        "write to numbers that earn by it. Blocks of numbers with no codes entered are stopped.\n\n"
        "Who was written to: %(site)s/admin/accounts/textmessage/"
    )
    words = {"sent": sent, "used": used, "site": settings.PUBLIC_URL}
    EmailMessage(_("Few texted codes are being entered"), body % words, bcc=addresses).send()


def delete_old_texts() -> int:
    return TextMessage.objects.filter(created_at__lt=timezone.now() - _KEEP).delete()[0]


def _one_at_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _check_budgets(number: str, address: str | None, now: datetime) -> None:
    counts = _count(number, address, now)
    if counts["number_day"] >= settings.ACCOUNTS_SMS_PER_NUMBER:
        raise _refusal("number", number, _DAY)
    _check_pause(number, counts["last"], now)
    if address is not None and counts["address_day"] >= settings.ACCOUNTS_SMS_PER_ADDRESS:
        raise _refusal("address", number, _DAY)
    if counts["prefix_day"] >= settings.ACCOUNTS_SMS_PER_PREFIX:
        raise _refusal("prefix", number, _DAY)
    if counts["day"] >= settings.ACCOUNTS_SMS_PER_DAY:
        raise _refusal("day", number, _DAY)
    block = TextMessage.objects.filter(_ripe(now), prefix=phones.prefix_of(number))
    if _is_low(*_conversion(block)):
        raise _refusal("conversion", number, _HOUR)


def _count(number: str, address: str | None, now: datetime) -> dict[str, Any]:
    today = TextMessage.objects.filter(created_at__gt=now - _DAY)
    return today.aggregate(
        day=Count("id"),
        number_day=Count("id", filter=Q(number=number)),
        address_day=Count("id", filter=Q(address=address)),
        prefix_day=Count("id", filter=Q(prefix=phones.prefix_of(number))),
        last=Max("created_at", filter=Q(number=number)),
    )


def _check_pause(number: str, last: datetime | None, now: datetime) -> None:
    """One minute after the first text, then 2, 4 … 32, until a code is entered."""
    if last is None:
        return
    answered = TextMessage.objects.filter(number=number, used_at__isnull=False).aggregate(
        at=Max("created_at")
    )
    unanswered = TextMessage.objects.filter(number=number, created_at__gt=now - _DAY)
    if answered["at"] is not None:
        unanswered = unanswered.filter(created_at__gt=answered["at"])
    waited_for = unanswered.count()
    if not waited_for:
        return
    ends = last + min(timedelta(minutes=2 ** (waited_for - 1)), _LONGEST_BACKOFF)
    if ends > now:
        raise _refusal("pause", number, ends - now)


def _ripe(now: datetime) -> Q:
    """Texts of the last hour whose codes people had the time to enter.

    Notices to unknown numbers count as codes nobody entered: they cost the same, and anybody may ask.
    """
    lifetime = timedelta(seconds=settings.ACCOUNT_PHONE_VERIFICATION_TIMEOUT)
    return Q(created_at__gt=now - _HOUR, created_at__lt=now - lifetime)


def _conversion(messages: QuerySet[TextMessage]) -> tuple[int, int]:
    counts = messages.aggregate(sent=Count("id"), used=Count("id", filter=Q(used_at__isnull=False)))
    return counts["sent"], counts["used"]


def _is_low(sent: int, used: int) -> bool:
    return sent >= _SAMPLE and used * 100 < sent * settings.ACCOUNTS_SMS_MINIMUM_CONVERSION


def _refusal(budget: str, number: str, wait: timedelta) -> TooManyTexts:
    logger.warning("text_refused", budget=budget, prefix=phones.prefix_of(number))
    return TooManyTexts(retry_after=max(int(wait.total_seconds()) + 1, 1))
