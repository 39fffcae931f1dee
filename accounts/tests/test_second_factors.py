"""Authenticator apps, recovery codes, passkeys, and proving oneself again before sensitive steps."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.passkeys import SoftKey
from accounts.tests.test_phone import APP, App, pending
from accounts.tests.texts import code_in, texts_to, use_mailbox

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXP"


def app_code(secret: str = SECRET) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))


def protect(user: User) -> User:
    totp.TOTP.activate(user, SECRET)
    return user


class SignedIn(App):
    """An app after log-in, with what it needs for calls that change the account."""

    def __init__(self, user: User) -> None:
        super().__init__()
        response = self.post("auth/login", email=user.email, password=PASSWORD)
        self.token = response.json()["meta"]["access_token"]
        self.session_token = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        if method == "get":
            return self.client.get(f"{APP}/{path}", headers=headers)
        return getattr(self.client, method)(
            f"{APP}/{path}", json.dumps(body), content_type="application/json", headers=headers
        )


def browser(user: User) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


def forget_recent_sign_in(client: Client) -> None:
    session = client.session
    records = session["account_authentication_methods"]
    session["account_authentication_methods"] = [{**record, "at": time.time() - 301} for record in records]
    session.save()


@pytest.mark.django_db(transaction=True)
def test_an_authenticator_app_is_set_up_and_asked_for_at_the_next_log_in() -> None:
    user = make_user()
    app = SignedIn(user)
    secret = app.call("get", "account/authenticators/totp").json()["meta"]["secret"]

    wrong = app.call("post", "account/authenticators/totp", {"code": "000000"})
    right = app.call("post", "account/authenticators/totp", {"code": app_code(secret)})
    cache.clear()
    again = App()
    asked = again.post("auth/login", email=user.email, password=PASSWORD)
    entered = again.post("auth/2fa/authenticate", code=app_code(secret))

    assert (wrong.status_code, right.status_code) == (400, 200)
    assert (asked.status_code, pending(asked)) == (401, ["mfa_authenticate"])
    assert entered.status_code == 200
    assert entered.json()["meta"]["access_token"]
    kept = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in kept
    assert "authenticator app" in mail.outbox[-1].subject


def test_a_code_of_the_app_is_good_once() -> None:
    user = protect(make_user())
    code = app_code()
    answers = []
    for _attempt in range(2):
        app = App()
        app.post("auth/login", email=user.email, password=PASSWORD)
        answers.append(app.post("auth/2fa/authenticate", code=code).status_code)

    assert answers == [200, 400]


@pytest.mark.parametrize("way", ["code", "password"])
def test_no_way_in_goes_past_the_second_factor(way: str) -> None:
    user = protect(make_user("ada@example.com"))
    app = App()
    if way == "password":
        response = app.post("auth/login", email=user.email, password=PASSWORD)
    else:
        app.post("auth/code/request", email=user.email)
        response = app.post("auth/code/confirm", code=code_in(str(mail.outbox[-1].body)))

    assert (response.status_code, pending(response)) == (401, ["mfa_authenticate"])
    assert "access_token" not in response.json()["meta"]


def test_somebody_with_an_unproved_address_sets_up_nothing() -> None:
    app = SignedIn(make_user(verified=False))

    response = app.call("post", "account/authenticators/totp", {"code": "123456"})

    assert response.status_code in (400, 409)
    assert not Authenticator.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_recovery_code_used_in_twenty_places_at_once_lets_in_once() -> None:
    user = protect(make_user())
    code = RecoveryCodes.activate(user).get_unused_codes()[0]

    def come_in(_number: int) -> int:
        try:
            app = App()
            app.post("auth/login", email=user.email, password=PASSWORD)
            return int(app.post("auth/2fa/authenticate", code=code).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(come_in, range(20)))

    assert answers.count(200) == 1


def test_five_wrong_codes_of_the_app_are_enough() -> None:
    user = protect(make_user())
    app = App()
    app.post("auth/login", email=user.email, password=PASSWORD)

    answers = [app.post("auth/2fa/authenticate", code="000000") for _attempt in range(12)]

    codes = [response.json().get("errors", [{"code": ""}])[0]["code"] for response in answers]
    assert codes.count("incorrect_code") <= 5


def add_passkey(user: User) -> SoftKey:
    app, key = SignedIn(user), SoftKey()
    options = app.call("get", "account/authenticators/webauthn?passwordless").json()["data"]
    credential = key.create(options["creation_options"])
    response = app.call(
        "post", "account/authenticators/webauthn", {"name": "Laptop", "credential": credential}
    )
    assert response.status_code == 200, response.content
    return key


def test_a_passkey_is_added_and_lets_in_alone() -> None:
    user = make_user()
    key = add_passkey(user)
    app = App()
    begun = app.client.get(f"{APP}/auth/webauthn/login")
    app.session_token = begun.json()["meta"]["session_token"]

    response = app.post("auth/webauthn/login", credential=key.get(begun.json()["data"]["request_options"]))

    assert response.status_code == 200, response.content
    assert response.json()["data"]["user"]["id"] == str(user.id)
    assert response.json()["meta"]["access_token"]


@pytest.mark.parametrize("fault", ["another key", "another challenge", "another site"])
def test_a_wrong_passkey_opens_nothing(fault: str, settings: Any) -> None:
    user = make_user()
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
    key = add_passkey(user)
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = fault != "another site"
    app = App()
    begun = app.client.get(f"{APP}/auth/webauthn/login").json()
    app.session_token = begun["meta"]["session_token"]
    options = begun["data"]["request_options"]
    if fault == "another challenge":
        options["publicKey"]["challenge"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    if fault == "another key":
        thief = SoftKey()
        thief.id, thief.user_handle = key.id, key.user_handle
        key = thief

    response = app.post("auth/webauthn/login", credential=key.get(options, "https://evil.example"))

    assert response.status_code == 400
    assert "access_token" not in response.json().get("meta", {})


def test_staff_enter_the_admin_with_a_second_factor_only(settings: Any) -> None:
    settings.ACCOUNTS_STAFF_MFA_REQUIRED = True
    staff = make_user(superuser=True)
    client = browser(staff)

    without = client.get("/admin/", follow=True)
    protect(staff)
    inside = client.get("/admin/")

    assert without.redirect_chain == [("/admin/login/?next=/admin/", 302), ("/accounts/2fa/", 302)]
    assert "Staff need a passkey" in without.content.decode()
    assert inside.status_code == 200


def test_recovery_codes_alone_are_no_second_factor(settings: Any) -> None:
    settings.ACCOUNTS_STAFF_MFA_REQUIRED = True
    staff = make_user(superuser=True)
    client = browser(staff)
    RecoveryCodes.activate(staff)

    assert client.get("/admin/").status_code == 302


def test_staff_keep_their_last_factor(settings: Any) -> None:
    settings.ACCOUNTS_STAFF_MFA_REQUIRED = True
    staff = make_user(superuser=True)
    client = browser(staff)
    protect(staff)

    client.post("/accounts/2fa/totp/deactivate/")

    assert Authenticator.objects.filter(user=staff, type="totp").exists()


def test_changing_the_address_needs_a_sign_in_of_the_last_minutes() -> None:
    user = make_user()
    client = browser(user)
    client.post("/accounts/email/", {"action_add": "", "email": "new@example.com"})
    forget_recent_sign_in(client)

    later = client.post("/accounts/email/", {"action_add": "", "email": "other@example.com"})
    proved = client.post(later["Location"], {"password": PASSWORD}, follow=True)

    assert (later.status_code, later["Location"].partition("?")[0]) == (302, "/accounts/reauthenticate/")
    assert proved.status_code == 200
    addresses = set(EmailAddress.objects.filter(user=user).values_list("email", flat=True))
    assert addresses == {user.email, "new@example.com", "other@example.com"}


def test_the_app_is_told_to_prove_itself_again() -> None:
    user = make_user()
    app = SignedIn(user)
    client = Client()
    client.cookies["parlor_session"] = _session_of(user)
    forget_recent_sign_in(client)

    refused = app.call("post", "account/email", {"email": "new@example.com"})
    app.call("post", "auth/reauthenticate", {"password": PASSWORD})
    allowed = app.call("post", "account/email", {"email": "new@example.com"})

    assert refused.status_code == 401
    assert refused.json()["meta"]["is_authenticated"] is True
    assert [flow["id"] for flow in refused.json()["data"]["flows"]] == ["reauthenticate"]
    assert allowed.status_code == 200


def _session_of(user: User) -> str:
    return str(UserSession.objects.get(user=user).session_key)


@pytest.mark.django_db(transaction=True)
def test_without_a_password_a_code_proves_it_again(settings: Any) -> None:
    use_mailbox(settings)
    user = make_user(None, phone="+358401234567")
    User.objects.filter(id=user.id).update(password="!")
    client = Client()
    client.post("/accounts/login/phone/", {"phone": user.phone})
    client.post("/accounts/login/code/confirm/", {"code": code_in(texts_to("+358401234567")[0])})
    forget_recent_sign_in(client)

    asked = client.post("/accounts/email/", {"action_add": "", "email": "new@example.com"})
    client.post(asked["Location"])
    wrong = client.post(asked["Location"], {"code": "000000"})
    code = code_in(texts_to("+358401234567")[0])
    client.post(asked["Location"], {"code": code})

    assert asked["Location"].partition("?")[0] == "/accounts/reauthenticate/code/"
    assert wrong.status_code == 422
    assert EmailAddress.objects.filter(user=user).values_list("email", flat=True).get() == "new@example.com"


def test_the_pages_of_second_factors_are_ours_and_complete() -> None:
    user = make_user()
    client = browser(user)
    setup = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r"<code[^>]*>([A-Z2-7]+)</code>", setup)
    assert secret is not None

    done = client.post("/accounts/2fa/totp/activate/", {"code": app_code(secret[1])}, follow=True)
    index = client.get("/accounts/2fa/").content.decode()

    assert len(re.findall(r"<li><code>\d{8}</code></li>", done.content.decode())) == 10
    assert "You have 10 codes left" in index
    assert "It is on" in index
    assert client.get("/accounts/2fa/webauthn/add/").status_code == 200
