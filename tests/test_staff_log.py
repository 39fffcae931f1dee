"""Nothing is written through the admin without a row in the staff log, whichever page it goes through."""

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import StaffAction, User
from accounts.services import audit
from accounts.staff_writes import RecordsStaffWrites
from accounts.tests.factories import make_user
from common.models import OutboxMessage
from personas.models import Category

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> User:
    return make_user(superuser=True)


@pytest.fixture
def client(boss: User) -> Client:
    browser = Client()
    browser.force_login(boss)
    return browser


def logged() -> list[tuple[str, str, str]]:
    rows = StaffAction.objects.order_by("created_at", "id")
    return list(rows.values_list("action", "target_type", "target_label"))


def test_every_page_of_the_admin_keeps_the_log() -> None:
    assert [
        model for model, page in admin.site._registry.items() if not isinstance(page, RecordsStaffWrites)
    ] == []


def test_what_is_added_changed_and_deleted_is_logged_with_the_values(client: Client, boss: User) -> None:
    form = {"name": "Pirates", "slug": "pirates", "position": "7", "is_active": "on"}
    client.post(reverse("admin:personas_category_add"), form)
    category = Category.objects.get(slug="pirates")
    page = reverse("admin:personas_category_change", args=[category.pk])
    client.post(page, {**form, "name": "Sea dogs"})
    client.post(reverse("admin:personas_category_delete", args=[category.pk]), {"post": "yes"})

    kind = "personas.category"
    assert logged() == [
        ("create_category", kind, "Pirates"),
        ("change_category", kind, "Sea dogs"),
        ("delete_category", kind, "Sea dogs"),
    ]
    changed = StaffAction.objects.get(action="change_category")
    assert changed.actor == boss
    assert changed.details["changes"][0]["changed"]["values"] == {"name": ["Pirates", "Sea dogs"]}


def test_rows_deleted_together_are_logged_one_by_one(client: Client) -> None:
    rows = [Category.objects.create(name=f"Sea {n}", slug=f"sea-{n}") for n in range(3)]
    client.post(
        reverse("admin:personas_category_changelist"),
        {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"},
    )
    assert sorted(logged()) == [("delete_category", "personas.category", f"Sea {n}") for n in range(3)]


def test_an_action_on_many_rows_is_logged_once_with_their_ids(client: Client) -> None:
    failed = [OutboxMessage.objects.create(task="x.y", state="failed") for _ in range(2)]
    client.post(
        reverse("admin:common_outboxmessage_changelist"),
        {"action": "retry_failed", "_selected_action": [row.pk for row in failed]},
    )
    row = StaffAction.objects.get()
    assert (row.action, row.details["model"]) == ("retry_failed", "common.outboxmessage")
    assert sorted(row.details["rows"]) == sorted(str(message.pk) for message in failed)


def test_the_values_of_somebodys_profile_stay_out_of_the_log(client: Client) -> None:
    user = make_user(display_name="Wilhelmina")
    page = client.get(reverse("admin:accounts_user_change", args=[user.pk]))
    form = page.context["adminform"].form
    names = set(form.fields) - {"password"}
    values = {name: value for name in names if (value := form[name].value()) is not None}
    for inline in page.context["inline_admin_formsets"]:
        management = inline.formset.management_form
        values |= {management.add_prefix(name): value for name, value in management.initial.items()}
    client.post(reverse("admin:accounts_user_change", args=[user.pk]), {**values, "pronouns": "xe/xem"})

    user.refresh_from_db()
    row = StaffAction.objects.get()
    assert (user.pronouns, row.action) == ("xe/xem", "change_user")
    assert "xe/xem" not in str(row.details)


def test_the_log_is_found_by_who_what_and_when_and_leads_to_its_target(client: Client, boss: User) -> None:
    user, other = make_user(display_name="Ada"), make_user(superuser=True)
    audit.record_staff_action(actor_id=boss.pk, action="suspend_user", target=user, reason="spam")
    audit.record_staff_action(actor_id=other.pk, action="check_ledger", reason="routine")
    page = reverse("admin:accounts_staffaction_changelist")
    target = reverse("admin:accounts_user_change", args=[user.pk])
    last_year = timezone.localdate().year - 1

    by_actor = client.get(page, {"actor__id__exact": str(boss.pk)}).content.decode()
    by_target = client.get(page, {"target_id__exact": str(user.pk)}).content.decode()
    before = client.get(page, {"created_at__year": last_year}).content.decode()

    assert f'<a href="{target}">Ada</a>' in by_actor
    assert "routine" not in by_actor
    assert ("spam" in by_target, "routine" in by_target) == (True, False)
    assert ("spam" in before, "routine" in before) == (False, False)
    profile = client.get(target).content.decode()
    assert f"?target_id__exact={user.pk}" in profile
    assert f"?actor__id__exact={user.pk}" in profile


def test_regular_work_shows_where_beat_keeps_it(client: Client, settings: object) -> None:
    page = reverse("admin:django_celery_beat_periodictask_changelist")
    request = RequestFactory().get("/admin/")
    request.user = make_user(superuser=True)
    assert "PeriodicTask" not in str(admin.site.get_app_list(request))
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    assert "PeriodicTask" in str(admin.site.get_app_list(request))
    assert client.get(page).status_code == 200
