"""People and things the tables of this folder speak about, and a way to ask for one row of them."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse
from django.utils import timezone

from accounts.services.api_keys import create_api_key
from accounts.services.exports import request_export
from accounts.tests.factories import make_user
from billing.services.adjustments import set_tier
from billing.tests.factories import make_payment
from chat.models import Message
from chat.services import messages, sessions
from chat.services.stopping import cancel_live_replies
from files.services import direct, uploads
from personas.tests.factories import make_persona, make_picture
from tests.permissions import ROLES, Row

ADULT = date(1980, 5, 17)


@dataclass
class World:
    people: dict[str, Any]
    ids: dict[str, Any]


def make_world() -> World:
    people = {role: make_user(birth_date=ADULT) for role in ROLES if role != "anonymous"}
    people["unverified"] = make_user(verified=False, birth_date=ADULT)
    people["minor"] = make_user(birth_date=date(2015, 1, 1))
    people["superuser"] = make_user(superuser=True, birth_date=ADULT)
    for role in ("creator", "moderator", "support", "finance"):
        people[role].groups.add(Group.objects.get(name=role))
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
    file = uploads.upload_file(
        owner_id=owner.pk, category="chat_attachment", name="a.txt", data=b"A few words."
    )
    upload = direct.begin_upload(owner_id=owner.pk, category="chat_attachment", name="b.txt", size=10)
    payment = make_payment(owner.pk)
    ids = {
        "payment": payment.pk,
        "api_key": create_api_key(user_id=owner.pk, name="script").row.pk,
        "file": file.pk,
        "export": request_export(user_id=owner.pk).pk,
        "upload": upload.id,
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


def address(world: World, row: Row) -> str:
    ids = {name: world.ids.get(value, value) for name, value in row.ids.items()}
    return reverse(row.route, kwargs=ids) + (f"?{row.query}" if row.query else "")


def body_of(world: World, row: Row) -> dict[str, Any]:
    """The row's valid body; names of objects are replaced by their ids, names of files by the files."""
    files = {
        "card": SimpleUploadedFile("card.json", json.dumps({"name": "Mary", "first_mes": "Hello"}).encode()),
        "picture": SimpleUploadedFile("picture.png", make_picture()),
    }
    known = {**world.ids, **(files if takes_files(row) else {})}
    return {
        name: known.get(value, value) if isinstance(value, str) else value for name, value in row.body.items()
    }


def takes_files(row: Row) -> bool:
    return not row.route.startswith("api:") or "file" in row.body


def client_of(world: World, role: str) -> Client:
    client = Client(raise_request_exception=False)
    if role != "anonymous":
        client.force_login(world.people[role])
    if role == "banned":
        type(world.people[role]).objects.filter(pk=world.people[role].pk).update(is_active=False)
    return client


def send(client: Client, method: str, path: str, body: dict[str, Any], *, as_form: bool) -> HttpResponse:
    if not as_form:
        return client.generic(method, path, json.dumps(body, default=str), content_type="application/json")
    if method == "POST":
        return client.post(path, body)
    content = encode_multipart(BOUNDARY, body) if body else b""
    return client.generic(method, path, content, content_type=MULTIPART_CONTENT)


def ask(world: World, row: Row, role: str) -> HttpResponse:
    body = body_of(world, row)
    return send(client_of(world, role), row.method, address(world, row), body, as_form=takes_files(row))
