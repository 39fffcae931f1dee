"""What a newcomer finds in the embedded mode, and nobody anywhere else."""

import json
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import make_user
from personas.models import Persona
from personas.services import demo
from personas.tests.factories import make_picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast(tmp_path: Path) -> Path:
    (tmp_path / "portraits").mkdir()
    entries = [
        {
            "slug": "maren",
            "name": "Maren",
            "greeting": "The light is on.",
            "category": "mystery",
            "tags": ["Sea"],
        },
        {"slug": "otis", "name": "Otis", "lorebook": {"extensions": {}, "entries": []}},
    ]
    (tmp_path / "personas.json").write_text(json.dumps(entries))
    for entry in entries:
        (tmp_path / "portraits" / f"{entry['slug']}.webp").write_bytes(make_picture("WEBP"))
    return tmp_path


def test_the_cast_is_public_with_portraits_and_stands_in_its_order(cast: Path) -> None:
    house = make_user(verified=False)
    assert demo.load_demo_personas(owner_id=house.pk, folder=cast) == 2
    assert list(Persona.objects.listed().order_by("-created_at").values_list("slug", flat=True)) == [
        "maren",
        "otis",
    ]
    maren = Persona.objects.get(slug="maren")
    assert (maren.owner, maren.category_id, maren.tags, maren.published_at is None) == (
        house,
        "mystery",
        ["sea"],
        False,
    )
    assert all(key.endswith(".webp") for key in (maren.avatar_key, maren.card_image_key, maren.portrait_key))


def test_the_second_time_costs_one_query_and_leaves_changes_alone(cast: Path) -> None:
    house = make_user()
    demo.load_demo_personas(owner_id=house.pk, folder=cast)
    Persona.objects.filter(slug="maren").update(name="Changed")
    with CaptureQueriesContext(connection) as captured:
        assert demo.load_demo_personas(owner_id=house.pk, folder=cast) == 0
    assert len(captured) == 1
    assert set(Persona.objects.values_list("name", flat=True)) == {"Changed", "Otis"}


def test_it_is_for_the_embedded_mode_only(cast: Path, settings: Any) -> None:
    settings.EMBEDDED = False
    with pytest.raises(demo.EmbeddedModeOnly):
        demo.load_demo_personas(owner_id=make_user().pk, folder=cast)
    with pytest.raises(CommandError):
        call_command("load_demo")
    assert (Persona.objects.count(), User.objects.filter(email="demo@example.com").exists()) == (0, False)


def test_the_demo_accounts_sign_in_and_are_made_once() -> None:
    for _ in range(2):
        call_command("load_demo", verbosity=0)
    cast = json.loads((demo.FOLDER / "personas.json").read_text())
    assert Persona.objects.listed().count() == len(cast) >= 12
    assert Persona.objects.exclude(category=None).values("category").distinct().count() >= 10
    assert not Persona.objects.filter(Q(greeting="") | Q(tagline="")).exists()
    for email, password in (("demo@example.com", "parlor-demo"), ("staff@example.com", "parlor-demo-staff")):
        assert User.objects.get(email=email).check_password(password)
        assert EmailAddress.objects.get(email=email).verified
    demo_user, staff = User.objects.get(email="demo@example.com"), User.objects.get(email="staff@example.com")
    assert (demo_user.is_staff, staff.is_superuser, demo_user.is_adult) == (False, True, True)
    assert not User.objects.get(handle="parlor").has_usable_password()
    response = Client().post(
        "/accounts/login/?next=/admin/", {"login": staff.email, "password": "parlor-demo-staff"}
    )
    assert response.status_code == 302


def test_a_changed_password_of_the_demo_account_stays_changed() -> None:
    call_command("load_demo", verbosity=0)
    user = User.objects.get(email="demo@example.com")
    user.set_password("another-one-1")
    user.save()
    call_command("load_demo", verbosity=0)
    assert User.objects.get(email="demo@example.com").check_password("another-one-1")
