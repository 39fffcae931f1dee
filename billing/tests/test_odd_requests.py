"""What is asked for oddly gets an answer, not a failure."""

import base64
from typing import Any

import pytest

from accounts import signals
from accounts.models import User
from accounts.tests.factories import make_user
from billing.models import Gift, LedgerTransaction
from common.testing.clients import make_api_client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("position", ["abc", "9" * 30, "-1", "1e9", "\x00", "2026-13-45"])
@pytest.mark.parametrize("path", ["wallet/transactions/", "chat/sessions/", "files/", "personas/?mine=true"])
def test_x46_a_made_up_cursor_is_not_found(path: str, position: str) -> None:
    client = make_api_client(make_user())
    client.raise_request_exception = False
    cursor = base64.b64encode(f"p={position}".encode()).decode()

    response = client.get(f"/api/v1/{path}", {"cursor": cursor, **({"mine": "true"} if "?" in path else {})})

    assert response.status_code in (200, 404, 422)


def test_a_changed_welcome_gift_is_not_given_again_and_breaks_nothing(settings: Any) -> None:
    user = make_user()
    signals.email_verified.send(sender=User, user_id=user.pk)
    before = LedgerTransaction.objects.filter(kind="sign_up_bonus").count()
    for gift in Gift.objects.all():
        Gift.objects.filter(pk=gift.pk).update(credits=gift.credits + 1_000_000)

    signals.email_verified.send(sender=User, user_id=user.pk)

    assert LedgerTransaction.objects.filter(kind="sign_up_bonus").count() == before == 1
