"""What staff can see and do about users, and what is kept of it."""

import json
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Permission
from django.db import InternalError, connection, transaction
from django.db.utils import IntegrityError
from django.test import Client
from django.utils.http import urlencode

from accounts.models import StaffAction, User
from accounts.services import audit
from accounts.tests.factories import PASSWORD, make_user

USERS = "/admin/accounts/user/"


def staff_client(*permissions: str) -> tuple[User, Client]:
    staff = make_user(staff=True)
    staff.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(staff)
    return staff, client


def admin_client() -> tuple[User, Client]:
    admin = make_user(superuser=True)
    client = Client()
    response = client.post("/accounts/login/?next=/admin/", {"login": admin.email, "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/admin/")
    return admin, client


def act(client: Client, user: User, name: str, reason: str = "spam") -> Any:
    return client.post(f"{USERS}{user.id}/{name}/", {"reason": reason, "_form_submitted": "on"})


@pytest.mark.django_db
def test_only_staff_enter_the_admin() -> None:
    user = make_user()
    client = Client()

    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})

    page = client.get("/admin/", follow=True)

    assert page.redirect_chain == [("/admin/login/?next=/admin/", 302), ("/", 302)]


@pytest.mark.django_db
def test_whoever_is_not_signed_in_comes_by_the_login_page() -> None:
    page = Client().get(USERS, follow=True)

    assert page.redirect_chain[-1] == (f"/accounts/login/?{urlencode({'next': USERS})}", 302)


@pytest.mark.django_db
def test_users_are_listed_and_found_by_address_handle_name_and_id() -> None:
    _admin, client = admin_client()
    ada = make_user("ada@example.com", handle="countess", display_name="Lovelace")
    make_user("eve@example.com")

    for words in ("ada@exa", "countess", "lovelace", str(ada.id)):
        page = client.get(USERS, {"q": words})
        assert [user.id for user in page.context["cl"].queryset] == [ada.id], words


@pytest.mark.django_db
def test_the_list_needs_as_many_queries_for_two_as_for_twenty(django_assert_max_num_queries: Any) -> None:
    _admin, client = admin_client()
    make_user()
    with django_assert_max_num_queries(15) as few:
        client.get(USERS)
    for _number in range(18):
        make_user()
    with django_assert_max_num_queries(15) as many:
        client.get(USERS)

    assert len(few) == len(many)


@pytest.mark.django_db
def test_the_change_page_shows_addresses_and_devices_but_no_hash() -> None:
    _admin, client = admin_client()
    user = make_user("ada@example.com")
    Client(headers={"User-Agent": "Phone B"}).post(
        "/accounts/login/", {"login": user.email, "password": PASSWORD}
    )

    page = client.get(f"{USERS}{user.id}/change/").content.decode()

    assert "ada@example.com" in page
    assert "Phone B" in page
    assert user.password.rpartition("$")[2] not in page


@pytest.mark.django_db
def test_suspending_asks_why_and_is_logged() -> None:
    admin, client = admin_client()
    user = make_user()

    assert b"reason" in client.get(f"{USERS}{user.id}/suspend/").content
    act(client, user, "suspend", "")
    assert User.objects.get(id=user.id).is_active is True
    response = act(client, user, "suspend", "spam")

    assert response.status_code == 302
    assert User.objects.get(id=user.id).is_active is False
    action = StaffAction.objects.get()
    assert (action.actor, action.action, action.reason) == (admin, "suspend_user", "spam")
    act(client, user, "reactivate", "a mistake")
    assert User.objects.get(id=user.id).is_active is True


@pytest.mark.django_db
def test_a_dialog_of_the_theme_is_told_where_to_go() -> None:
    _admin, client = admin_client()
    user = make_user()

    response = client.post(
        f"{USERS}{user.id}/suspend/",
        {"reason": "spam", "_form_submitted": "on"},
        headers={"HX-Request": "true"},
    )

    assert response["HX-Redirect"] == f"{USERS}{user.id}/change/"


@pytest.mark.django_db
def test_sessions_can_be_ended_and_addresses_taken_as_proved() -> None:
    _admin, client = admin_client()
    user = make_user(verified=False)
    browser = Client()
    browser.force_login(user)

    act(client, user, "end_sessions")
    act(client, user, "verify_email")

    assert browser.get("/settings/profile/").status_code == 302
    assert EmailAddress.objects.get(user=user).verified is True
    assert sorted(StaffAction.objects.values_list("action", flat=True)) == ["end_sessions", "verify_email"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["suspend", "reactivate", "end_sessions", "verify_email"])
def test_each_action_needs_its_own_permission_and_a_post(name: str) -> None:
    _staff, client = staff_client("view_user", "change_user")
    user = make_user()

    assert act(client, user, name).status_code == 403
    assert client.get(f"{USERS}{user.id}/{name}/").status_code == 403
    assert User.objects.get(id=user.id).is_active is True
    assert StaffAction.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["suspend", "end_sessions"])
def test_staff_cannot_act_on_other_staff(name: str) -> None:
    _staff, client = staff_client("view_user", "change_user", "suspend_user", "end_sessions")
    boss, user = make_user(superuser=True), make_user()

    assert act(client, boss, name).status_code == 403
    assert act(client, user, name).status_code == 302
    assert User.objects.get(id=boss.id).is_active is True


@pytest.mark.django_db
def test_staff_cannot_change_the_password_or_profile_of_other_staff() -> None:
    _staff, client = staff_client("view_user", "change_user")
    boss = make_user(superuser=True)

    answers = [
        client.post(f"{USERS}{boss.id}/password/", {"password1": "x" * 12, "password2": "x" * 12}),
        client.post(f"{USERS}{boss.id}/change/", {"display_name": "Eve"}),
    ]

    assert [response.status_code for response in answers] == [403, 403]
    assert User.objects.get(id=boss.id).check_password(PASSWORD)


@pytest.mark.django_db
def test_x47_staff_cannot_raise_themselves_or_others(client: Client) -> None:
    staff, client = staff_client("view_user", "change_user", "add_user")
    user = make_user()
    raised = {
        "display_name": "Eve",
        "is_staff": "on",
        "is_superuser": "on",
        "user_permissions": list(Permission.objects.values_list("pk", flat=True)[:3]),
        "email": "eve@example.com",
    }

    client.post(f"{USERS}{staff.id}/change/", raised)
    client.post(f"{USERS}{user.id}/change/", raised)

    for target, was_staff in ((staff, True), (user, False)):
        target.refresh_from_db()
        assert (target.is_staff, target.is_superuser) == (was_staff, False)
        assert target.email != "eve@example.com"
    assert user.user_permissions.count() == 0


@pytest.mark.django_db
def test_a_password_set_by_staff_signs_the_user_out_and_is_logged() -> None:
    admin, client = admin_client()
    user = make_user()
    browser = Client()
    browser.force_login(user)

    client.post(
        f"{USERS}{user.id}/password/",
        {"password1": "another-passphrase", "password2": "another-passphrase", "usable_password": "true"},
    )

    assert User.objects.get(id=user.id).check_password("another-passphrase")
    assert browser.get("/settings/profile/").status_code == 302
    logged = StaffAction.objects.get()
    assert (logged.action, logged.actor) == ("change_user", admin)
    assert logged.details == {"changes": [{"changed": {"fields": ["password"]}}]}


@pytest.mark.django_db
def test_whoever_loses_a_role_is_signed_out() -> None:
    _admin, client = admin_client()
    staff, browser = staff_client("view_user")

    page = client.get(f"{USERS}{staff.id}/change/")
    form = page.context["adminform"].form
    names = set(form.fields) - {"password", "is_staff"}
    values = {name: value for name in names if (value := form[name].value()) is not None}
    for inline in page.context["inline_admin_formsets"]:
        management = inline.formset.management_form
        values |= {management.add_prefix(name): value for name, value in management.initial.items()}
    response = client.post(f"{USERS}{staff.id}/change/", values)

    assert response.status_code == 302, response.context["errors"]
    assert User.objects.get(id=staff.id).is_staff is False
    assert browser.get("/settings/profile/").status_code == 302
    assert StaffAction.objects.get().action == "change_user"


@pytest.mark.django_db
def test_a_user_added_by_staff_can_sign_in() -> None:
    _admin, client = admin_client()

    page = client.post(
        f"{USERS}add/",
        {
            "email": "New@Example.com",
            "usable_password": "true",
            "password1": "a-fine-passphrase",
            "password2": "a-fine-passphrase",
        },
    )

    assert page.status_code == 302, page.context["errors"]
    body = json.dumps({"email": "new@example.com", "password": "a-fine-passphrase"})
    answer = Client().post("/_allauth/app/v1/auth/login", body, content_type="application/json")
    assert answer.status_code == 200


@pytest.mark.django_db
def test_users_cannot_be_deleted_here() -> None:
    _admin, client = admin_client()
    user = make_user()

    assert client.post(f"{USERS}{user.id}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(id=user.id).exists()


@pytest.mark.django_db
def test_the_staff_log_opens_and_cannot_be_changed() -> None:
    admin, client = admin_client()
    action = audit.record_staff_action(
        actor_id=admin.id, action="suspend_user", target=make_user(), reason="x"
    )
    path = f"/admin/accounts/staffaction/{action.id}"

    assert client.get("/admin/accounts/staffaction/").status_code == 200
    assert client.get(f"{path}/change/").status_code == 200
    assert client.post(f"{path}/change/", {"reason": "y"}).status_code == 403
    assert client.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/accounts/staffaction/add/").status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", ["UPDATE accounts_staffaction SET reason = ''", "DELETE FROM accounts_staffaction"]
)
def test_the_database_itself_refuses_to_rewrite_the_staff_log(statement: str) -> None:
    audit.record_staff_action(actor_id=None, action="suspend_user", target=make_user(), reason="x")

    with pytest.raises((IntegrityError, InternalError)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert StaffAction.objects.get().reason == "x"
