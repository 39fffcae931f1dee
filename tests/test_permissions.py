"""Every route and method against every role; the table is `permissions.py`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts.tests.factories import make_user
from billing.services.adjustments import set_tier
from chat.models import Message
from chat.services import messages, sessions
from chat.services.stopping import cancel_live_replies
from common.ids import uuid7
from personas.tests.factories import make_persona, make_picture
from tests.permissions import API, PAGES, ROLES, Row

pytestmark = pytest.mark.django_db

ADULT = date(1980, 5, 17)


@dataclass
class World:
    people: dict[str, Any]
    ids: dict[str, Any]


@pytest.fixture
def world() -> World:
    people = {role: make_user(birth_date=ADULT) for role in ROLES if role != "anonymous"}
    people["unverified"] = make_user(verified=False, birth_date=ADULT)
    people["minor"] = make_user(birth_date=date(2015, 1, 1))
    people["superuser"] = make_user(superuser=True, birth_date=ADULT)
    for role in ("creator", "moderator", "support", "finance"):
        people[role].groups.add(Group.objects.create(name=role))
    for role in ("moderator", "support", "finance"):
        people[role].is_staff = True
        people[role].save(update_fields=["is_staff"])
    for person in people.values():
        # The free tier's limit of own personas is another subject.
        set_tier(user_id=person.pk, tier="vip", reason="test")
    owner = people["owner"]
    public = make_persona(owner, status="published", greeting="Good evening.")
    draft = make_persona(owner, status="draft", visibility="private")
    mature = make_persona(make_user(), status="published", rating="mature")
    deleted_persona = make_persona(owner, status="published", deleted_at=timezone.now())
    session = sessions.create_session(user_id=owner.pk, persona_id=public.pk)
    sent = messages.send_message(user_id=owner.pk, session_id=session.pk, content="Hello", client_id="first")
    cancel_live_replies(session.pk)
    reply = Message.objects.get(session=session, role="assistant", parent__role="user")
    Message.objects.filter(pk=reply.pk).update(content="Good", status="stopped")
    deleted = sessions.create_session(user_id=owner.pk, persona_id=public.pk)
    sessions.delete_session(user_id=owner.pk, session_id=deleted.pk)
    ids = {
        "deleted_session": deleted.pk,
        "persona": public.pk,
        "draft": draft.pk,
        "mature": mature.pk,
        "session": session.pk,
        "question": reply.parent_id,
        "reply": reply.pk,
        "generation": sent.generation.pk,
        "public_slug": public.slug,
        "draft_slug": draft.slug,
        "deleted_slug": deleted_persona.slug,
    }
    return World(people, ids)


def fill(world: World, row: Row) -> dict[str, Any]:
    return {name: world.ids.get(value, value) for name, value in row.ids.items()}


def ask(world: World, row: Row, role: str) -> HttpResponse:
    client = Client(raise_request_exception=False)
    if role != "anonymous":
        client.force_login(world.people[role])
    if role == "banned":
        type(world.people[role]).objects.filter(pk=world.people[role].pk).update(is_active=False)
    path = reverse(row.route, kwargs=fill(world, row)) + (f"?{row.query}" if row.query else "")
    body = {
        name: world.ids.get(value, value) if isinstance(value, str) else value
        for name, value in row.body.items()
    }
    if row.route.startswith("api:") and "file" not in body:
        return client.generic(
            row.method, path, json.dumps(body, default=str), content_type="application/json"
        )
    files = {
        "card": SimpleUploadedFile("card.json", json.dumps({"name": "Mary", "first_mes": "Hello"}).encode()),
        "picture": SimpleUploadedFile("picture.png", make_picture()),
    }
    data = {
        name: files.get(value, value) if isinstance(value, str) else value for name, value in body.items()
    }
    if row.method == "POST":
        return client.post(path, data)
    from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

    content = encode_multipart(BOUNDARY, data) if data else b""
    return client.generic(row.method, path, content, content_type=MULTIPART_CONTENT)


def expected(row: Row, role: str) -> int:
    if role in row.but:
        return row.but[role]
    is_page = not row.route.startswith("api:")
    if row.access == "public":
        return row.ok
    if row.access == "debug":
        return 404
    if role in ("anonymous", "banned"):
        return 302 if is_page else 401
    if row.access == "owner" and role != "owner":
        return 404
    return row.ok


def cell_id(row: Row) -> str:
    return f"{row.method} {row.route} {'-'.join(row.ids.values())}"


@pytest.mark.parametrize("row", [*API, *PAGES], ids=cell_id)
def test_every_role_gets_what_the_table_says(row: Row, world: World) -> None:
    answers, wanted = {}, {}
    for role in ROLES:
        with transaction.atomic():
            answers[role] = ask(world, row, role).status_code
            transaction.set_rollback(True)
        wanted[role] = expected(row, role)
    assert answers == wanted


def own_routes(patterns: list[Any], namespace: str = "") -> Iterator[tuple[str, set[str]]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            names = [name for name in (namespace, pattern.namespace) if name]
            if pattern.namespace not in ("admin", "headless"):
                yield from own_routes(pattern.url_patterns, ":".join(names))
        elif isinstance(pattern, URLPattern) and pattern.name:
            name = f"{namespace}:{pattern.name}" if namespace else pattern.name
            yield name, methods_of(pattern.callback)


def methods_of(view: Any) -> set[str]:
    """The methods of a class-based view; a page function counts as one entry whatever it takes."""
    cls = getattr(view, "cls", None)
    if cls is None:
        return {"PAGE"}
    return {verb.upper() for verb in ("get", "post", "put", "patch", "delete") if hasattr(cls, verb)}


def test_every_route_has_a_row() -> None:
    api_rows = {(row.route, row.method) for row in API}
    page_rows = {row.route for row in PAGES}
    missing = []
    for name, verbs in own_routes(get_resolver().url_patterns):
        if name.startswith("api:"):
            missing += [(name, verb) for verb in verbs if (name, verb) not in api_rows]
        elif name not in page_rows:
            missing.append((name, "PAGE"))
    assert missing == []


def test_rows_name_routes_that_exist() -> None:
    known = {name for name, _verbs in own_routes(get_resolver().url_patterns)}
    assert {row.route for row in [*API, *PAGES]} - known == set()


def test_somebody_elses_object_reads_like_one_that_does_not_exist(world: World) -> None:
    client = Client()
    client.force_login(world.people["stranger"])
    theirs = client.get(reverse("api:chat:session-detail", args=[world.ids["session"]]))
    nobodys = client.get(reverse("api:chat:session-detail", args=[uuid7()]))
    strip = lambda response: {key: value for key, value in response.json().items() if key != "request_id"}  # noqa: E731
    assert (theirs.status_code, strip(theirs)) == (nobodys.status_code, strip(nobodys))
