"""X40: pieces of a path that would lead elsewhere, in every place where a client may write something."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver

from common.ids import uuid7
from tests.world import World

pytestmark = pytest.mark.django_db
TRAVERSALS = ("..%2f..%2fetc%2fpasswd", "%2e%2e%2fadmin", "..%5c..%5cwin.ini", "%00", "..%252f..%252f")


def parameter_routes(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            yield from parameter_routes(pattern.url_patterns, route)
        elif "<" in route and "(?" not in route:
            yield route


@pytest.mark.parametrize("piece", TRAVERSALS)
def test_x40_no_path_leads_anywhere_but_where_it_says(piece: str, world: World) -> None:
    """A path with such a piece names nothing: it is refused, whoever asks, wherever the piece stands."""
    client = Client()
    client.force_login(world.people["superuser"])
    for route in parameter_routes(get_resolver().url_patterns):
        pieces = re.findall("<[^>]+>", route)
        for hostile in pieces:
            address = route.replace(hostile, piece)
            for other in pieces:
                address = address.replace(other, str(uuid7()))
            answer = client.get(address)
            # The admin shows the form of an action before it looks for the row.
            fine = (200, 301, 302, 403, 404) if address.startswith("/admin/") else (301, 302, 404, 405)
            assert answer.status_code in fine, (address, answer.status_code)
            if answer.status_code in (301, 302):
                target = urlsplit(answer["Location"]).path
                assert target.startswith(("/admin/", "/accounts/", address)), (address, target)
