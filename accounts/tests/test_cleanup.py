from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import SocketTicket, TokenFamily
from accounts.services import tickets
from accounts.tasks import delete_expired_rows
from accounts.tests.factories import make_user
from common.testing.clients import access_token


@pytest.mark.django_db
def test_what_is_over_is_deleted_and_what_lives_stays() -> None:
    gone, kept = make_user(), make_user()
    tokens = {user: access_token(user) for user in (gone, kept)}
    for user in (gone, kept):
        key = TokenFamily.objects.get(user=user).session_key
        tickets.issue_ws_ticket(user_id=user.id, session_key=key)
    past = timezone.now() - timedelta(seconds=1)
    Session.objects.filter(session_key=TokenFamily.objects.get(user=gone).session_key).update(
        expire_date=past
    )
    TokenFamily.objects.filter(user=gone).update(expires_at=past)
    SocketTicket.objects.filter(user=gone).update(expires_at=past)

    delete_expired_rows()

    counts = [model.objects.count() for model in (Session, TokenFamily, SocketTicket, UserSession)]
    assert counts == [1, 1, 1, 1]
    me = [
        Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {tokens[user]}"})
        for user in (gone, kept)
    ]
    assert [response.status_code for response in me] == [401, 200]
