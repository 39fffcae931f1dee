"""X46: no body, header or method makes any route of the headless API fall over."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver

from accounts.headless_urls import urlpatterns
from accounts.services import sessions
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


@pytest.mark.django_db
@pytest.mark.parametrize("route", [r for r in APP_ROUTES if "/account/" in r or r.endswith("/sessions")])
@pytest.mark.parametrize("role", ["nobody", "suspended", "signed out"])
def test_x57_what_belongs_to_an_account_is_closed_to_others(route: str, role: str) -> None:
    headers = {}
    if role != "nobody":
        user = make_user()
        body = json.dumps({"email": user.email, "password": PASSWORD})
        login = Client().post("/_allauth/app/v1/auth/login", body, content_type="application/json")
        tokens = login.json()["meta"]
        headers = {
            "X-Session-Token": tokens["session_token"],
            "Authorization": f"Bearer {tokens['access_token']}",
        }
        if role == "suspended":
            sessions.deactivate_user(user_id=user.pk, actor_id=None, reason="spam")
        else:
            sessions.end_all_sessions(user_id=user.pk)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = Client().generic(method, route, "{}", content_type="application/json", headers=headers)
        # 409 of a step in signing up that nobody has begun.
        assert answer.status_code in (401, 405, 409, 410), (method, answer.content)
        assert not answer.json().get("meta", {}).get("is_authenticated")
