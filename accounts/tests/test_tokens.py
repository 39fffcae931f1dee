"""Access and refresh tokens, from the sign-in endpoint to the REST API."""

import base64
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import bursts, tokens
from accounts.models import TokenFamily, User
from accounts.services import sessions
from accounts.tests.factories import PASSWORD, make_user

LOGIN = "/_allauth/app/v1/auth/login"
REFRESH = "/_allauth/app/v1/tokens/refresh"
ME = "/api/v1/me/"


def post(path: str, body: dict[str, Any], **headers: str) -> Any:
    return Client().post(path, json.dumps(body), content_type="application/json", headers=headers)


def sign_in(user: User) -> dict[str, str]:
    response = post(LOGIN, {"email": user.email, "password": PASSWORD})
    assert response.status_code == 200, response.content
    return response.json()["meta"]


def get_me(token: str) -> Any:
    return Client().get(ME, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.django_db
def test_signing_in_answers_tokens_that_open_the_api() -> None:
    user = make_user("ada@example.com")

    meta = sign_in(user)

    assert meta.keys() == {"is_authenticated", "session_token", "access_token", "refresh_token"}
    response = get_me(meta["access_token"])
    assert response.status_code == 200
    assert response.json()["id"] == str(user.id)


@pytest.mark.django_db
def test_a_bearer_request_finds_its_user_in_one_query(django_assert_num_queries: Any) -> None:
    token = sign_in(make_user())["access_token"]

    with django_assert_num_queries(1):
        response = Client().post("/api/v1/me/", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 405


@pytest.mark.django_db
def test_refreshing_gives_a_new_pair_and_uses_the_old_token_up() -> None:
    meta = sign_in(make_user())

    first = post(REFRESH, {"refresh_token": meta["refresh_token"]})
    second = post(REFRESH, {"refresh_token": first.json()["data"]["refresh_token"]})

    assert (first.status_code, second.status_code) == (200, 200)
    assert get_me(second.json()["data"]["access_token"]).status_code == 200
    assert first.json()["data"]["refresh_token"] != meta["refresh_token"]


@pytest.mark.django_db
def test_using_an_old_refresh_token_again_ends_the_session() -> None:
    meta = sign_in(make_user())
    fresh = post(REFRESH, {"refresh_token": meta["refresh_token"]}).json()["data"]

    again = post(REFRESH, {"refresh_token": meta["refresh_token"]})

    assert again.status_code == 400
    assert post(REFRESH, {"refresh_token": fresh["refresh_token"]}).status_code == 400
    assert get_me(fresh["access_token"]).json()["code"] == "not_authenticated"
    assert get_me(meta["access_token"]).status_code == 401
    by_session = Client().get(
        "/_allauth/app/v1/auth/session", headers={"X-Session-Token": meta["session_token"]}
    )
    assert by_session.status_code == 410
    assert TokenFamily.objects.count() == 0


@pytest.mark.django_db
def test_reuse_ends_only_the_session_it_belongs_to() -> None:
    user = make_user()
    stolen, other = sign_in(user), sign_in(user)
    post(REFRESH, {"refresh_token": stolen["refresh_token"]})
    post(REFRESH, {"refresh_token": stolen["refresh_token"]})

    assert get_me(stolen["access_token"]).status_code == 401
    assert get_me(other["access_token"]).status_code == 200
    assert post(REFRESH, {"refresh_token": other["refresh_token"]}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_fifty_parallel_refreshes_with_one_token_give_exactly_one_pair() -> None:
    meta = sign_in(make_user())
    barrier = threading.Barrier(50)

    def refresh(_number: int) -> tuple[int, dict[str, Any]]:
        barrier.wait()
        try:
            response = post(REFRESH, {"refresh_token": meta["refresh_token"]})
            return response.status_code, response.json()
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(refresh, range(50)))

    assert sorted(status for status, _body in answers) == [200] + [400] * 49


@pytest.mark.django_db
def test_a_parallel_call_that_lost_does_not_end_the_session() -> None:
    user = make_user()
    meta = sign_in(user)
    started = timezone.now()
    winner = sessions.rotate_refresh_token(token=meta["refresh_token"], received_at=started)

    with pytest.raises(sessions.InvalidRefreshToken) as refusal:
        sessions.rotate_refresh_token(token=meta["refresh_token"], received_at=started)

    assert refusal.type is sessions.InvalidRefreshToken
    assert get_me(winner.access).status_code == 200


@pytest.mark.django_db
def test_a_late_call_among_others_with_the_same_token_does_not_end_the_session() -> None:
    meta = sign_in(make_user())
    fresh = post(REFRESH, {"refresh_token": meta["refresh_token"]}).json()["data"]

    with bursts.under_way(meta["refresh_token"]):
        late = post(REFRESH, {"refresh_token": meta["refresh_token"]})
    assert late.status_code == 400
    assert get_me(fresh["access_token"]).status_code == 200

    alone = post(REFRESH, {"refresh_token": meta["refresh_token"]})
    assert alone.status_code == 400
    assert get_me(fresh["access_token"]).status_code == 401


@pytest.mark.django_db
def test_a_device_that_refreshes_stays_signed_in_past_its_sessions_first_age() -> None:
    from django.contrib.sessions.models import Session

    meta = sign_in(make_user())
    soon = timezone.now() + timedelta(days=2)
    Session.objects.update(expire_date=soon)

    post(REFRESH, {"refresh_token": meta["refresh_token"]})

    assert Session.objects.get().expire_date > timezone.now() + timedelta(days=59)


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _forge(header: dict[str, Any], payload: dict[str, Any], key: bytes | None, digest: str = "sha256") -> str:
    """A token put together by hand; libraries refuse to make the bad ones."""
    signed = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(payload).encode())}"
    signature = b"" if key is None else hmac.digest(key, signed.encode(), digest)
    return f"{signed}.{_part(signature)}"


def _sign(payload: dict[str, Any]) -> str:
    return _forge({"alg": "HS256", "typ": "JWT"}, payload, tokens._key(settings.SECRET_KEY))


@pytest.fixture
def real_token() -> str:
    return sign_in(make_user())["access_token"]


@pytest.mark.django_db
def test_x25_tokens_without_our_signature_are_refused(real_token: str) -> None:
    header, payload = _parts(real_token)
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_pem = rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = tokens._key(settings.SECRET_KEY)
    changed = "A" if real_token[60] != "A" else "B"
    forged = {
        "alg none": _forge({"alg": "none", "typ": "JWT"}, payload, None),
        "alg None with our signature": _forge({"alg": "None"}, payload, key),
        "no alg": _forge({"typ": "JWT"}, payload, key),
        "signed with RS256": jwt.encode(payload, rsa_key, algorithm="RS256"),
        "HS256 with a public key as secret": _forge(header, payload, public_pem),
        "our key under another algorithm": _forge({"alg": "HS512"}, payload, key, "sha512"),
        "empty key": _forge(header, payload, b""),
        "the bare secret": _forge(header, payload, settings.SECRET_KEY.encode()),
        "kid path": _forge({**header, "kid": "../../../../dev/null"}, payload, b""),
        "embedded key": _forge({**header, "jwk": {"kty": "oct", "k": "AAAA"}}, payload, b"\x00\x00\x00"),
        "no signature": real_token.rpartition(".")[0] + ".",
        "payload changed": real_token[:60] + changed + real_token[61:],
        "deep header": _part(b"[" * 20_000) + "." + real_token.partition(".")[2],
    }

    answers = {name: get_me(token) for name, token in forged.items()}

    assert {name: (a.status_code, a.json()["code"]) for name, a in answers.items()} == dict.fromkeys(
        forged, (401, "not_authenticated")
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"aud": "parlor:tokens"},
        {"aud": "another-service"},
        {"aud": None},
        {"iss": "somebody"},
        {"sub": "00000000-0000-7000-8000-000000000000"},
        {"sub": "x"},
        {"sub": None},
        {"sid": "00000000-0000-7000-8000-000000000000"},
        {"sid": ["a"]},
        {"auth": "0" * 64},
        {"auth": None},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"exp": "soon"},
        {"exp": None},
    ],
)
def test_x25_rightly_signed_tokens_with_wrong_claims_are_refused(
    real_token: str, change: dict[str, Any]
) -> None:
    payload = {**_parts(real_token)[1], **change}
    payload = {name: value for name, value in payload.items() if value is not None}

    response = get_me(_sign(payload))

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


@pytest.mark.django_db
def test_an_expired_token_is_told_apart(real_token: str) -> None:
    payload = {**_parts(real_token)[1], "exp": int(timezone.now().timestamp()) - 1}

    response = get_me(_sign(payload))

    assert (response.status_code, response.json()["code"]) == (401, "token_expired")
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
def test_access_and_refresh_tokens_do_not_stand_in_for_each_other() -> None:
    meta = sign_in(make_user())

    assert get_me(meta["refresh_token"]).status_code == 401
    assert post(REFRESH, {"refresh_token": meta["access_token"]}).status_code == 400
    assert get_me(meta["session_token"]).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "Token x", "Bearer \x00", "é"]
)
def test_a_broken_authorization_header_is_refused_even_beside_a_good_cookie(header: str) -> None:
    client = Client()
    client.force_login(make_user())

    response = client.get(ME, headers={"Authorization": header})

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


@pytest.mark.django_db
def test_x28_the_token_counts_in_one_place_only(real_token: str) -> None:
    client = Client()
    places = [
        client.get(f"{ME}?access_token={real_token}"),
        client.get(f"{ME}?token={real_token}"),
        client.get(ME, headers={"X-Authorization": f"Bearer {real_token}"}),
        client.get(ME, headers={"X-Api-Key": real_token}),
        client.get(ME, headers={"X-Session-Token": real_token}),
        client.get(ME, headers={"Cookie": f"parlor_session={real_token}"}),
        client.get(ME, headers={"Cookie": f"access_token={real_token}"}),
    ]

    assert [response.status_code for response in places] == [401] * 7
