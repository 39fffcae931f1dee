"""A6: where a device is, without asking anybody."""

from pathlib import Path
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.core.checks import run_checks
from django.test import Client
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from accounts import places
from accounts.tests.factories import make_user


@pytest.fixture
def database(tmp_path: Path, settings: Any) -> None:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Test-City")
    finland = {"names": {"en": "Finland", "de": "Finnland"}}
    writer.insert_network(
        IPSet(["192.0.3.0/24"]), {"city": {"names": {"en": "Helsinki"}}, "country": finland}
    )
    writer.insert_network(IPSet(["2001:678::/32"]), {"country": finland})
    writer.to_db_file(str(tmp_path / "places.mmdb"))
    settings.ACCOUNTS_GEOIP_DATABASE = str(tmp_path / "places.mmdb")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.3.7", "Helsinki, Finland"),
        ("2001:678::1", "Finland"),
        ("8.8.8.8", ""),
        ("127.0.0.1", "this computer"),
        ("::1", "this computer"),
        ("10.1.2.3", "a private network"),
        ("", ""),
        ("nonsense", ""),
        (None, ""),
    ],
)
def test_places_come_from_the_database_on_this_machine(
    database: None, address: str | None, place: str
) -> None:
    assert places.place_of(address) == place


def test_without_a_database_nothing_is_guessed(settings: Any) -> None:
    settings.ACCOUNTS_GEOIP_DATABASE = ""

    assert places.place_of("192.0.3.7") == ""


def test_a_database_that_is_not_there_is_said_at_the_start(settings: Any) -> None:
    settings.ACCOUNTS_GEOIP_DATABASE = "/nowhere/places.mmdb"

    assert [error.id for error in run_checks() if error.id == "accounts.E003"] == ["accounts.E003"]


@pytest.mark.django_db
def test_the_list_of_devices_says_where(database: None) -> None:
    user = make_user()
    client = Client()
    client.force_login(user)
    UserSession.objects.create(
        user=user, session_key=client.session.session_key, ip="192.0.3.7", user_agent="Firefox/1 Linux"
    )

    assert "Helsinki, Finland" in client.get("/settings/sessions/").content.decode()
