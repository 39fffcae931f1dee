"""What staff see and do about personas."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import StaffAction, User
from accounts.tests.factories import make_user
from personas.models import Persona
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db
PERSONAS = "/admin/personas/persona/"


def staff(*permissions: str) -> tuple[User, Client]:
    user = make_user(staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


def act(client: Client, persona: Persona, name: str, reason: str = "A real person.") -> Any:
    return client.post(f"{PERSONAS}{persona.pk}/{name}/", {"reason": reason, "_form_submitted": "on"})


def test_staff_find_a_persona_by_name_owner_and_id() -> None:
    persona, _other = make_persona(name="Mirelle"), make_persona(name="Otto")
    _user, client = staff("view_persona")
    for words in ("mirelle", persona.owner.email, str(persona.pk), persona.slug):
        page = client.get(PERSONAS, {"q": words}).content.decode()
        assert ("Mirelle" in page, "Otto" in page) == (True, False)


def test_x50_what_people_wrote_is_read_only_for_staff() -> None:
    persona = make_persona()
    _user, client = staff("view_persona", "change_persona", "delete_persona", "add_persona", "hide_persona")
    url = f"{PERSONAS}{persona.pk}/change/"
    assert client.get(url).status_code == 200
    assert client.post(url, {"name": "Changed", "likes_count": 99}).status_code == 403
    assert client.post(f"{PERSONAS}{persona.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{PERSONAS}add/").status_code == 403
    assert Persona.objects.values_list("name", "likes_count").get() == ("Ada", 0)


def test_taking_down_hides_from_everybody_and_is_logged_with_its_reason() -> None:
    persona = make_persona()
    user, client = staff("view_persona", "hide_persona")
    assert act(client, persona, "hide").status_code == 302
    persona.refresh_from_db()
    assert (persona.hidden_reason, persona.hidden_at is None) == ("A real person.", False)
    assert Client().get(f"/api/v1/personas/{persona.pk}/").status_code == 404
    entry = StaffAction.objects.get()
    assert (entry.actor, entry.action, entry.target_id, entry.reason) == (
        user,
        "hide_persona",
        str(persona.pk),
        "A real person.",
    )
    act(client, persona, "unhide", "A mistake.")
    persona.refresh_from_db()
    assert (persona.hidden_reason, persona.hidden_at) == ("", None)
    assert list(StaffAction.objects.order_by("id").values_list("action", flat=True)) == [
        "hide_persona",
        "unhide_persona",
    ]


def test_unpublishing_makes_a_draft() -> None:
    persona = make_persona()
    _user, client = staff("view_persona", "hide_persona")
    act(client, persona, "unpublish")
    persona.refresh_from_db()
    assert (persona.status, persona.hidden_at) == ("draft", None)
    assert StaffAction.objects.get().action == "unpublish_persona"


def test_actions_need_the_right_and_a_reason() -> None:
    persona = make_persona()
    _user, viewer = staff("view_persona", "change_persona")
    assert act(viewer, persona, "hide").status_code == 403
    _user, moderator = staff("view_persona", "hide_persona")
    act(moderator, persona, "hide", "  ")
    persona.refresh_from_db()
    assert (persona.hidden_at, StaffAction.objects.count()) == (None, 0)


def test_the_list_needs_the_same_number_of_queries_for_2_and_for_20_rows() -> None:
    _user, client = staff("view_persona")
    owner = make_user()

    def queries(rows: int) -> int:
        while Persona.objects.count() < rows:
            make_persona(owner, category_id="humour")
        with CaptureQueriesContext(connection) as captured:
            assert client.get(PERSONAS).status_code == 200
        return len(captured)

    queries(1)  # What is looked up once per process is known from here on.
    assert queries(2) == queries(20)
