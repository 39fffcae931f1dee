"""`python -m benchmarks.queries` prints how many statements each request takes, as JSON."""

import json
import os
import sys
from uuid import uuid4

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

import django


def main() -> None:
    django.setup()
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User
    from billing.selectors import get_wallet
    from chat.services.sessions import create_session
    from personas.models import Persona

    user = User.objects.create_user(f"queries-{uuid4().hex}@example.com", None)
    get_wallet(user.pk)
    persona = Persona.objects.get(slug="tock")
    session = create_session(user_id=user.pk, persona_id=persona.pk)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    paths = {
        "the discover page": "/",
        "a persona's page": f"/personas/{persona.slug}/",
        "the list of chats": "/chat/",
        "a chat's page": f"/chat/{session.pk}/",
        "the wallet page": "/wallet/",
        "GET personas/": "/api/v1/personas/",
        "GET chat/sessions/": "/api/v1/chat/sessions/",
        "GET messages/": f"/api/v1/chat/sessions/{session.pk}/messages/",
        "GET wallet/": "/api/v1/wallet/",
    }
    counts = {}
    for name, path in paths.items():
        # The first request fills caches that all processes have after their first minute.
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200, path
        counts[name] = len(captured)
    body = {"content": "Tell me something.", "client_id": uuid4().hex}
    with CaptureQueriesContext(connection) as captured:
        path = f"/api/v1/chat/sessions/{session.pk}/messages/"
        assert client.post(path, body, content_type="application/json").status_code == 202
    counts["POST messages/ (limits, hold, two messages, a reply)"] = len(captured)
    sys.stdout.write(json.dumps(counts))


main()
