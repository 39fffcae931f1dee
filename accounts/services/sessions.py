"""Sessions, from the first token to the last log-out.

Ending one is more than deleting rows: open sockets and running replies must hear of it, so every way out
goes through here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import selectors, signals, tokens
from accounts.errors import InvalidRefreshToken, RefreshTokenReused
from accounts.models import TokenFamily, User, access_group
from accounts.services import audit
from common.errors import NotAuthenticated, NotFound
from common.ids import uuid7
from common.realtime import publish


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: str
    refresh: str


def issue_token_pair(*, user: User, session_key: str) -> TokenPair:
    """Start (or start anew) the chain of tokens of a session that has just signed in."""
    now = timezone.now()
    with transaction.atomic():
        TokenFamily.objects.filter(session_key=session_key).delete()
        family = TokenFamily.objects.create(
            user=user, session_key=session_key, current=uuid7(), rotated_at=now, expires_at=_expiry(now)
        )
    return TokenPair(tokens.make_access_token(user, family), tokens.make_refresh_token(user, family))


def rotate_refresh_token(*, token: str, received_at: datetime, has_company: bool = False) -> TokenPair:
    """Exchange a refresh token for a new pair; of parallel calls with the same token exactly one gets it.

    A call that began (`received_at`) only after the token had been used, while no other call with it was
    under way (`has_company`), shows that somebody keeps a copy: the session ends and RefreshTokenReused is
    raised. InvalidRefreshToken for every other refusal.
    """
    try:
        claims = tokens.read_token(token, "refresh")
    except NotAuthenticated as error:
        raise InvalidRefreshToken from error
    family = selectors.find_token_family(claims.family_id)
    if family is None or family.user_id != claims.user_id:
        raise InvalidRefreshToken
    if not tokens.is_same_fingerprint(family.user, claims.fingerprint):
        # The password has changed since.
        raise InvalidRefreshToken
    if not _advance(family, claims.token_id):
        _refuse_old_token(family, claims.token_id, received_at, has_company)
    _prolong_session(family.session_key)
    note_activity(session_key=family.session_key)
    return TokenPair(
        tokens.make_access_token(family.user, family), tokens.make_refresh_token(family.user, family)
    )


def _advance(family: TokenFamily, used: UUID) -> bool:
    now = timezone.now()
    family.current, family.previous = uuid7(), used
    family.rotated_at, family.expires_at = now, _expiry(now)
    return bool(
        TokenFamily.objects.filter(id=family.id, current=used, expires_at__gt=now).update(
            current=family.current, previous=used, rotated_at=now, expires_at=family.expires_at
        )
    )


def _refuse_old_token(family: TokenFamily, used: UUID, received_at: datetime, has_company: bool) -> None:
    kept = TokenFamily.objects.filter(id=family.id).first()
    if kept is None or kept.current == used:
        raise InvalidRefreshToken
    # An impatient client asks several times at once. A thief, or the client robbed, comes later and alone.
    if kept.previous == used and (has_company or received_at <= kept.rotated_at):
        raise InvalidRefreshToken
    end_session(user_id=kept.user_id, session_key=kept.session_key)
    raise RefreshTokenReused


def note_activity(*, session_key: str) -> None:
    """The device is in use now; for the user's list of devices."""
    UserSession.objects.filter(session_key=session_key).update(last_seen_at=timezone.now())


def _prolong_session(session_key: str) -> None:
    """A device that keeps refreshing stays signed in; written at most once a day."""
    age = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    now = timezone.now()
    Session.objects.filter(session_key=session_key, expire_date__lt=now + age - timedelta(days=1)).update(
        expire_date=now + age
    )


@transaction.atomic
def end_session(*, user_id: UUID, session_key: str) -> None:
    """Sign one device out."""
    Session.objects.filter(session_key=session_key).delete()
    forget_session(user_id=user_id, session_key=session_key)


@transaction.atomic
def forget_session(*, user_id: UUID, session_key: str) -> None:
    """Drop what belongs to a session that is gone; the user's sockets look whether they were part of it."""
    UserSession.objects.filter(session_key=session_key).delete()
    TokenFamily.objects.filter(session_key=session_key).delete()
    publish(access_group(user_id), {"type": "access.revoked"})


@transaction.atomic
def end_all_sessions(*, user_id: UUID) -> None:
    """Sign the user out everywhere, at once. Raises NotFound."""
    if not User.objects.filter(id=user_id).update(session_epoch=F("session_epoch") + 1):
        raise NotFound
    _forget_sessions(user_id, keep=None)


@transaction.atomic
def end_other_sessions(*, user_id: UUID, session_key: str) -> None:
    """Sign the user out everywhere but in the session named; after a change of password for example."""
    _forget_sessions(user_id, keep=session_key)


@transaction.atomic
def deactivate_user(*, user_id: UUID, actor_id: UUID | None, reason: str) -> None:
    """Suspend somebody: every session, token and socket ends. Raises NotFound, ReasonRequired."""
    user = _lock_user(user_id)
    reason = audit.required_reason(reason)
    user.is_active = False
    user.session_epoch += 1
    user.save(update_fields=["is_active", "session_epoch"])
    _forget_sessions(user_id, keep=None)
    audit.record_staff_action(actor_id=actor_id, action="suspend_user", target=user, reason=reason)


@transaction.atomic
def reactivate_user(*, user_id: UUID, actor_id: UUID | None, reason: str) -> None:
    """Let a suspended user in again; they sign in anew. Raises NotFound, ReasonRequired."""
    user = _lock_user(user_id)
    reason = audit.required_reason(reason)
    user.is_active = True
    user.save(update_fields=["is_active"])
    audit.record_staff_action(actor_id=actor_id, action="reactivate_user", target=user, reason=reason)


def _forget_sessions(user_id: UUID, *, keep: str | None) -> None:
    devices = UserSession.objects.filter(user_id=user_id).exclude(session_key=keep)
    families = TokenFamily.objects.filter(user_id=user_id).exclude(session_key=keep)
    keys = [*devices.values_list("session_key", flat=True), *families.values_list("session_key", flat=True)]
    Session.objects.filter(session_key__in=keys).delete()
    devices.delete()
    families.delete()
    signals.access_revoked.send(sender=User, user_id=user_id)
    publish(access_group(user_id), {"type": "access.revoked"})


def _lock_user(user_id: UUID) -> User:
    user = User.objects.select_for_update().filter(id=user_id).first()
    if user is None:
        raise NotFound
    return user


def _expiry(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN)
