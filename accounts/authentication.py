"""Who is calling: the one place that turns a token, a cookie's session or a ticket into a user.

REST and sockets share it. A socket keeps the `Identity` and asks `still_allowed` before it acts on each
message: one query, which notices suspension, log-out and a changed password at once.
"""

import time
from dataclasses import dataclass
from uuid import UUID

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from accounts import selectors, tokens
from accounts.errors import InvalidTicket, ProveItAgain
from accounts.models import User
from accounts.services import tickets
from accounts.session_store import SessionStore
from common.errors import NotAuthenticated
from common.ids import parse_uuid


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller as they were when they came: whose, by which session, under which password and epoch."""

    user_id: UUID
    session_key: str
    fingerprint: str


def identify_access_token(token: str) -> tuple[User, Identity]:
    """One query. Raises TokenExpired or NotAuthenticated."""
    claims = tokens.read_token(token, "access")
    family = selectors.find_token_family(claims.family_id)
    if family is None or family.user_id != claims.user_id:
        raise NotAuthenticated(_("This session has ended."))
    if not tokens.is_same_fingerprint(family.user, claims.fingerprint):
        raise NotAuthenticated(_("This session has ended."))
    return family.user, Identity(family.user_id, family.session_key, claims.fingerprint)


def user_from_access_token(token: str) -> User:
    """Raises TokenExpired or NotAuthenticated."""
    return identify_access_token(token)[0]


def identify_session(session_key: str) -> tuple[User, Identity]:
    """The user of a web session. Raises NotAuthenticated."""
    session = SessionStore(session_key)
    user_id = parse_uuid(session.get(SESSION_KEY))
    if user_id is None or session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        raise NotAuthenticated
    user = User.objects.filter(id=user_id, is_active=True).first()
    kept = session.get(HASH_SESSION_KEY) or ""
    if user is None or not constant_time_compare(kept, user.get_session_auth_hash()):
        raise NotAuthenticated
    return user, Identity(user.id, session_key, tokens.fingerprint(user))


def identify_ticket(text: str) -> tuple[User, Identity]:
    """Uses the ticket up. Raises NotAuthenticated."""
    try:
        ticket = tickets.redeem_ws_ticket(ticket=text)
    except InvalidTicket as error:
        raise NotAuthenticated(error.detail) from error
    user = selectors.find_session_user(ticket.user_id, ticket.session_key)
    if user is None:
        raise NotAuthenticated
    return user, Identity(user.id, ticket.session_key, tokens.fingerprint(user))


def identify_socket(*, authorization: str, cookie: str, ticket: str) -> tuple[User, Identity]:
    """The caller of a websocket by its Authorization header, its ticket or its cookie, in this order.

    The first one that is present decides; a bad token never falls back to a cookie.
    Raises TokenExpired or NotAuthenticated.
    """
    if authorization:
        return identify_access_token(bearer_token(authorization))
    if ticket:
        return identify_ticket(ticket)
    session_key = parse_cookie(cookie).get(settings.SESSION_COOKIE_NAME, "")
    if not session_key:
        raise NotAuthenticated
    return identify_session(session_key)


def bearer_token(authorization: str) -> str:
    """The token of an `Authorization: Bearer …` header. Raises NotAuthenticated."""
    scheme, _space, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise NotAuthenticated(_("Send the header as: Authorization: Bearer <token>."))
    return token


def signed_in_user(request: HttpRequest) -> User:
    """The user of a request that only the signed-in can make."""
    user = request.user
    if not isinstance(user, User):
        raise NotAuthenticated
    return user


def caller_of(request: HttpRequest) -> User:
    """Who asks for a file: by the bearer token if one is sent, else by the pages' session.

    Raises TokenExpired or NotAuthenticated.
    """
    header = request.headers.get("Authorization")
    return user_from_access_token(bearer_token(header)) if header else signed_in_user(request)


def require_recent_sign_in(identity: Identity) -> None:
    """Raises ProveItAgain unless the session signed in, or proved itself again, in the last minutes."""
    records = SessionStore(identity.session_key).get(AUTHENTICATION_METHODS_SESSION_KEY) or []
    lately = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    if not any(record["at"] > lately for record in records):
        raise ProveItAgain


def revoked_among(identities: set[Identity]) -> set[Identity]:
    """Those of many callers who may not go on. One query, and one more for each that it does not find."""
    known = selectors.find_secrets_of_sessions([identity.session_key for identity in identities])
    return {identity for identity in identities if not _is_still(identity, known.get(identity.session_key))}


def _is_still(identity: Identity, found: tuple[UUID, str, int] | None) -> bool:
    if found is None or found[0] != identity.user_id:
        return still_allowed(identity)
    user = User(id=identity.user_id, password=found[1], session_epoch=found[2])
    return tokens.is_same_fingerprint(user, identity.fingerprint)


def still_allowed(identity: Identity) -> bool:
    """Whether the caller may go on: active, signed in, same password and epoch. One query."""
    secrets = selectors.find_session_secrets(identity.user_id, identity.session_key)
    if secrets is None:
        return False
    password, epoch = secrets
    user = User(id=identity.user_id, password=password, session_epoch=epoch)
    return tokens.is_same_fingerprint(user, identity.fingerprint)
