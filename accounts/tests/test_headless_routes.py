"""X46: no body, header or method makes any route of the headless API fall over."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver

from accounts.headless_urls import urlpatterns
from accounts.tests.factories import PASSWORD, make_user

ODD_VALUES: list[Any] = [
    None,
    "",
    " ",
    "x",
    0,
    -1,
    1e308,
    True,
    [],
    {},
    ["a"],
    {"a": {"b": []}},
    "\x00",
    "é" * 300,
]
FIELDS = [
    "email",
    "password",
    "new_password",
    "current_password",
    "key",
    "refresh_token",
    "sessions",
    "primary",
    "phone",
    "code",
]


def routes(patterns: list[Any], prefix: str = "/_allauth/") -> Iterator[str]:
    for entry in patterns:
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, prefix + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield prefix + str(entry.pattern)


APP_ROUTES = sorted(route for route in routes(urlpatterns) if "/app/" in route)


@pytest.fixture
def token(db: None) -> str:
    body = json.dumps({"email": make_user().email, "password": PASSWORD})
    login = Client().post("/_allauth/app/v1/auth/login", body, content_type="application/json")
    return str(login.json()["meta"]["access_token"])


def test_the_routes_of_the_contract_are_there() -> None:
    offered = {route.removeprefix("/_allauth/app/v1/") for route in APP_ROUTES}

    assert offered >= {
        "auth/signup",
        "auth/login",
        "auth/email/verify",
        "auth/phone/verify",
        "auth/phone/verify/resend",
        "auth/code/request",
        "auth/code/confirm",
        "auth/password/request",
        "auth/password/reset",
        "account/password/change",
        "tokens/refresh",
        "auth/sessions",
        "auth/session",
    }


@pytest.mark.parametrize("route", APP_ROUTES)
def test_no_odd_value_crashes_a_route(route: str, token: str) -> None:
    client = Client(raise_request_exception=False)
    bearer = {"Authorization": f"Bearer {token}"}
    statuses = {}
    for number, value in enumerate(ODD_VALUES):
        body = json.dumps(dict.fromkeys(FIELDS, value))
        for method in ("post", "put", "patch", "delete"):
            for headers in ({}, bearer):
                call = getattr(client, method)
                response = call(route, body, content_type="application/json", headers=headers)
                statuses[method, number, bool(headers)] = response.status_code

    assert {case: status for case, status in statuses.items() if status >= 500} == {}


@pytest.mark.parametrize("route", APP_ROUTES)
def test_no_odd_header_crashes_a_route(route: str, db: None) -> None:
    client = Client(raise_request_exception=False)
    names = ["X-Session-Token", "X-Email-Verification-Key", "X-Password-Reset-Key", "Authorization"]

    statuses = [
        client.get(route, headers={name: value}).status_code
        for name in names
        for value in ("", "x", "\x00", "é", "Bearer é.é.é", "a" * 8000, "1-a", "zzzzzzzzzzzzz9-a")
    ]

    assert max(statuses) < 500
