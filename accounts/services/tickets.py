"""Tickets for websockets, for clients that cannot send headers with the handshake."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.errors import InvalidTicket
from accounts.models import SocketTicket

LIFETIME = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    ticket: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RedeemedTicket:
    user_id: UUID
    session_key: str


def issue_ws_ticket(*, user_id: UUID, session_key: str) -> IssuedTicket:
    """A pass for one websocket of the user, good for 60 seconds and as long as the session lives."""
    text = secrets.token_urlsafe(32)
    expires_at = timezone.now() + LIFETIME
    SocketTicket.objects.create(
        digest=_digest(text), user_id=user_id, session_key=session_key, expires_at=expires_at
    )
    return IssuedTicket(text, expires_at)


def redeem_ws_ticket(*, ticket: str) -> RedeemedTicket:
    """Use a ticket up, in one statement, so that of many callers in many processes one succeeds.

    Raises InvalidTicket.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM accounts_socketticket WHERE digest = %s RETURNING user_id, session_key, expires_at",
            [_digest(ticket)],
        )
        row = cursor.fetchone()
    if row is None or row[2] <= timezone.now():
        raise InvalidTicket
    return RedeemedTicket(user_id=row[0], session_key=row[1])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
