"""Keys for programs: shown once, kept as a digest, revoked at once."""

import hashlib
import secrets
import zlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User
from accounts.services import audit, profiles
from common.errors import Invalid, LimitReached, NotAuthenticated, NotFound

# Scanners for leaked secrets find keys by their beginning and know real ones by their checksum.
_BEGINNING = "parlor_sk_"
_SHOWN = 14
_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its text, which nobody can read again."""

    row: ApiKey
    text: str


@transaction.atomic
def create_api_key(*, user_id: UUID, name: str) -> NewKey:
    """Make a key. Raises Invalid for an unusable name, LimitReached with too many (`limit`, `used`)."""
    name = profiles.single_line("name", name, 60)
    if not name:
        raise Invalid.field("name", "required", _("Give the key a name."))
    User.objects.select_for_update().get(id=user_id)
    used = ApiKey.objects.filter(user_id=user_id, revoked_at=None).count()
    if used >= settings.ACCOUNTS_API_KEYS:
        raise LimitReached(
            _("You have as many keys as you may."), limit=settings.ACCOUNTS_API_KEYS, used=used
        )
    body = secrets.token_urlsafe(32)
    text = f"{_BEGINNING}{body}{_checksum(body)}"
    row = ApiKey.objects.create(user_id=user_id, name=name, prefix=text[:_SHOWN], digest=_digest(text))
    return NewKey(row, text)


def revoke_api_key(*, user_id: UUID, key_id: UUID) -> None:
    """It stops working at once. Raises NotFound for a key that is not the user's or is revoked."""
    open_keys = ApiKey.objects.filter(id=key_id, user_id=user_id, revoked_at=None)
    if not open_keys.update(revoked_at=timezone.now()):
        raise NotFound


@transaction.atomic
def revoke_by_staff(*, key_id: UUID, actor_id: UUID, reason: str) -> None:
    """The same for staff, who say why. Raises NotFound, ReasonRequired."""
    reason = audit.required_reason(reason)
    key = ApiKey.objects.select_for_update().filter(id=key_id, revoked_at=None).first()
    if key is None:
        raise NotFound
    revoke_api_key(user_id=key.user_id, key_id=key.id)
    audit.record_staff_action(actor_id=actor_id, action="revoke_api_key", target=key, reason=reason)


def identify_api_key(text: str) -> User:
    """Whose key this is, noting its use about once a minute. Raises NotAuthenticated."""
    if not text.startswith(_BEGINNING) or len(text) > 200:
        raise NotAuthenticated(_("The API key is not valid."))
    key = (
        ApiKey.objects.filter(digest=_digest(text), revoked_at=None, user__is_active=True)
        .select_related("user")
        .first()
    )
    if key is None:
        raise NotAuthenticated(_("The API key is not valid."))
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - _USE_NOTED_EVERY:
        ApiKey.objects.filter(id=key.id).update(last_used_at=now)
    return key.user


def _digest(text: str) -> str:
    """Keys are random, so one round of SHA-256 is enough."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
