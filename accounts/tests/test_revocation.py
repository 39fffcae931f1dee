"""Whoever is suspended, signed out or has a new password is out at once, on every face."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from allauth.usersessions.models import UserSession
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.sessions.models import Session
from django.test import Client

from accounts import authentication, signals
from accounts.authentication import still_allowed
from accounts.errors import ReasonRequired
from accounts.models import StaffAction, User
from accounts.services import sessions
from accounts.tests.factories import PASSWORD, make_user
from common.errors import NotAuthenticated, NotFound

APP = "/_allauth/app/v1"
ME = "/api/v1/me/"


class SignedIn:
    """One user on a phone, with a browser and with a socket."""

    def __init__(self) -> None:
        self.user = make_user()
        body = json.dumps({"email": self.user.email, "password": PASSWORD})
        login = Client().post(f"{APP}/auth/login", body, content_type="application/json")
        self.tokens = login.json()["meta"]
        self.browser = Client()
        self.browser.post("/accounts/login/", {"login": self.user.email, "password": PASSWORD})
        self.cookie = f"parlor_session={self.browser.cookies['parlor_session'].value}"
        bearer = f"Bearer {self.tokens['access_token']}"
        self.phone_socket = authentication.identify_socket(authorization=bearer, cookie="", ticket="")[1]
        self.page_socket = authentication.identify_socket(authorization="", cookie=self.cookie, ticket="")[1]

    def doors(self) -> dict[str, bool]:
        """Which of them still open."""
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return {
            "rest": Client().get(ME, headers=headers).status_code == 200,
            "session token": Client()
            .get(f"{APP}/auth/session", headers={"X-Session-Token": self.tokens["session_token"]})
            .status_code
            == 200,
            "page": self.browser.get("/settings/profile/").status_code == 200,
            "rest by cookie": self.browser.get(ME).status_code == 200,
            "phone socket": still_allowed(self.phone_socket),
            "page socket": still_allowed(self.page_socket),
            "refresh": self.refresh().status_code == 200,
        }

    def refresh(self) -> Any:
        body = json.dumps({"refresh_token": self.tokens["refresh_token"]})
        return Client().post(f"{APP}/tokens/refresh", body, content_type="application/json")


@pytest.fixture
def signed_in(db: None) -> SignedIn:
    return SignedIn()


@pytest.fixture
def revoked() -> Iterator[list[UUID]]:
    seen: list[UUID] = []

    def note(user_id: UUID, **kwargs: Any) -> None:
        seen.append(user_id)

    signals.access_revoked.connect(note)
    yield seen
    signals.access_revoked.disconnect(note)


def test_all_doors_are_open_to_begin_with(signed_in: SignedIn) -> None:
    assert all(signed_in.doors().values())


def test_x26_suspension_closes_every_door_at_once(signed_in: SignedIn, revoked: list[UUID]) -> None:
    actor = make_user(staff=True)

    sessions.deactivate_user(user_id=signed_in.user.id, actor_id=actor.id, reason="spam")

    assert not any(signed_in.doors().values())
    assert revoked == [signed_in.user.id]
    action = StaffAction.objects.get()
    assert (action.action, action.actor, action.reason) == ("suspend_user", actor, "spam")
    assert action.target_id == str(signed_in.user.id)
    login = json.dumps({"email": signed_in.user.email, "password": PASSWORD})
    again = Client().post(f"{APP}/auth/login", login, content_type="application/json")
    assert "access_token" not in again.json().get("meta", {})


def test_x26_a_user_made_inactive_without_the_service_is_out_too(signed_in: SignedIn) -> None:
    User.objects.filter(id=signed_in.user.id).update(is_active=False)

    assert not any(signed_in.doors().values())


def test_a_user_let_in_again_signs_in_anew(signed_in: SignedIn) -> None:
    sessions.deactivate_user(user_id=signed_in.user.id, actor_id=None, reason="spam")
    sessions.reactivate_user(user_id=signed_in.user.id, actor_id=None, reason="a mistake")

    assert not any(signed_in.doors().values())
    login = json.dumps({"email": signed_in.user.email, "password": PASSWORD})
    assert Client().post(f"{APP}/auth/login", login, content_type="application/json").status_code == 200


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_nobody_is_suspended_without_a_reason(signed_in: SignedIn, reason: str) -> None:
    with pytest.raises(ReasonRequired):
        sessions.deactivate_user(user_id=signed_in.user.id, actor_id=None, reason=reason)

    assert all(signed_in.doors().values())
    assert StaffAction.objects.count() == 0


def test_suspending_nobody_is_an_error(db: None) -> None:
    with pytest.raises(NotFound):
        sessions.deactivate_user(user_id=uuid4(), actor_id=None, reason="spam")


def test_signing_out_everywhere_closes_every_door(signed_in: SignedIn, revoked: list[UUID]) -> None:
    sessions.end_all_sessions(user_id=signed_in.user.id)

    assert not any(signed_in.doors().values())
    assert revoked == [signed_in.user.id]
    assert (Session.objects.count(), UserSession.objects.count()) == (0, 0)


def test_a_password_set_by_any_code_closes_every_door(signed_in: SignedIn) -> None:
    signed_in.user.set_password("another-passphrase")
    signed_in.user.save()

    assert not any(signed_in.doors().values())


def test_a_deleted_user_is_refused_without_a_crash(signed_in: SignedIn) -> None:
    signed_in.user.delete()

    assert not any(signed_in.doors().values())


def test_logging_one_browser_out_leaves_the_phone_alone(signed_in: SignedIn, revoked: list[UUID]) -> None:
    signed_in.browser.post("/accounts/logout/")

    assert signed_in.doors() == {
        "rest": True,
        "session token": True,
        "page": False,
        "rest by cookie": False,
        "phone socket": True,
        "page socket": False,
        "refresh": True,
    }
    assert revoked == []


@pytest.mark.django_db(transaction=True)
def test_x10_open_sockets_are_told_to_look_again() -> None:
    signed_in = SignedIn()
    layer = get_channel_layer()
    channel = async_to_sync(layer.new_channel)()
    async_to_sync(layer.group_add)(f"access.{signed_in.user.id}", channel)

    sessions.deactivate_user(user_id=signed_in.user.id, actor_id=None, reason="spam")

    message = async_to_sync(layer.receive)(channel)
    assert message["event"] == {"type": "access.revoked"}


@pytest.mark.django_db(transaction=True)
def test_x10_a_socket_told_of_a_log_out_finds_its_session_gone() -> None:
    signed_in = SignedIn()
    layer = get_channel_layer()
    channel = async_to_sync(layer.new_channel)()
    async_to_sync(layer.group_add)(f"access.{signed_in.user.id}", channel)

    signed_in.browser.post("/accounts/logout/")

    assert async_to_sync(layer.receive)(channel)["event"] == {"type": "access.revoked"}
    assert not still_allowed(signed_in.page_socket)


def test_the_check_of_a_socket_costs_one_query(
    signed_in: SignedIn, django_assert_num_queries: Callable[..., Any]
) -> None:
    with django_assert_num_queries(1):
        assert still_allowed(signed_in.phone_socket)


@pytest.mark.parametrize(
    "cookie",
    ["", "parlor_session=", "parlor_session=" + "a" * 32, "other=1", "parlor_session=\x00", "\ud800"],
)
def test_sockets_without_a_session_are_refused(db: None, cookie: str) -> None:
    with pytest.raises(NotAuthenticated):
        authentication.identify_socket(authorization="", cookie=cookie, ticket="")


def test_a_bad_token_never_falls_back_to_the_cookie(signed_in: SignedIn) -> None:
    with pytest.raises(NotAuthenticated):
        authentication.identify_socket(authorization="Bearer x", cookie=signed_in.cookie, ticket="")
    with pytest.raises(NotAuthenticated):
        authentication.identify_socket(authorization="", cookie=signed_in.cookie, ticket="x")
