"""Signing in with Google and Firebase: tokens, linking, and who may take over what (X22-X25)."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.id_provider import (
    ANDROID_CLIENT,
    GOOGLE_CLIENT,
    PROJECT,
    KeyServer,
    certificate,
    firebase_claims,
    google_claims,
    pem,
    private_key,
    running_key_server,
    sign,
)
from accounts.tests.texts import code_in
from config import env

APP = "/_allauth/app/v1"
CLIENTS = {"google": GOOGLE_CLIENT, "firebase": PROJECT}
CLAIMS = {"google": google_claims, "firebase": firebase_claims}
pytestmark = pytest.mark.django_db


@pytest.fixture
def keys(settings: Any) -> Iterator[KeyServer]:
    with running_key_server(settings) as server:
        yield server


def app_call(method: str, path: str, body: Any, access: str = "") -> Any:
    headers = {"Authorization": f"Bearer {access}"} if access else {}
    if method == "get":
        return Client().get(f"{APP}/{path}", headers=headers)
    call = getattr(Client(), method)
    return call(f"{APP}/{path}", json.dumps(body), content_type="application/json", headers=headers)


def by_token(provider: str, id_token: Any, process: str = "login", access: str = "", **token: Any) -> Any:
    body = {
        "provider": provider,
        "process": process,
        "token": {"client_id": CLIENTS[provider], "id_token": id_token, **token},
    }
    return app_call("post", "auth/provider/token", body, access)


def log_in(user: User) -> str:
    response = app_call("post", "auth/login", {"email": user.email, "password": PASSWORD})
    return str(response.json()["meta"]["access_token"])


def refusal(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.content
    return [(error["param"], error["code"]) for error in response.json()["errors"]]


@pytest.mark.parametrize("provider", ["google", "firebase"])
def test_a_good_token_signs_up_and_the_next_one_logs_in(keys: KeyServer, provider: str) -> None:
    first = by_token(provider, sign(CLAIMS[provider]()))
    second = by_token(provider, sign(CLAIMS[provider]()))

    user = User.objects.get()
    assert (first.status_code, second.status_code) == (200, 200)
    me = (
        Client()
        .get("/api/v1/me/", headers={"Authorization": f"Bearer {second.json()['meta']['access_token']}"})
        .json()
    )
    assert (me["id"], me["email"], me["email_verified"]) == (str(user.id), "ada@example.com", True)
    assert not user.has_usable_password()
    account = SocialAccount.objects.get()
    assert (account.provider, account.uid) == (provider, CLAIMS[provider]()["sub"])


def test_a_name_and_no_picture_come_along(keys: KeyServer) -> None:
    by_token("google", sign(google_claims(picture="https://elsewhere.example/ada.svg")))

    user = User.objects.get()
    assert (user.display_name, user.avatar_key) == ("Ada Lovelace", "")


def test_a_number_firebase_proved_is_kept_unless_somebody_has_it(keys: KeyServer) -> None:
    phone_claims = {"email": None, "email_verified": None, "phone_number": "+358401234567"}
    by_token("firebase", sign(firebase_claims(**phone_claims)))
    by_token("firebase", sign(firebase_claims(**phone_claims, sub="fire-2")))

    assert list(User.objects.order_by("created_at").values_list("phone", "email")) == [
        ("+358401234567", None),
        (None, None),
    ]


def _hs_token(claims: dict[str, Any]) -> str:
    """Signed with the public certificate as if it were a shared secret."""
    header = {"alg": "HS256", "kid": "first", "typ": "JWT"}
    signing_input = b".".join(
        jwt.utils.base64url_encode(json.dumps(part).encode()) for part in (header, claims)
    )
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        signing_input, certificate("first").encode()
    )
    return (signing_input + b"." + jwt.utils.base64url_encode(signature)).decode()


def _bad_tokens(provider: str) -> dict[str, str]:
    claims = CLAIMS[provider]
    now = int(time.time())
    return {
        "audience of another client": sign(claims(aud="other.apps.example")),
        "several audiences": sign(claims(aud=[CLIENTS[provider], "other.apps.example"])),
        "no audience": sign(claims(aud=None)),
        "another issuer": sign(claims(iss="https://accounts.example.com")),
        "no issuer": sign(claims(iss=None)),
        "expired": sign(claims(iat=now - 7200, exp=now - 11)),
        "no expiry": sign(claims(exp=None)),
        "made in the future": sign(claims(iat=now + 60)),
        "not before the future": sign(claims(nbf=now + 60)),
        "no subject": sign(claims(sub=None)),
        "empty subject": sign(claims(sub="")),
        "long subject": sign(claims(sub="x" * 129)),
        "subject that is a number": jwt.api_jws.encode(
            json.dumps(claims(sub=7)).encode(), pem("first"), algorithm="RS256", headers={"kid": "first"}
        ),
        "another key under a known id": sign(claims(), key="second", kid="first"),
        "a key nobody knows": sign(claims(), key="second"),
        "key id that is a path": sign(claims(), kid="../../etc/passwd"),
        "no key id": jwt.encode(claims(), pem("first"), algorithm="RS256"),
        "no signature": jwt.encode(claims(), None, algorithm="none", headers={"kid": "first"}),
        "shared secret": jwt.encode(claims(), "s" * 32, algorithm="HS256", headers={"kid": "first"}),
        "the certificate as a secret": _hs_token(claims()),
        "another algorithm": jwt.encode(claims(), pem("first"), algorithm="RS512", headers={"kid": "first"}),
        "changed after signing": sign(claims())[:-8] + "AAAAAAAA",
        "no token": "not-a-token",
        "too long": sign(claims(padding="x" * 9000)),
    }


GOOGLE_ONLY = {
    "handed to somebody else": {"azp": "other.apps.example"},
    "Firebase's": {"iss": f"https://securetoken.google.com/{PROJECT}", "aud": PROJECT},
}
FIREBASE_ONLY = {
    "another project": {"iss": "https://securetoken.google.com/other", "aud": "other"},
    "issuer of another project": {"iss": "https://securetoken.google.com/other"},
    "signed in in the future": {"auth_time": int(time.time()) + 600},
    "never signed in": {"auth_time": None},
    "sign-in at no number": {"auth_time": "yesterday"},
    "Google's": {"iss": "https://accounts.google.com", "aud": GOOGLE_CLIENT},
}


@pytest.mark.parametrize("provider", ["google", "firebase"])
def test_x24_x25_every_wrong_token_is_refused_with_one_code(keys: KeyServer, provider: str) -> None:
    private_key("second")
    bad = _bad_tokens(provider)
    extra = GOOGLE_ONLY if provider == "google" else FIREBASE_ONLY
    bad |= {name: sign(CLAIMS[provider](**changes)) for name, changes in extra.items()}

    answers = {name: refusal(by_token(provider, token)) for name, token in bad.items()}

    assert answers == {name: [("token", "invalid_token")] for name in bad}
    assert User.objects.count() == 0


@pytest.mark.parametrize("provider", ["google", "firebase"])
def test_clocks_may_differ_by_ten_seconds(keys: KeyServer, provider: str) -> None:
    now = int(time.time())

    late = by_token(provider, sign(CLAIMS[provider](exp=now - 7, iat=now - 3600)))
    early = by_token(provider, sign(CLAIMS[provider](iat=now + 7)))

    assert (late.status_code, early.status_code) == (200, 200)


def test_a_token_for_our_app_on_a_phone_is_good(keys: KeyServer) -> None:
    assert by_token("google", sign(google_claims(azp=ANDROID_CLIENT))).status_code == 200


def test_a_nonce_that_was_asked_for_must_come_back(keys: KeyServer) -> None:
    token = sign(google_claims(nonce="fresh"))

    assert refusal(by_token("google", token, nonce="other")) == [("token", "invalid_token")]
    assert refusal(by_token("google", token, nonce=7)) == [("token", "invalid_token")]
    assert by_token("google", token, nonce="fresh").status_code == 200


@pytest.mark.parametrize("token", [None, "", 7, [], {}, "x" * 100_000])
def test_x27_blank_and_odd_tokens_open_nothing(keys: KeyServer, token: Any) -> None:
    assert by_token("google", token).status_code == 400
    assert by_token("firebase", token).status_code == 400


def test_keys_are_kept_as_long_as_their_headers_say(keys: KeyServer) -> None:
    for _time in range(3):
        by_token("firebase", sign(firebase_claims()))

    assert keys.fetches == 1


@pytest.mark.parametrize(
    "header", [{"Cache-Control": "no-store"}, {"Cache-Control": "max-age=60", "Age": "60"}]
)
def test_keys_that_may_not_be_kept_are_fetched_each_time(keys: KeyServer, header: dict[str, str]) -> None:
    keys.headers = header
    for _time in range(3):
        assert by_token("firebase", sign(firebase_claims())).status_code == 200

    assert keys.fetches == 3


def test_a_new_key_is_found_and_a_made_up_one_costs_one_look(keys: KeyServer) -> None:
    by_token("firebase", sign(firebase_claims()))
    keys.keys = ["second"]

    rotated = by_token("firebase", sign(firebase_claims(), key="second"))
    for number in range(5):
        by_token("firebase", sign(firebase_claims(), kid=f"made-up-{number}"))
    old = by_token("firebase", sign(firebase_claims()))

    assert (rotated.status_code, keys.fetches) == (200, 2)
    assert refusal(old) == [("token", "invalid_token")]


@pytest.mark.parametrize(
    ("status", "body"), [(500, None), (302, None), (200, b"<html>"), (200, b"x" * 200_000), (200, b"[]")]
)
def test_without_keys_the_way_is_closed_for_now(keys: KeyServer, status: int, body: bytes | None) -> None:
    keys.status, keys.body = status, body

    response = by_token("google", sign(google_claims()))

    assert (response.status_code, response.json()["code"]) == (503, "provider_unavailable")


def test_x22_a_proved_address_opens_the_account_that_proved_it(keys: KeyServer) -> None:
    user = make_user("ada@example.com")

    response = by_token("google", sign(google_claims()))

    assert response.json()["data"]["user"]["id"] == str(user.id)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert SocialAccount.objects.get().user == user


@pytest.mark.parametrize("verified", [False, None, "false", "true", 1, [], {}])
@pytest.mark.parametrize("provider", ["google", "firebase"])
def test_x22_an_unproved_address_opens_nothing(keys: KeyServer, provider: str, verified: Any) -> None:
    user = make_user("ada@example.com")

    response = by_token(provider, sign(CLAIMS[provider](email_verified=verified)))

    pending = [flow["id"] for flow in response.json()["data"]["flows"] if flow.get("is_pending")]
    assert (response.status_code, pending) == (401, ["provider_signup"])
    assert not SocialAccount.objects.exists()
    assert list(User.objects.all()) == [user]


def test_x23_a_stranger_who_came_first_is_locked_out(keys: KeyServer) -> None:
    stranger = make_user("ada@example.com", verified=False, phone="+358401234567")
    SocialAccount.objects.create(user=stranger, provider="google", uid="the-strangers")
    stolen = log_in(stranger)
    Authenticator.objects.create(user=stranger, type="recovery_codes", data={"seed": "x", "used_mask": 0})

    response = by_token("google", sign(google_claims()))

    stranger.refresh_from_db()
    assert response.json()["data"]["user"]["id"] == str(stranger.id)
    assert (stranger.has_usable_password(), stranger.phone) == (False, None)
    assert [account.uid for account in SocialAccount.objects.all()] == ["1234567890"]
    assert EmailAddress.objects.get().verified
    assert not Authenticator.objects.exists()
    assert Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {stolen}"}).status_code == 401
    again = app_call("post", "auth/login", {"email": "ada@example.com", "password": PASSWORD})
    assert again.status_code == 400
    assert UserSession.objects.filter(user=stranger).count() == 1


def test_x23_the_same_holds_for_a_mailed_code() -> None:
    stranger = make_user("ada@example.com", verified=False, phone="+358401234567")
    stolen = log_in(stranger)
    asked = app_call("post", "auth/code/request", {"email": "ada@example.com"})

    response = Client().post(
        f"{APP}/auth/code/confirm",
        json.dumps({"code": code_in(str(mail.outbox[-1].body))}),
        content_type="application/json",
        headers={"X-Session-Token": asked.json()["meta"]["session_token"]},
    )

    stranger.refresh_from_db()
    assert response.status_code == 200
    assert (stranger.has_usable_password(), stranger.phone) == (False, None)
    assert EmailAddress.objects.get().verified
    assert Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {stolen}"}).status_code == 401


def test_a_code_to_a_proved_address_takes_nothing_away() -> None:
    user = make_user("ada@example.com", phone="+358401234567")
    asked = app_call("post", "auth/code/request", {"email": "ada@example.com"})

    Client().post(
        f"{APP}/auth/code/confirm",
        json.dumps({"code": code_in(str(mail.outbox[-1].body))}),
        content_type="application/json",
        headers={"X-Session-Token": asked.json()["meta"]["session_token"]},
    )

    user.refresh_from_db()
    assert (user.check_password(PASSWORD), user.phone) == (True, "+358401234567")


def test_linking_and_unlinking_in_the_app(keys: KeyServer) -> None:
    user = make_user("other@example.com")
    access = log_in(user)

    linked = by_token("firebase", sign(firebase_claims()), process="connect", access=access)
    listed = app_call("get", "account/providers", None, access).json()["data"]
    gone = app_call("delete", "account/providers", {"provider": "firebase", "account": "fire-1"}, access)

    assert linked.status_code == 200
    assert [(entry["provider"]["id"], entry["uid"]) for entry in listed] == [("firebase", "fire-1")]
    assert (gone.status_code, gone.json()["data"]) == (200, [])
    user.refresh_from_db()
    assert user.email == "other@example.com"
    assert len(mail.outbox) == 2


def test_an_unproved_account_links_nothing(keys: KeyServer) -> None:
    user = make_user("other@example.com", verified=False)

    response = by_token("firebase", sign(firebase_claims()), process="connect", access=log_in(user))

    assert [error["code"] for error in response.json()["errors"]] == ["unverified_email"]
    assert not SocialAccount.objects.exists()


def test_what_is_linked_to_somebody_else_cannot_be_linked_again(keys: KeyServer) -> None:
    by_token("google", sign(google_claims()))
    other = make_user("other@example.com")

    response = by_token("google", sign(google_claims()), process="connect", access=log_in(other))

    assert [error["code"] for error in response.json()["errors"]] == ["connected_other"]
    assert SocialAccount.objects.get().user.email == "ada@example.com"


def test_linking_needs_somebody_signed_in(keys: KeyServer) -> None:
    response = by_token("google", sign(google_claims()), process="connect")

    assert response.status_code in (401, 403)
    assert User.objects.count() == 0


def test_the_last_way_in_stays(keys: KeyServer) -> None:
    claims = firebase_claims(email=None, email_verified=None)
    access = by_token("firebase", sign(claims)).json()["meta"]["access_token"]

    response = app_call("delete", "account/providers", {"provider": "firebase", "account": "fire-1"}, access)

    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert SocialAccount.objects.count() == 1


def test_with_an_address_the_provider_may_go_though_there_is_no_password(keys: KeyServer) -> None:
    access = by_token("google", sign(google_claims())).json()["meta"]["access_token"]

    response = app_call(
        "delete", "account/providers", {"provider": "google", "account": "1234567890"}, access
    )

    assert response.status_code == 200
    assert not SocialAccount.objects.exists()


def start_redirect(client: Client, process: str = "login") -> dict[str, str]:
    response = client.post(f"/accounts/google/login/?process={process}")
    assert response.status_code == 302
    query = parse_qs(urlsplit(response["Location"]).query)
    return {name: values[0] for name, values in query.items()}


def test_google_on_the_web_with_state_and_proof_key(keys: KeyServer) -> None:
    keys.id_token = sign(google_claims())
    client = Client()
    sent = start_redirect(client)

    back = client.get("/accounts/google/login/callback/", {"code": "c", "state": sent["state"]})

    assert (back.status_code, back["Location"]) == (302, "/")
    assert get_user(client).email == "ada@example.com"  # type: ignore[arg-type, union-attr]
    assert sent["code_challenge_method"] == "S256"
    assert {"code", "code_verifier", "redirect_uri"} <= keys.exchanges[0].keys()
    assert set(sent["scope"].split()) == {"openid", "profile", "email"}


@pytest.mark.parametrize("state", ["", "made-up"])
def test_google_on_the_web_without_our_state_signs_nobody_in(keys: KeyServer, state: str) -> None:
    keys.id_token = sign(google_claims())
    client = Client()
    start_redirect(client)

    back = client.get("/accounts/google/login/callback/", {"code": "c", "state": state})

    assert back.status_code != 302
    assert User.objects.count() == 0


def test_a_wrong_token_on_the_web_signs_nobody_in(keys: KeyServer) -> None:
    keys.id_token = sign(google_claims(aud="other.apps.example"))
    client = Client()
    sent = start_redirect(client)

    back = client.get("/accounts/google/login/callback/", {"code": "c", "state": sent["state"]})

    assert back.status_code == 401
    assert "Nothing was changed" in back.content.decode()
    assert User.objects.count() == 0


def test_linking_google_on_the_page_and_unlinking_it(keys: KeyServer) -> None:
    keys.id_token = sign(google_claims(email="ada@gmail.example"))
    user = make_user("other@example.com")
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    sent = start_redirect(client, "connect")
    client.get("/accounts/google/login/callback/", {"code": "c", "state": sent["state"]})
    account = SocialAccount.objects.get()

    page = client.get("/settings/sign-in/").content.decode()
    client.post(f"/settings/sign-in/{account.pk}/disconnect/")

    assert account.user == user
    assert "ada@gmail.example" in page
    assert not SocialAccount.objects.exists()


def test_nobody_unlinks_what_is_somebody_elses(keys: KeyServer) -> None:
    by_token("google", sign(google_claims()))
    stranger = make_user("other@example.com")
    client = Client()
    client.post("/accounts/login/", {"login": stranger.email, "password": PASSWORD})

    response = client.post(f"/settings/sign-in/{SocialAccount.objects.get().pk}/disconnect/")

    assert response.status_code == 404
    assert SocialAccount.objects.count() == 1


@pytest.mark.parametrize(("debug", "starts"), [(True, True), (False, False)])
def test_the_emulator_refuses_to_start_outside_debug(
    monkeypatch: pytest.MonkeyPatch, debug: bool, starts: bool
) -> None:
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9099")
    try:
        started = bool(env.debug_text("FIREBASE_AUTH_EMULATOR_HOST", debug=debug))
    except ImproperlyConfigured:
        started = False
    assert started is starts


@pytest.mark.parametrize(("debug", "status"), [(True, 200), (False, 400)])
def test_unsigned_tokens_of_the_emulator_are_believed_in_debug_only(
    keys: KeyServer, settings: Any, debug: bool, status: int
) -> None:
    settings.FIREBASE_AUTH_EMULATOR_HOST = "127.0.0.1:9099"
    settings.DEBUG = debug

    response = by_token("firebase", jwt.encode(firebase_claims(), None, algorithm="none"))
    elsewhere = by_token("firebase", jwt.encode(firebase_claims(aud="other"), None, algorithm="none"))

    assert (response.status_code, elsewhere.status_code) == (status, 400)
