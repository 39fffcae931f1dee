"""`python -m tests.people COUNT CHATS TIER` prints signed-in accounts with open chats, as JSON."""

import json
import os
import sys
from uuid import uuid4

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

import django


def make_person(chats: int, tier: str) -> dict[str, object]:
    from django.test import Client

    from accounts.models import User
    from accounts.services.sessions import issue_token_pair
    from billing.selectors import get_wallet
    from billing.services.adjustments import set_tier
    from chat.services.sessions import create_session
    from personas.models import Persona

    persona = Persona.objects.get(slug="tock")
    user = User.objects.create_user(f"load-{uuid4().hex}@example.com", None)
    get_wallet(user.pk)
    if tier != "free":
        set_tier(user_id=user.pk, tier=tier, reason="Load")
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    pair = issue_token_pair(user=user, session_key=str(client.session.session_key))
    sessions = [create_session(user_id=user.pk, persona_id=persona.pk) for _ in range(chats)]
    return {
        "id": str(user.pk),
        "email": user.email,
        "token": pair.access,
        "chats": [str(session.pk) for session in sessions],
    }


def main(count: int, chats: int, tier: str) -> None:
    django.setup()
    sys.stdout.write(json.dumps([make_person(chats, tier) for _ in range(count)]))


main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
