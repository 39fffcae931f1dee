"""A11: what each role may do, and that a change of role counts at once."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.models import StaffAction
from accounts.roles import ROLES, grant
from accounts.tests.factories import PASSWORD, make_user
from common.testing.clients import make_api_client

pytestmark = pytest.mark.django_db


def rights(name: str) -> set[str]:
    found = Permission.objects.filter(group__name=name).select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in found}


def test_the_roles_are_there_with_their_rights() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)
    assert rights("creator") == set()
    assert rights("admin") == {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in Permission.objects.select_related("content_type")
    }
    assert {"chat.read_content", "personas.hide_persona"} <= rights("moderator")
    assert {"billing.adjust_wallet", "billing.view_ledgertransaction"} <= rights("finance")
    assert "billing.view_ledgertransaction" in rights("support")


@pytest.mark.parametrize(
    ("role", "never"),
    [
        ("moderator", {"billing.adjust_wallet", "billing.view_wallet", "accounts.change_user"}),
        ("support", {"chat.read_content", "billing.adjust_wallet", "accounts.change_user"}),
        ("finance", {"chat.read_content", "chat.view_message", "accounts.suspend_user"}),
        ("creator", {"accounts.view_user"}),
    ],
)
def test_what_a_role_never_may(role: str, never: set[str]) -> None:
    assert rights(role) & never == set()


def test_every_right_of_our_own_belongs_to_a_role_beside_admin() -> None:
    own = {
        f"{model._meta.app_label}.{codename}"
        for model in apps.get_models()
        for codename, _name in model._meta.permissions
    }
    given = set().union(*(rights(name) for name in ROLES if name != "admin"))

    assert own - given == set()


def test_granting_again_changes_nothing_and_keeps_what_operators_added() -> None:
    support = Group.objects.get(name="support")
    support.permissions.add(Permission.objects.get(codename="hide_persona"))
    support.permissions.remove(Permission.objects.get(codename="verify_email"))
    before = {name: rights(name) for name in ROLES}

    grant(apps)

    assert {name: rights(name) for name in ROLES} == before


def test_a_new_right_goes_to_the_roles_it_matches_and_brings_back_nothing_else() -> None:
    support = Group.objects.get(name="support")
    support.permissions.clear()

    grant(apps, new=("accounts.verify_email", "personas.hide_persona"))

    assert rights("support") == {"accounts.verify_email"}


def test_a_change_of_a_role_is_logged() -> None:
    admin, group = make_user(superuser=True), Group.objects.get(name="creator")
    client = Client()
    client.force_login(admin)
    right = Permission.objects.get(codename="hide_persona")

    client.post(f"/admin/auth/group/{group.pk}/change/", {"name": "creator", "permissions": [right.pk]})

    logged = StaffAction.objects.get(action="change_group")
    assert logged.target_label == "creator"
    assert logged.details["changes"][0]["changed"]["values"] == {"permissions": [[], [str(right)]]}


@pytest.mark.django_db(transaction=True)
def test_x26_whoever_gets_or_loses_a_role_signs_in_anew_and_it_is_logged() -> None:
    admin, user = make_user(superuser=True), make_user()
    phone = make_api_client(user)
    client = Client()
    client.post("/accounts/login/", {"login": admin.email, "password": PASSWORD})
    change = f"/admin/accounts/user/{user.id}/change/"
    form = _form_of(client.get(change))

    same = client.post(change, form)
    kept = phone.get("/api/v1/me/").status_code
    client.post(change, {**form, "groups": [Group.objects.get(name="support").pk]})

    assert same.status_code == 302
    assert (kept, phone.get("/api/v1/me/").status_code) == (200, 401)
    logged = StaffAction.objects.get(action="change_roles")
    assert logged.details == {"before": [], "after": ["role support"]}


def _form_of(page: Any) -> dict[str, Any]:
    form = page.context["adminform"].form
    values = {name: form[name].value() for name in form.fields if not form.fields[name].disabled}
    fields = {name: value for name, value in values.items() if value not in (None, False)}
    for formset in page.context["inline_admin_formsets"]:
        fields |= {field.html_name: field.value() for field in formset.formset.management_form}
    return {name: value for name, value in fields.items() if value is not None}
