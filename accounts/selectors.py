from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import ApiKey, DataExport, Erasure, TokenFamily, User
from common.errors import NotFound


def has_verified_email(user_id: UUID) -> bool:
    return EmailAddress.objects.filter(user_id=user_id, verified=True).exists()


def list_addresses(user_id: UUID) -> QuerySet[EmailAddress]:
    """The user's addresses, the main one first."""
    return EmailAddress.objects.filter(user_id=user_id).order_by("-primary", "id")


def list_provider_accounts(user_id: UUID) -> QuerySet[SocialAccount]:
    return SocialAccount.objects.filter(user_id=user_id).order_by("date_joined", "id")


def list_factors(user_id: UUID) -> QuerySet[Authenticator]:
    """Second factors and passkeys, oldest first."""
    return Authenticator.objects.filter(user_id=user_id).order_by("created_at", "id")


def has_second_factor(user_id: UUID) -> bool:
    """Recovery codes alone are none."""
    return list_factors(user_id).exclude(type=Authenticator.Type.RECOVERY_CODES).exists()


def list_api_keys(user_id: UUID) -> QuerySet[ApiKey]:
    """The keys that work, newest first."""
    return ApiKey.objects.filter(user_id=user_id, revoked_at=None).order_by("-created_at", "-id")


def get_export(user_id: UUID, export_id: UUID) -> DataExport:
    """Raises NotFound for what is not the user's."""
    export = DataExport.objects.filter(user_id=user_id, id=export_id).first()
    if export is None:
        raise NotFound
    return export


def find_latest_export(user_id: UUID) -> DataExport | None:
    return DataExport.objects.filter(user_id=user_id).order_by("-created_at", "-id").first()


def find_erasure(user_id: UUID) -> Erasure | None:
    return Erasure.objects.filter(user_id=user_id).first()


def live_sessions() -> QuerySet[Session]:
    return Session.objects.filter(expire_date__gt=timezone.now())


def find_token_family(family_id: UUID) -> TokenFamily | None:
    """The chain of a device that is still signed in and whose user is active, with that user."""
    session = live_sessions().filter(session_key=OuterRef("session_key"))
    return (
        TokenFamily.objects.filter(Exists(session), id=family_id, user__is_active=True)
        .select_related("user")
        .first()
    )


def find_session_user(user_id: UUID, session_key: str) -> User | None:
    """The user, if active and if the session still exists."""
    session = live_sessions().filter(session_key=session_key)
    return User.objects.filter(Exists(session), id=user_id, is_active=True).first()


def find_session_secrets(user_id: UUID, session_key: str) -> tuple[str, int] | None:
    """Password hash and session epoch of an active user whose session still exists.

    Asked before every message of a socket, so it does without the ORM, which takes longer than the database.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SESSION_SECRETS, [user_id, session_key])
        return cursor.fetchone()


def find_secrets_of_sessions(session_keys: list[str]) -> dict[str, tuple[UUID, str, int]]:
    """The same for many sessions, with the user's id; sessions that ended are not among the answers.

    A session knows its user only inside its encoded data, so the list of devices and the chains of tokens
    are asked whose it is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SECRETS_OF_SESSIONS, [session_keys])
        return {key: (user_id, password, epoch) for key, user_id, password, epoch in cursor.fetchall()}


def list_devices(user_id: UUID) -> QuerySet[UserSession]:
    """Where the user is signed in, latest first."""
    session = live_sessions().filter(session_key=OuterRef("session_key"))
    return UserSession.objects.filter(Exists(session), user_id=user_id).order_by("-last_seen_at", "-id")


_SECRETS_OF_SESSIONS = """
SELECT s.session_key, u.id, u.password, u.session_epoch
  FROM django_session s
  JOIN LATERAL (SELECT d.user_id FROM usersessions_usersession d WHERE d.session_key = s.session_key
                UNION ALL
                SELECT f.user_id FROM accounts_tokenfamily f WHERE f.session_key = s.session_key
                LIMIT 1) owner ON true
  JOIN accounts_user u ON u.id = owner.user_id
 WHERE s.session_key = ANY(%s) AND s.expire_date > now() AND u.is_active
"""
_SESSION_SECRETS = """
SELECT u.password, u.session_epoch FROM accounts_user u
 WHERE u.id = %s AND u.is_active
   AND EXISTS (SELECT FROM django_session s WHERE s.session_key = %s AND s.expire_date > now())
"""
