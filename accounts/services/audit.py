"""The log of what staff do. Admin actions of every app write into it through here."""

from typing import Any
from uuid import UUID

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from accounts.errors import ReasonRequired
from accounts.models import StaffAction, User


def record_staff_action(
    *,
    actor_id: UUID | None,
    action: str,
    target: Model | None = None,
    reason: str = "",
    details: dict[str, Any] | None = None,
) -> StaffAction:
    """Note that `actor_id` (None for the system) did `action` (verb_noun) to `target`, or to all at once.

    Call it in the transaction of the action itself, so that neither exists without the other.
    """
    return StaffAction.objects.create(
        actor_id=actor_id,
        action=action,
        target_type=target._meta.label_lower if target else "",
        target_id=str(target.pk) if target else "",
        target_label=_label(target) if target else "",
        reason=reason,
        details=details or {},
    )


def required_reason(reason: str) -> str:
    """The reason without blanks around it. Raises ReasonRequired when nothing is left."""
    text = reason.strip()
    if not text:
        raise ReasonRequired(_("Actions on somebody's account need a reason."))
    return text


def _label(target: Model) -> str:
    # This log is never erased: no addresses, and none of the names people give to what is theirs.
    if isinstance(target, User):
        return target.display_name
    is_somebodys = hasattr(target, "owner_id") or hasattr(target, "user_id")
    return "" if is_somebodys else str(target)[:200]
