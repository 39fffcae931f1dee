"""Codes people redeem for bonus credits: a code as often as it says, once to each person."""

import re
import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.cache import cache
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import database
from billing.models import LedgerTransaction, Redemption, RedemptionCode
from billing.services import grants
from billing.services.limits import RateState
from common.errors import Conflict, Invalid, NotFound, RateLimited

TRIES_PER_HOUR = 10
_HOUR = 3600
_SEPARATORS = re.compile(r"[ -]")
_CODE = re.compile(r"[A-Z0-9]{4,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a code gave and what can be spent now, in microcredits."""

    credits: int
    available: int


def redeem_code(*, user_id: UUID, code: str, now: datetime | None = None) -> Redeemed:
    """Put a code's credits into the user's bonus bucket, once.

    Upper and lower case, spaces and dashes make no difference; letters that only look alike do. Raises
    Invalid for what cannot be a code, NotFound for unknown, expired and used-up ones, Conflict for one the
    user had before, RateLimited for guessers, UnknownWallet.
    """
    plain = _normal(code)
    _count_try(user_id)
    return database.atomically(lambda: _redeem(user_id, plain, now or timezone.now()))


def tries(user_id: UUID) -> RateState:
    """How many codes the user may still try in this hour."""
    used = int(cache.get(_tries_key(user_id), 0))
    return RateState(TRIES_PER_HOUR, max(TRIES_PER_HOUR - used, 0), _HOUR - int(time.time()) % _HOUR)


def _redeem(user_id: UUID, plain: str, now: datetime) -> Redeemed:
    code = RedemptionCode.objects.filter(code=plain).first()
    if code is None:
        raise _unknown()
    _refuse_again(code, user_id)
    is_good = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    taken = RedemptionCode.objects.filter(is_good, id=code.id, used__lt=F("uses")).update(used=F("used") + 1)
    if not taken:
        # The rival this one waited for may have been the same person.
        _refuse_again(code, user_id)
        raise _unknown()
    Redemption.objects.create(code=code, user_id=user_id, credits=code.credits)
    posting = grants.grant_credits(
        user_id=user_id,
        amount=code.credits,
        key=f"code:{code.id}:{user_id}",
        kind=LedgerTransaction.Kind.CODE,
        reference=f"code:{code.id}",
        now=now,
    )
    return Redeemed(code.credits, posting.available)


def _normal(code: str) -> str:
    """Nothing beyond ASCII is folded: a look-alike is another letter."""
    plain = _SEPARATORS.sub("", code).upper() if code.isascii() else ""
    if not _CODE.fullmatch(plain):
        raise Invalid.field("code", "invalid", _("A code has 4 to 40 letters and digits."))
    return plain


def _refuse_again(code: RedemptionCode, user_id: UUID) -> None:
    if Redemption.objects.filter(code=code, user_id=user_id).exists():
        raise Conflict(_("You have redeemed this code already."))


def _unknown() -> NotFound:
    """The same words whatever is wrong: guessers learn nothing."""
    return NotFound(_("This code is not valid, or no longer."))


def _count_try(user_id: UUID) -> None:
    """Counted before it is tried, so that parallel guesses are as few as others. Raises RateLimited."""
    key = _tries_key(user_id)
    cache.add(key, 0, timeout=2 * _HOUR)
    try:
        used = cache.incr(key)
    except ValueError:
        cache.set(key, used := 1, timeout=2 * _HOUR)
    if used > TRIES_PER_HOUR:
        raise RateLimited(_("Too many codes were tried. Wait a little."), retry_after=tries(user_id).reset)


def _tries_key(user_id: UUID) -> str:
    return f"billing:code-tries:{user_id}:{int(time.time() // _HOUR)}"
