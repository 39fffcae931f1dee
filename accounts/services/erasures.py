"""Leaving: asked for, thought over, done. Each step may run again after a crash and does the rest then."""

from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import privacy
from accounts.models import Erasure, User
from accounts.services import audit, sessions
from common.errors import Conflict, NotFound

logger = structlog.get_logger("parlor.privacy")


@transaction.atomic
def request_erasure(*, user_id: UUID, session_key: str) -> Erasure:
    """Everything of the user's goes after the days to think it over; other devices are signed out now.

    Asking again changes nothing. Raises Conflict for staff, whose rights somebody must take back first.
    """
    user = User.objects.select_for_update().get(id=user_id)
    if user.is_staff or user.is_superuser:
        raise Conflict(_("Staff accounts can't be deleted by themselves; ask an admin."))
    erase_at = timezone.now() + timedelta(days=settings.ACCOUNTS_ERASURE_DAYS)
    erasure, created = Erasure.objects.get_or_create(user=user, defaults={"erase_at": erase_at})
    if created:
        User.objects.filter(id=user_id).update(leaving_at=erase_at)
        sessions.end_other_sessions(user_id=user_id, session_key=session_key)
        _tell_request(user, erasure)
    return erasure


@transaction.atomic
def cancel_erasure(*, user_id: UUID) -> None:
    """The user stays. Raises NotFound when nothing was asked for, Conflict when it has begun."""
    erasure = Erasure.objects.select_for_update().filter(user_id=user_id).first()
    if erasure is None:
        raise NotFound
    if erasure.started_at is not None:
        raise Conflict(_("It is too late: your data is being deleted."))
    erasure.delete()
    User.objects.filter(id=user_id).update(leaving_at=None)


@transaction.atomic
def cancel_by_staff(*, user_id: UUID, actor_id: UUID, reason: str) -> None:
    """As cancel_erasure, for support, and logged. Raises ReasonRequired."""
    reason = audit.required_reason(reason)
    cancel_erasure(user_id=user_id)
    user = User.objects.get(id=user_id)
    audit.record_staff_action(actor_id=actor_id, action="cancel_erasure", target=user, reason=reason)


def erase_due_accounts() -> int:
    """Erase whoever's days are over. One that fails is logged and tried again next time."""
    due = Erasure.objects.filter(done_at=None, erase_at__lte=timezone.now()).order_by("erase_at")
    done = 0
    for user_id in due.values_list("user_id", flat=True)[:100]:
        try:
            erase_account(user_id=user_id)
        except Exception:
            logger.exception("erasure_failed", user_id=str(user_id))
        else:
            done += 1
    return done


def erase_account(*, user_id: UUID) -> None:
    """Carry out an erasure that is due: every app's part, the upper ones first, the account itself last."""
    if not _begin(user_id):
        return
    for part in reversed(privacy.parts()):
        part.erase(user_id)
    Erasure.objects.filter(user_id=user_id).update(done_at=timezone.now())
    logger.info("account_erased", user_id=str(user_id))


@transaction.atomic
def _begin(user_id: UUID) -> bool:
    erasure = Erasure.objects.select_for_update().filter(user_id=user_id, done_at=None).first()
    if erasure is None or erasure.erase_at > timezone.now():
        return False
    if erasure.started_at is None:
        Erasure.objects.filter(user_id=user_id).update(started_at=timezone.now())
        User.objects.filter(id=user_id).update(is_active=False)
        # Running replies stop and settle, sockets close.
        sessions.end_all_sessions(user_id=user_id)
    return True


def _tell_request(user: User, erasure: Erasure) -> None:
    if not user.email:
        return
    body = _(
        "Hello %(name)s,\n\nyou asked us to delete your account. On %(date)s everything in it goes.\n\n"
        "If you change your mind, or if it was not you, log in before then and keep your account:\n\n"
        "%(url)s\n"
    )
    words = {
        "name": user.display_name,
        "date": f"{erasure.erase_at:%d %B %Y}",
        "url": f"{settings.PUBLIC_URL}/settings/data/",
    }
    EmailMessage(_("Your Parlor account will be deleted"), body % words, to=[user.email]).send()
