"""Prints accounts for a load: signed-in sessions with credits and an open chat."""

import json
import sys
from uuid import uuid4

import django

django.setup()

from django.test import Client

from accounts.models import User
from billing.selectors import get_wallet
from billing.services.adjustments import set_tier
from chat.services.sessions import create_session
from personas.models import Persona


def main(count: int) -> None:
    persona = Persona.objects.filter(status="published", visibility="public").order_by("slug")[0]
    rows = []
    for _ in range(count):
        user = User.objects.create_user(f"load-{uuid4().hex}@example.com", None)
        get_wallet(user.pk)
        set_tier(user_id=user.pk, tier="vip", reason="benchmark")
        client = Client(SERVER_NAME="localhost")
        client.force_login(user)
        session = create_session(user_id=user.pk, persona_id=persona.pk)
        rows.append({"cookie": client.cookies["parlor_session"].value, "session": str(session.pk)})
    sys.stdout.write(json.dumps(rows))


main(int(sys.argv[1]))
