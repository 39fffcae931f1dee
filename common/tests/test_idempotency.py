"""The `Idempotency-Key` header over a small view of the test's own."""

import json
import threading
from typing import Any

import pytest
from django.db import connection
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts.tests.factories import make_user
from common.api.idempotency import IdempotentMixin
from common.errors import Conflict, Invalid
from common.models import IdempotentAnswer

pytestmark = pytest.mark.django_db(transaction=True)


class CountingView(IdempotentMixin, APIView):
    calls: list[str] = []
    gate: threading.Event | None = None

    def post(self, request: Request) -> Response:
        self.calls.append(request.data["value"])
        if self.gate is not None:
            self.gate.wait(5)
        if request.data["value"] == "conflict":
            raise Conflict
        if request.data["value"] == "invalid":
            raise Invalid
        if request.data["value"] == "crash":
            raise ZeroDivisionError
        return Response({"value": request.data["value"], "call": len(self.calls)}, status=201)


@pytest.fixture(autouse=True)
def _fresh_view() -> None:
    CountingView.calls = []
    CountingView.gate = None


def post(user: Any, value: str, key: str | None = "key-1") -> Any:
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key is not None else {}
    request = APIRequestFactory().post("/count/", {"value": value}, format="json", **headers)
    force_authenticate(request, user)
    response = CountingView.as_view()(request)
    if hasattr(response, "render"):
        response.render()
    return response


def body(response: Any) -> Any:
    return json.loads(response.content)


def test_the_same_key_and_body_gives_the_first_answer_again() -> None:
    user = make_user()
    first, second = post(user, "a"), post(user, "a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert body(first) == body(second) == {"value": "a", "call": 1}
    assert second["Idempotent-Replayed"] == "true"


def test_the_same_key_with_another_body_is_refused() -> None:
    user = make_user()
    post(user, "a")
    response = post(user, "b")
    assert (response.status_code, body(response)["code"]) == (422, "idempotency_key_reused")
    assert CountingView.calls == ["a"]


def test_keys_belong_to_their_user() -> None:
    post(make_user(), "a")
    assert body(post(make_user(), "a"))["call"] == 2


def test_a_refusal_is_replayed_as_well() -> None:
    user = make_user()
    first, second = post(user, "invalid"), post(user, "invalid")
    assert (first.status_code, second.status_code) == (422, 422)
    assert CountingView.calls == ["invalid"]
    assert second["Content-Type"] == "application/problem+json"


def test_a_refusal_that_passes_is_asked_again() -> None:
    user = make_user()
    assert [post(user, "conflict").status_code for _time in range(2)] == [409, 409]
    assert CountingView.calls == ["conflict", "conflict"]


def test_a_crash_leaves_the_key_free() -> None:
    user = make_user()
    with pytest.raises(ZeroDivisionError):
        post(user, "crash")
    assert IdempotentAnswer.objects.count() == 0


def test_a_second_request_while_the_first_runs_is_told_to_wait() -> None:
    user = make_user()
    CountingView.gate = threading.Event()
    results: list[Any] = []

    def first() -> None:
        results.append(post(user, "a"))
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    while not CountingView.calls:
        pass
    refused = post(user, "a")
    CountingView.gate.set()
    thread.join()
    assert (refused.status_code, body(refused)["code"], refused["Retry-After"]) == (409, "conflict", "1")
    assert body(results[0]) == {"value": "a", "call": 1}


@pytest.mark.parametrize("key", ["", "x" * 201, "snow☃", "line\nbreak"])
def test_refuses_a_key_that_is_no_key(key: str) -> None:
    response = post(make_user(), "a", key=key)
    assert (response.status_code, body(response)["errors"][0]["field"]) == (422, "Idempotency-Key")
