"""What staff may do to a wallet. Each needs a reason and is noted in the log of staff actions."""

from datetime import datetime
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.services import audit
from billing import database
from billing.models import Bucket, LedgerAccount, LedgerTransaction, Tier, Wallet
from billing.services import allowance, grants, subscriptions
from common.errors import Invalid


def adjust_credits(
    *,
    user_id: UUID,
    amount: int,
    reason: str,
    actor_id: UUID | None,
    token: str,
    bucket: Bucket = Bucket.BONUS,
    now: datetime | None = None,
) -> grants.Posting:
    """Add or take `amount` microcredits once for `token`, which the form or command makes up.

    Raises InsufficientCredits when the bucket has less to take, KeyReused, UnknownWallet, Invalid, and
    accounts' ReasonRequired.
    """
    reason = audit.required_reason(reason)

    def work() -> grants.Posting:
        posting = grants.grant_credits(
            user_id=user_id,
            amount=amount,
            key=f"adjustment:{token}",
            bucket=bucket,
            kind=LedgerTransaction.Kind.ADJUSTMENT,
            account=LedgerAccount.System.ADJUSTMENTS,
            actor_id=actor_id,
            reason=reason,
            now=now,
        )
        if posting.applied:
            _note(user_id, actor_id, "adjust_credits", reason, amount=amount, bucket=str(bucket))
        return posting

    return database.atomically(work)


def set_tier(
    *,
    user_id: UUID,
    tier: str,
    reason: str,
    until: datetime | None = None,
    actor_id: UUID | None = None,
    now: datetime | None = None,
) -> None:
    """Give a user `tier` (a slug) until a moment or for life; the lowest tier takes such a gift back.

    What they bought stays: the better of both counts. A larger daily allowance counts from today. Raises
    UnknownWallet, Invalid for an unknown tier, and accounts' ReasonRequired.
    """
    reason = audit.required_reason(reason)
    found = Tier.objects.filter(slug=tier).first()
    if found is None:
        raise Invalid.field("tier", "does_not_exist", _("There is no such tier."))
    is_lowest = not Tier.objects.filter(position__lt=found.position).exists()

    def work() -> None:
        if is_lowest:
            subscriptions.end_given(user_id=user_id, actor_id=actor_id, reason=reason, now=now)
        else:
            subscriptions.give_tier(
                user_id=user_id, tier=found, until=until, actor_id=actor_id, reason=reason, now=now
            )
        _note(user_id, actor_id, "set_tier", reason, tier=tier)

    database.atomically(work)


def suspend_wallet(*, user_id: UUID, reason: str, actor_id: UUID | None) -> bool:
    """Refuse new holds until resumed; open ones may still end. False where it was suspended already."""
    return _set_suspended(user_id, timezone.now(), "suspend_wallet", reason, actor_id)


def resume_wallet(*, user_id: UUID, reason: str, actor_id: UUID | None) -> bool:
    """Let a suspended wallet spend again. False where it was not suspended."""
    return _set_suspended(user_id, None, "resume_wallet", reason, actor_id)


def _set_suspended(
    user_id: UUID, suspended_at: datetime | None, action: str, reason: str, actor_id: UUID | None
) -> bool:
    reason = audit.required_reason(reason)

    def work() -> bool:
        allowance.open_wallet(user_id=user_id)
        changed = Wallet.objects.filter(
            user_id=user_id, suspended_at__isnull=suspended_at is not None
        ).update(suspended_at=suspended_at)
        if changed:
            _note(user_id, actor_id, action, reason)
        return bool(changed)

    return database.atomically(work)


def _note(user_id: UUID, actor_id: UUID | None, action: str, reason: str, **details: object) -> None:
    audit.record_staff_action(
        actor_id=actor_id, action=action, target=Wallet(pk=user_id), reason=reason, details=details
    )
