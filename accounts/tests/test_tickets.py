"""Websocket tickets: 60 seconds, one use, bound to the session they were asked for in."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import authentication
from accounts.models import SocketTicket
from accounts.services import sessions
from accounts.tests.factories import make_user
from common.errors import NotAuthenticated

TICKET = "/api/v1/ws-ticket/"


def redeem(ticket: str) -> Any:
    return authentication.identify_socket(authorization="", cookie="", ticket=ticket)


@pytest.mark.django_db
def test_a_ticket_opens_one_socket(api_client: Callable[..., Any]) -> None:
    user = make_user()

    response = api_client(user).post(TICKET)

    assert response.status_code == 201
    assert response.json().keys() == {"ticket", "expires_at"}
    seconds = (datetime.fromisoformat(response.json()["expires_at"]) - timezone.now()).total_seconds()
    assert 55 < seconds <= 60
    assert redeem(response.json()["ticket"])[0] == user
    with pytest.raises(NotAuthenticated):
        redeem(response.json()["ticket"])


@pytest.mark.django_db(transaction=True)
def test_of_twenty_parallel_uses_one_succeeds(api_client: Callable[..., Any]) -> None:
    ticket = api_client(make_user()).post(TICKET).json()["ticket"]
    barrier = threading.Barrier(20)

    def use(_number: int) -> bool:
        barrier.wait()
        try:
            redeem(ticket)
        except NotAuthenticated:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(use, range(20))).count(True) == 1


@pytest.mark.django_db
def test_a_ticket_is_refused_after_its_minute(api_client: Callable[..., Any]) -> None:
    ticket = api_client(make_user()).post(TICKET).json()["ticket"]
    SocketTicket.objects.update(expires_at=timezone.now() - timedelta(milliseconds=1))

    with pytest.raises(NotAuthenticated):
        redeem(ticket)


@pytest.mark.django_db
def test_a_ticket_dies_with_its_session(api_client: Callable[..., Any]) -> None:
    user = make_user()
    client = api_client(user)
    ticket = client.post(TICKET).json()["ticket"]
    sessions.end_all_sessions(user_id=user.id)

    with pytest.raises(NotAuthenticated):
        redeem(ticket)


@pytest.mark.django_db
@pytest.mark.parametrize("ticket", ["x", "\x00", "é", "\ud800", "a" * 100_000, " "])
def test_odd_tickets_are_refused(ticket: str) -> None:
    with pytest.raises(NotAuthenticated):
        redeem(ticket)


@pytest.mark.django_db
def test_strangers_get_no_ticket_and_its_text_is_not_kept(api_client: Callable[..., Any]) -> None:
    assert Client().post(TICKET).status_code == 401
    ticket = api_client(make_user()).post(TICKET).json()["ticket"]
    assert ticket not in str(SocketTicket.objects.values().get())


@pytest.mark.django_db
def test_a_page_gets_a_ticket_by_its_cookie_and_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())

    assert client.post(TICKET, content_type="application/json").status_code == 403
    token = client.get("/settings/profile/").context["csrf_token"]
    answer = client.post(TICKET, content_type="application/json", headers={"X-CSRFToken": str(token)})
    assert answer.status_code == 201
