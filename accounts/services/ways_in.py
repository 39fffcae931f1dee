"""The ways somebody can get into their account, of which one must always remain."""

from dataclasses import dataclass
from typing import Any

from allauth.account.internal.userkit import filter_users_by_email
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.utils import timezone

from accounts.errors import LastWayIn
from accounts.models import ApiKey, User
from accounts.services import sessions
from common.db import transaction_required
from common.errors import NotFound


@dataclass(frozen=True, slots=True)
class Way:
    """`kind` is email, phone, provider or passkey; `key` tells several of one kind apart."""

    kind: str
    key: str


def way_of(thing: EmailAddress | SocialAccount | Authenticator) -> Way | None:
    """The way in a row of django-allauth stands for, if any: a second factor alone opens nothing."""
    if isinstance(thing, EmailAddress):
        return Way("email", thing.email)
    if isinstance(thing, SocialAccount):
        return Way("provider", str(thing.pk))
    return Way("passkey", str(thing.pk)) if _is_passkey(thing) else None


def _is_passkey(authenticator: Authenticator) -> bool:
    is_key = authenticator.type == Authenticator.Type.WEBAUTHN
    return is_key and bool(authenticator.wrap().is_passwordless)


def lock(user: User) -> User:
    """The user's row, held by the caller's transaction: ways are added and removed one after the other."""
    transaction_required()
    return User.objects.select_for_update().get(id=user.id)


def list_ways_in(user: User) -> set[Way]:
    """An address or a number lets in by a code (and by the password, if there is one); so a password alone
    is no way of its own."""
    addresses = EmailAddress.objects.filter(user=user)
    if not user.has_usable_password():
        # A code proves whose an address is, which may turn out to be somebody else.
        addresses = addresses.filter(verified=True)
    providers = SocialAccount.objects.filter(user=user).values_list("id", flat=True)
    keys = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
    return {
        *(Way("email", email) for email in addresses.values_list("email", flat=True)),
        *([Way("phone", "")] if user.phone else []),
        *(Way("provider", str(pk)) for pk in providers),
        *(Way("passkey", str(key.pk)) for key in keys if _is_passkey(key)),
    }


def find_by_address(email: str) -> User | None:
    """Whom an address lets in: who proved it, else who signed up with it.

    One that was only added to an account, and never proved, opens nothing: it may be somebody else's, put
    there by mistake or to wait for them.
    """
    users: list[User] = filter_users_by_email(email, is_active=True, prefer_verified=True, for_login=True)
    for user in users:
        is_own = (user.email or "").lower() == email.lower()
        if is_own or EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists():
            return user
    return None


def release(email: str) -> None:
    """Take an address, which its owner has just proved elsewhere, off the accounts that only claim it."""
    claims = EmailAddress.objects.filter(email__iexact=email, verified=False)
    _remove_all(claims.exclude(user__email__iexact=email))


def has_proved_address(user: User) -> bool:
    return bool(EmailAddress.objects.filter(user=user, verified=True).exists())


def is_proved(user: User) -> bool:
    """Whether anything shows that the account is its holder's: a verified address, a number, a provider."""
    return (
        user.phone is not None or has_proved_address(user) or SocialAccount.objects.filter(user=user).exists()
    )


def is_last_factor(authenticator: Authenticator) -> bool:
    """Whether its owner would have no second factor without it; recovery codes alone are none."""
    others = Authenticator.objects.filter(user_id=authenticator.user_id).exclude(pk=authenticator.pk)
    return not others.exclude(type=Authenticator.Type.RECOVERY_CODES).exists()


@transaction.atomic
def clear_unproved(*, user: User, email: str, keep_password: bool = False) -> None:
    """Somebody has just proved `email`, which nobody had proved before: the account is theirs alone now.

    Whoever made it may have been a stranger waiting for the address' owner (pre-registration hijack), so
    password (unless it is a minute old), other addresses, number, providers, second factors, API keys and
    sessions go. Nothing happens for a verified address.
    """
    if EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists():
        return
    address, _created = EmailAddress.objects.get_or_create(user=user, email=email.lower())
    locked = lock(user)
    if not keep_password:
        locked.set_unusable_password()
    locked.phone, locked.unverified_phone = None, ""
    locked.save(update_fields=["password", "phone", "unverified_phone"])
    _remove_all(EmailAddress.objects.filter(user=user).exclude(pk=address.pk))
    _remove_all(SocialAccount.objects.filter(user=user))
    _remove_all(Authenticator.objects.filter(user=user))
    ApiKey.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
    sessions.end_all_sessions(user_id=user.id)
    user.refresh_from_db()


def _remove_all(rows: Any) -> None:
    """Past the guard of the last way in: who proves an address now comes before who claimed it."""
    rows.may_leave_none = True
    rows.delete()


@transaction.atomic
def disconnect_provider(*, user: User, account_id: int) -> None:
    """Unlink a provider's account. Raises NotFound, LastWayIn."""
    account = SocialAccount.objects.filter(user=user, id=account_id).first()
    if account is None:
        raise NotFound
    account.delete()


def require_another(user: User, leaving: Way) -> None:
    """Raises LastWayIn when nothing but `leaving` lets the user in."""
    if not list_ways_in(user) - {leaving}:
        raise LastWayIn
