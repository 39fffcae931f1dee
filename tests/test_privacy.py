"""A10: everything about somebody as a ZIP, and everything about somebody gone."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import privacy
from accounts.checks import every_link_to_people_has_a_plan
from accounts.models import ApiKey, DataExport, Erasure, SocketTicket, StaffAction, TextMessage, User
from accounts.services import audit, erasures, exports, tickets
from accounts.tests.factories import PASSWORD, make_user
from ai.models import ModelCall
from billing.models import Approval, Order, Redemption, RedemptionCode, Store, StoreCustomer
from billing.services import adjustments, holds, payments, subscriptions, usage
from billing.services.checks import check_ledger
from billing.services.grants import grant_credits
from billing.stores.base import (
    DisputeFacts,
    DisputeStanding,
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    SubscriptionFacts,
)
from chat.models import ChatSession, Message
from chat.services import messages, sessions
from common.errors import NotFound
from common.models import IdempotentAnswer, OutboxMessage
from common.testing.clients import make_api_client
from files.services import direct, uploads
from files.tests import samples
from notifications.models import MailboxMessage
from notifications.services import email as mails
from personas.models import Persona, PersonaActivity
from personas.services import marks
from personas.tests.factories import make_persona

pytestmark = pytest.mark.django_db(transaction=True)
EMAIL = "canary-address@example.com"
PHONE = "+358401234567"
NAME = "Canary Name"
HANDLE = "canary_handle"
WORDS = "canary words nobody else says"
CANARIES = [EMAIL, PHONE, NAME, HANDLE, WORDS, "canary-file", "canary-key", "canary-uid", "192.0.2.77"]


def make_somebody() -> User:
    """A user with a row in every model that hangs on one."""
    user = make_user(EMAIL, phone=PHONE, handle=HANDLE, display_name=NAME, birth_date=date(1990, 1, 2))
    client = Client(REMOTE_ADDR="192.0.2.77")
    client.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD})
    client.post("/settings/profile/avatar/", {"avatar": SimpleUploadedFile("a.png", samples.picture())})
    api = make_api_client(user)
    api.post("/api/v1/me/export/")
    api.post("/api/v1/me/api-keys/", {"name": "canary-key"})
    user.groups.add(Group.objects.get(name="creator"))
    user.user_permissions.add(Permission.objects.all()[0])
    _identity_rows(user, client.session.session_key or "")
    _work_of(user)
    _traces_of(user)
    return user


def _identity_rows(user: User, session_key: str) -> None:
    tickets.issue_ws_ticket(user_id=user.id, session_key=session_key)
    SocialAccount.objects.create(user=user, provider="google", uid="canary-uid", extra_data={"email": EMAIL})
    RecoveryCodes.activate(user)
    TextMessage.objects.create(number=PHONE, prefix=PHONE[:8], country="FI", purpose="code")
    MailboxMessage.objects.create(channel="email", to=EMAIL, subject="Hello", body=WORDS)
    audit.record_staff_action(actor_id=None, action="suspend_user", target=user, reason="test")
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=user, content_type=kind, object_id=str(user.id), object_repr=EMAIL, action_flag=2
    )


def _work_of(user: User) -> None:
    grant_credits(user_id=user.id, key="test", bucket="bonus", amount=10_000_000, description="Test")
    persona = make_persona(user, status="published", name=WORDS, greeting=WORDS)
    session = sessions.create_session(user_id=user.id, persona_id=persona.pk)
    messages.send_message(user_id=user.id, session_id=session.pk, content=WORDS, client_id="1")
    marks.like_persona(user_id=user.id, persona_id=persona.pk)
    marks.add_favorite(user_id=user.id, persona_id=persona.pk)
    PersonaActivity.objects.get_or_create(user=user, persona=persona, defaults={"day": timezone.localdate()})
    ModelCall.objects.create(
        user=user,
        purpose="chat",
        model="echo",
        provider="echo",
        status="complete",
        input_tokens=1,
        output_tokens=1,
        cached_tokens=0,
        cache_write_tokens=0,
        cost_micro_usd=0,
        duration_ms=1,
    )
    uploads.upload_file(
        owner_id=user.id, category="chat_attachment", name="canary-file.txt", data=WORDS.encode()
    )
    direct.begin_upload(owner_id=user.id, category="chat_attachment", name="canary-file.txt", size=10)
    _money_of(user)


def _money_of(user: User) -> None:
    """Something paid, used, subscribed to, disputed and refunded."""
    held = holds.reserve_credits(user_id=user.id, amount=1, reference="test", key="usage")
    holds.capture_hold(hold_id=held.hold_id, amount=1, reference="test", description=WORDS, details={})
    usage.aggregate_usage()
    usage.request_usage_export(user_id=user.id, file_format="csv")
    StoreCustomer.objects.create(user=user, store="stripe", external_id="cus_canary")
    order = Order.objects.create(
        user=user,
        store="stripe",
        pack_id="credits_10",
        name="10 credits",
        credits=10,
        price=99,
        currency="USD",
    )
    asked_at = timezone.now()
    subscriptions.apply_facts(
        store=Store.GOOGLE_PLAY,
        facts=SubscriptionFacts("token", Standing.ACTIVE, "premium_monthly", user.id, period_end=asked_at),
        asked_at=asked_at,
    )
    payment = payments.apply_facts(
        store=Store.STRIPE,
        facts=PaymentFacts(
            external_id="pi_1",
            standing=PaymentStanding.PAID,
            user_id=user.id,
            pack="credits_10",
            order_id=order.id,
            amount=99,
            earned=99,
            currency="USD",
            refunds=(RefundFacts("re_1", 50, asked_at),),
            disputes=(DisputeFacts("dp_1", DisputeStanding.OPEN, 49, asked_at),),
        ),
        asked_at=asked_at,
    )
    assert payment is not None
    code = RedemptionCode.objects.create(code="CANARY", credits=1)
    Redemption.objects.create(code=code, user=user, credits=1)
    Approval.objects.create(
        action="refund", user=user, arguments={}, key="canary", reason="test", asked_by=make_user()
    )


def _traces_of(user: User) -> None:
    """What is left by work under way, work that failed, and by staff."""
    message = mail.EmailMultiAlternatives(f"Hello {NAME}", WORDS, to=[EMAIL])
    undelivered("notifications.deliver_email", message=mails.pack(message))
    undelivered("accounts.deliver_text", message_id="", number=PHONE, body=WORDS)
    IdempotentAnswer.objects.create(user_id=user.id, key="1", status=201, body={"name": WORDS})
    for target in (Persona.objects.get(owner=user), ApiKey.objects.get(user=user)):
        audit.record_staff_action(actor_id=None, action="look_at", target=target, reason="test")
    export_under_way(user)


def undelivered(task: str, **kwargs: Any) -> OutboxMessage:
    return OutboxMessage.objects.create(task=task, kwargs=kwargs, state=OutboxMessage.State.FAILED)


def export_under_way(user: User) -> DataExport:
    """As a worker that was killed leaves it."""
    key = storages["private"].save("exports/half.zip", ContentFile(b"half"))
    return DataExport.objects.create(user=user, status=DataExport.Status.RUNNING, key=key)


def texts_of_the_database() -> Iterator[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f'SELECT to_jsonb(line)::text FROM "{table}" line')  # noqa: S608 - the catalogue's names
            yield from ((table, row[0]) for row in cursor.fetchall())


def stored() -> list[str]:
    found = []
    for alias in ("default", "private"):
        for folder in storages[alias].listdir("")[0]:
            found += [f"{folder}/{name}" for name in storages[alias].listdir(folder)[1]]
    return found


@pytest.fixture(autouse=True)
def empty_stores() -> None:
    for alias in ("default", "private"):
        for folder in storages[alias].listdir("")[0]:
            for name in storages[alias].listdir(folder)[1]:
                storages[alias].delete(f"{folder}/{name}")


def erase(user: User) -> None:
    Erasure.objects.update_or_create(user=user, defaults={"erase_at": timezone.now()})
    erasures.erase_account(user_id=user.id)


def test_every_model_that_hangs_on_a_user_has_a_line_in_the_plan() -> None:
    assert privacy.linked_models() == set(privacy.plan())
    assert every_link_to_people_has_a_plan(None) == []


def test_a_model_without_a_line_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    part = privacy._parts["chat"]
    lines = {label: line for label, line in part.plan.items() if label != "chat.Message"}
    monkeypatch.setitem(privacy._parts, "chat", privacy.Part("chat", part.export, part.erase, lines))

    assert [error.id for error in every_link_to_people_has_a_plan(None)] == ["accounts.E001"]


# What never has a row here: made by flows that are not used, or by the erasure itself.
WITHOUT_ROWS = {
    "account.EmailConfirmation",
    "socialaccount.SocialToken",
    "accounts.Erasure",
    "chat.Generation",
}


def test_after_an_erasure_nothing_of_somebody_is_left() -> None:
    user = make_somebody()
    other = make_user()
    empty = {
        label for label in privacy.plan() if not apps.get_model(label)._default_manager.exists()
    } - WITHOUT_ROWS
    assert empty == set()

    erase(user)

    left = [
        (table, canary) for table, text in texts_of_the_database() for canary in CANARIES if canary in text
    ]
    # The ledger is money and can't be rewritten; it says with which persona one talked.
    assert {line for line in left if line[0] != "billing_ledgertransaction"} == set()
    assert stored() == []
    user.refresh_from_db()
    assert (user.is_active, user.email, user.phone, user.has_usable_password()) == (False, None, None, False)
    assert Erasure.objects.get(user=user).done_at is not None
    assert check_ledger().is_clean
    assert User.objects.get(id=other.id).is_active
    deleted = {label for label, (fate, _why) in privacy.plan().items() if fate == privacy.Fate.DELETED}
    assert {label for label in deleted if _rows_of(label, user)} == set()


def _rows_of(label: str, user: User) -> bool:
    model = apps.get_model(label)
    names = [
        field.name
        for field in model._meta.get_fields()
        if field.concrete and (field.related_model is User or field.name in privacy.PLAIN_LINKS)
    ]
    return any(model._default_manager.filter(**{name: user.pk}).exists() for name in names)


def test_an_erasure_leaves_the_mails_and_answers_of_others() -> None:
    user, other = make_somebody(), make_user("other@example.com")
    message = mail.EmailMultiAlternatives("Hello", WORDS, to=["other@example.com"])
    theirs = undelivered("notifications.deliver_email", message=mails.pack(message))
    IdempotentAnswer.objects.create(user_id=other.id, key="1")

    erase(user)

    assert list(OutboxMessage.objects.filter(state="failed")) == [theirs]
    assert IdempotentAnswer.objects.get().user_id == other.id


def test_a_number_somebody_only_claims_stays_with_whoever_proved_it() -> None:
    claimed = make_user(unverified_phone=PHONE)
    TextMessage.objects.create(number=PHONE, prefix=PHONE[:8], country="FI", purpose="code")

    assert len(exported(claimed, "accounts")["account/texts.json"]) == 1
    make_user(phone=PHONE)
    assert exported(claimed, "accounts")["account/texts.json"] == []
    erase(claimed)
    assert TextMessage.objects.filter(number=PHONE).exists()


def exported(user: User, app: str) -> dict[str, list[Any]]:
    return {section.path: list(section.rows or ()) for section in privacy._parts[app].export(user.id)}


def test_an_export_says_what_staff_did_and_neither_who_nor_why() -> None:
    user, staff = make_user(unverified_phone=PHONE), make_user(superuser=True)
    audit.record_staff_action(actor_id=staff.id, action="suspend_user", target=user, reason="why-canary")
    adjustments.adjust_credits(
        user_id=user.id, amount=1_000_000, reason="why-canary", actor_id=staff.id, token="1"
    )
    held = holds.reserve_credits(user_id=user.id, amount=1, reference="test", key="1")
    holds.release_hold(hold_id=held.hold_id, reason="why-canary")

    account, credits = exported(user, "accounts"), exported(user, "billing")

    assert [row["action"] for row in account["account/staff_actions.json"]] == ["suspend_user"]
    assert account["account/profile.json"][0]["unverified_phone"] == PHONE
    assert len(credits["credits/holds.json"]) == 1
    assert "adjustment" in [row["kind"] for row in credits["credits/transactions.json"]]
    for words in ("why-canary", str(staff.id)):
        assert words not in f"{account}{credits}"


def test_the_admin_shows_failed_work_without_its_arguments() -> None:
    message = undelivered("accounts.deliver_text", number=PHONE, body=WORDS)
    client = Client()
    client.force_login(make_user(superuser=True))

    page = client.get(reverse("admin:common_outboxmessage_change", args=[message.pk])).content.decode()

    assert "accounts.deliver_text" in page
    assert (PHONE in page, PHONE[1:] in page, WORDS in page) == (False, False, False)


def test_a_persona_others_talked_with_stays_as_an_empty_shell_in_their_chats() -> None:
    user, other = make_somebody(), make_user()
    persona = Persona.objects.get(owner=user)
    session = sessions.create_session(user_id=other.id, persona_id=persona.pk)

    erase(user)

    shell = Persona.objects.get(id=persona.pk)
    assert (shell.name, shell.greeting, shell.portrait_key, shell.visibility) == (
        "Deleted persona",
        "",
        "",
        "private",
    )
    assert ChatSession.objects.filter(id=session.pk).exists()
    assert Message.objects.filter(user=other).exists()


@pytest.mark.parametrize("after", range(7))
def test_an_erasure_that_breaks_off_is_finished_the_next_time(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    user = make_somebody()
    Erasure.objects.create(user=user, erase_at=timezone.now())
    calls = 0

    def breaking(erase_part: Any) -> Any:
        def run(user_id: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == after + 1:
                raise ConnectionError("the power went")
            erase_part(user_id)

        return run

    whole = dict(privacy._parts)
    for name, part in whole.items():
        broken = privacy.Part(part.app, part.export, breaking(part.erase), part.plan)
        monkeypatch.setitem(privacy._parts, name, broken)
    assert erasures.erase_due_accounts() == 0
    monkeypatch.undo()

    assert erasures.erase_due_accounts() == 1
    assert Erasure.objects.get(user=user).done_at is not None
    assert not [
        canary for canary in (EMAIL, PHONE, NAME) for table, text in texts_of_the_database() if canary in text
    ]


def test_leaving_in_the_app_takes_fourteen_days_and_can_be_taken_back() -> None:
    user = make_user(EMAIL)
    api, elsewhere = make_api_client(user), make_api_client(user)

    asked = api.delete("/api/v1/me/")
    again = api.delete("/api/v1/me/")
    due = Erasure.objects.get(user=user).erase_at - timezone.now()
    kicked_out = elsewhere.get("/api/v1/me/").status_code
    erased = erasures.erase_due_accounts()
    kept = api.post("/api/v1/me/restore/")

    assert (asked.status_code, again.status_code, again.json()) == (202, 202, asked.json())
    assert timedelta(days=13, hours=23) < due <= timedelta(days=14)
    assert (kicked_out, erased) == (401, 0)
    assert (kept.status_code, kept.json()["id"]) == (200, str(user.id))
    assert not Erasure.objects.exists()
    assert api.post("/api/v1/me/restore/").status_code == 404
    assert [message.subject for message in mail.outbox] == ["Your Parlor account will be deleted"]


def test_leaving_needs_a_sign_in_of_the_last_minutes(settings: Any) -> None:
    api = make_api_client(make_user())
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = -1

    response = api.delete("/api/v1/me/")

    assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")
    assert not Erasure.objects.exists()


def test_leaving_on_the_page_needs_the_word_and_every_page_offers_the_way_back() -> None:
    user = make_user(EMAIL)
    client = Client()
    client.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD})

    without = client.post("/settings/data/delete/", {"confirmation": "yes"}, follow=True)
    assert not Erasure.objects.exists()
    client.post("/settings/data/delete/", {"confirmation": "delete"})
    home = client.get("/").content.decode()
    client.post("/settings/data/keep/")

    assert "Nothing was changed" in without.content.decode()
    assert "Your account will be deleted on" in home
    assert not Erasure.objects.exists()
    assert "Keep my account" not in client.get("/").content.decode()
    user.refresh_from_db()
    assert user.leaving_at is None


def test_staff_do_not_leave_by_themselves() -> None:
    response = make_api_client(make_user(superuser=True)).delete("/api/v1/me/")

    assert (response.status_code, response.json()["code"]) == (409, "conflict")


def test_support_takes_an_erasure_back_with_a_reason() -> None:
    user, admin = make_user(EMAIL), make_user(superuser=True)
    erasures.request_erasure(user_id=user.id, session_key="")
    client = Client()
    client.force_login(admin)

    client.post(
        f"/admin/accounts/user/{user.id}/cancel_erasure/", {"reason": "by phone", "_form_submitted": "on"}
    )

    assert not Erasure.objects.exists()
    assert StaffAction.objects.get(action="cancel_erasure").reason == "by phone"


def test_when_keeping_and_erasing_race_one_wins_whole() -> None:
    for _round in range(5):
        user = make_user()
        Erasure.objects.create(user=user, erase_at=timezone.now())

        def keep(user: User = user) -> str:
            try:
                erasures.cancel_erasure(user_id=user.id)
            except Exception as error:
                return type(error).__name__
            finally:
                connection.close()
            return "kept"

        def go(user: User = user) -> str:
            try:
                erasures.erase_account(user_id=user.id)
            finally:
                connection.close()
            return "done"

        with ThreadPoolExecutor(2) as pool:
            kept, _gone = pool.submit(keep), pool.submit(go)
            outcome = kept.result()
            _gone.result()
        user.refresh_from_db()
        assert user.is_active is (outcome == "kept")
        assert (user.email is None) is (outcome != "kept")


def export_of(user: User) -> tuple[Any, Any]:
    api = make_api_client(user)
    asked = api.post("/api/v1/me/export/")
    return api, api.get(f"/api/v1/me/export/{asked.json()['id']}/").json()


def test_an_export_has_everything_and_goes_to_its_owner_only() -> None:
    user = make_somebody()
    DataExport.objects.all().delete()
    api, ready = export_of(user)
    stranger = make_api_client(make_user())
    path = ready["url"].removeprefix("http://testserver")

    response = api.get(path)
    archive = zipfile.ZipFile(BytesIO(b"".join(response.streaming_content)))
    content = {name: archive.read(name) for name in archive.namelist()}

    assert (ready["status"], ready["progress"]) == ("ready", 100)
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Disposition"].startswith("attachment")
    assert {
        "README.txt",
        "account/profile.json",
        "account/devices.json",
        "chats/chats.json",
        "credits/transactions.json",
        "files/files.json",
        "personas/personas.json",
        "usage/model_calls.json",
    } <= content.keys()
    everything = b"".join(content.values()).decode(errors="replace")
    for canary in CANARIES:
        assert canary in everything, canary
    assert "password" not in json.loads(content["account/profile.json"])[0]
    assert all(json.loads(data) is not None for name, data in content.items() if name.endswith(".json"))
    assert stranger.get(path).status_code == 404
    assert stranger.get(f"/api/v1/me/export/{ready['id']}/").status_code == 404
    assert Client().get(path).status_code == 401
    assert mail.outbox[-1].subject == "Your Parlor data is ready"


def test_an_export_is_over_after_its_days() -> None:
    user = make_user()
    api, ready = export_of(user)
    DataExport.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    early = api.get(ready["url"].removeprefix("http://testserver")).status_code
    exports.expire_exports()

    assert early == 404
    assert api.get(f"/api/v1/me/export/{ready['id']}/").json()["status"] == "expired"
    assert stored() == []


def test_twenty_wishes_at_once_are_one_export_and_three_a_day_are_enough(settings: Any) -> None:
    user = make_user()
    settings.CELERY_TASK_ALWAYS_EAGER = False

    def ask(_number: int) -> str:
        try:
            return str(exports.request_export(user_id=user.id).id)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(ask, range(20)))) == 1
    DataExport.objects.all().delete()
    settings.CELERY_TASK_ALWAYS_EAGER = True
    api = make_api_client(user)
    answers = []
    for _time in range(4):
        answers.append(api.post("/api/v1/me/export/").status_code)
        DataExport.objects.update(status="ready")

    assert answers == [202, 202, 202, 429]


def test_an_export_that_fails_says_so_and_can_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    part = privacy._parts["chat"]

    def fail(user_id: Any) -> Iterator[privacy.Section]:
        raise ConnectionError
        yield

    monkeypatch.setitem(privacy._parts, "chat", privacy.Part("chat", fail, part.erase, part.plan))
    _api, failed = export_of(user)
    monkeypatch.undo()
    _api, ready = export_of(user)

    assert (failed["status"], failed["url"]) == ("failed", None)
    assert ready["status"] == "ready"
    assert len(stored()) == 1


def while_exporting(monkeypatch: pytest.MonkeyPatch, happening: Callable[[User], object]) -> None:
    """Have something happen, once, in the middle of the next export."""
    part = privacy._parts["chat"]

    def export(user_id: Any) -> Iterator[privacy.Section]:
        monkeypatch.setitem(privacy._parts, "chat", part)
        yield from part.export(user_id)
        happening(User.objects.get(id=user_id))

    monkeypatch.setitem(privacy._parts, "chat", privacy.Part("chat", export, part.erase, part.plan))


def test_an_erasure_in_the_middle_of_an_export_leaves_no_zip_and_no_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = make_user(EMAIL)
    while_exporting(monkeypatch, erase)

    exports.request_export(user_id=user.id)

    assert (stored(), DataExport.objects.count()) == ([], 0)
    assert [message.subject for message in mail.outbox] == ["Your Parlor account is deleted"]


def test_an_export_whose_user_is_suspended_meanwhile_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = make_user(EMAIL)
    while_exporting(monkeypatch, lambda user: User.objects.filter(id=user.id).update(is_active=False))

    export = exports.request_export(user_id=user.id)

    export.refresh_from_db()
    assert (stored(), export.status, export.key, mail.outbox) == ([], "failed", "", [])


def test_a_closed_account_gets_no_export() -> None:
    user = make_user(EMAIL, is_active=False)
    promised = DataExport.objects.create(user=user)
    exports.make_export(export_id=promised.id)
    promised.delete()

    with pytest.raises(NotFound):
        exports.request_export(user_id=user.id)
    assert (stored(), mail.outbox, DataExport.objects.count()) == ([], [], 0)


def test_of_two_runs_of_one_export_the_later_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    export = DataExport.objects.create(user=make_user(EMAIL))
    while_exporting(monkeypatch, lambda user: exports.make_export(export_id=export.id))

    exports.make_export(export_id=export.id)

    export.refresh_from_db()
    assert (export.status, stored(), len(mail.outbox)) == ("ready", [export.key], 1)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit()])
def test_a_write_that_stops_half_way_leaves_no_half_zip(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    export = DataExport.objects.create(user=make_user(EMAIL))
    whole = InMemoryStorage._save
    known = []

    def half(store: InMemoryStorage, name: str, content: Any) -> str:
        known.append(DataExport.objects.filter(key=name).exists())
        whole(store, name, ContentFile(content.read(100)))
        raise error

    monkeypatch.setattr(InMemoryStorage, "_save", half)
    with pytest.raises(type(error)):
        exports.make_export(export_id=export.id)

    export.refresh_from_db()
    assert (stored(), export.status, export.key, mail.outbox) == ([], "failed", "", [])
    assert known == [True], "a key is in the row before there are bytes"


def test_the_next_run_clears_up_after_one_that_was_killed() -> None:
    export = export_under_way(make_user())

    exports.make_export(export_id=export.id)

    export.refresh_from_db()
    assert (export.status, stored()) == ("ready", [export.key])


@pytest.mark.parametrize("status", ["running", "failed", "expired"])
def test_what_was_never_finished_is_given_up_after_a_day_with_its_bytes(status: str) -> None:
    export_under_way(make_user())
    DataExport.objects.update(status=status, created_at=timezone.now() - timedelta(days=1, seconds=1))

    count = exports.expire_exports()

    export = DataExport.objects.get()
    assert (count, stored(), export.key) == (1, [], "")
    assert export.status == ("expired" if status == "expired" else "failed")


def test_the_page_shows_how_far_it_is_and_where_to_fetch_it() -> None:
    user = make_user()
    client = Client()
    client.force_login(user)
    DataExport.objects.create(user=user, status="running", progress=42)

    running = client.get("/settings/data/", headers={"HX-Request": "true"}).content.decode()
    DataExport.objects.all().delete()
    client.post("/settings/data/export/")
    ready = client.get("/settings/data/").content.decode()

    assert 'value="42"' in running
    assert "<html" not in running
    assert re.search("Your data is ready.*/settings/data/export/", ready, re.DOTALL)


def test_no_sessions_or_tickets_outlive_their_owner() -> None:
    user = make_somebody()

    erase(user)

    assert (Session.objects.count(), SocketTicket.objects.count(), Authenticator.objects.count()) == (0, 0, 0)
