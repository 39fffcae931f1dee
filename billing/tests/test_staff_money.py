"""Staff and money where something goes wrong, or somebody would rather be alone with it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import StaffAction, User
from accounts.tests.factories import make_user
from billing.models import (
    Approval,
    MoneyLimit,
    Payment,
    Reconciliation,
    RedemptionCode,
    StoreCustomer,
    StoreEvent,
    Subscription,
    Wallet,
)
from billing.services import backoffice, four_eyes, leaving, reconciliation, staff_subscriptions
from billing.stores import fake_app_store
from billing.stores.fake_app_store import FakeAppStore, chain
from billing.tests.factories import (
    assert_ledger_holds,
    buckets,
    capture,
    in_parallel,
    make_payment,
    make_wallet,
    reserve,
)
from billing.tests.shop import Shop, make_buyer, open_shop
from common import jobs
from common.credits import MICRO
from common.errors import Unavailable
from common.models import OutboxMessage
from common.testing.clients import make_api_client
from common.testing.database import as_superuser

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/billing"


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture
def app_store(settings: Any, tmp_path: Path) -> Iterator[FakeAppStore]:
    (tmp_path / "root.cer").write_bytes(chain().root)
    with FakeAppStore() as fake:
        settings.APP_STORE_BUNDLE_ID = fake_app_store.BUNDLE_ID
        settings.APP_STORE_APP_ID = fake_app_store.APP_ID
        settings.APP_STORE_ISSUER_ID = fake_app_store.ISSUER_ID
        settings.APP_STORE_KEY_ID = fake_app_store.KEY_ID
        settings.APP_STORE_PRIVATE_KEY = fake.private_key
        settings.APP_STORE_ROOT_CERTIFICATES = [str(tmp_path)]
        settings.APP_STORE_API_BASE = fake.api_base
        yield fake


@pytest.fixture
def promises_wait() -> Iterator[None]:
    current_app.conf.task_always_eager = False
    yield
    current_app.conf.task_always_eager = True


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


class Died(BaseException):
    """kill -9: nothing of ours runs any more."""


def staff(role: str = "finance") -> tuple[User, Client]:
    user = make_user(staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return user, client


def press(client: Client, path: str, **fields: Any) -> str:
    """Fill a dialog of the admin in and send it; what the page says then."""
    form = {"reason": "They asked", "token": str(uuid4()), "_form_submitted": "on"}
    answer = client.post(f"{ADMIN}/{path}/", form | fields, follow=True)
    return str(answer.content.decode())


def actions() -> list[str]:
    return list(StaffAction.objects.order_by("created_at", "id").values_list("action", flat=True))


def bought_pack(shop: Shop) -> tuple[User, Payment]:
    user = make_buyer()
    shop.buy(user, pack="credits_100")
    return user, Payment.objects.get(user=user)


def refunds_at_store(shop: Shop) -> list[int]:
    return [row["amount"] for row in shop.fake.world.find("refund")]


def all_is_due() -> None:
    OutboxMessage.objects.filter(state="pending").update(available_at=timezone.now())
    jobs.run_due_messages()


# --- What is promised happens ---------------------------------------------------------------------


@pytest.mark.parametrize("is_sent_again", [True, False])
def test_a_crash_between_the_wish_and_the_store_loses_no_refund(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, is_sent_again: bool
) -> None:
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    token = str(uuid4())

    def die(message_id: Any) -> bool:
        raise Died

    monkeypatch.setattr(jobs, "run_message", die)
    with pytest.raises(Died):
        press(client, f"payment/{payment.pk}/refund", amount="2", token=token)
    monkeypatch.undo()
    assert refunds_at_store(shop) == []
    if is_sent_again:
        assert "on its way back" in press(client, f"payment/{payment.pk}/refund", amount="2", token=token)
    all_is_due()
    press(client, f"payment/{payment.pk}/refund", amount="2", token=token)
    payment.refresh_from_db()
    assert (refunds_at_store(shop), payment.returned) == ([200], 200)
    assert actions() == ["refund_payment"]


def test_a_refund_under_way_counts_before_the_store_has_answered(shop: Shop) -> None:
    MoneyLimit.objects.update(refund_amount=500)
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    shop.fake.fail_next("POST", "/v1/refunds", "500", times=9)
    assert "sent again by itself" in press(client, f"payment/{payment.pk}/refund", amount="3")
    assert "at most what is left" in press(client, f"payment/{payment.pk}/refund", amount="6")
    assert "somebody else" in press(client, f"payment/{payment.pk}/refund", amount="3")
    assert "somebody else" in press(client, f"payment/{payment.pk}/refund")
    assert sorted(row.arguments["amount"] for row in Approval.objects.all()) == [300, 599]
    shop.fake.faults._planned.clear()
    all_is_due()
    assert refunds_at_store(shop) == [300]
    assert "at most what is left" in press(client, f"payment/{payment.pk}/refund", amount="6")


def test_a_refund_whose_answer_was_lost_is_not_sent_again_when_its_key_is_forgotten(shop: Shop) -> None:
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    shop.fake.fail_next("POST", "/v1/refunds", "timeout_after", times=9)
    press(client, f"payment/{payment.pk}/refund", amount="2")
    shop.fake.faults._planned.clear()
    assert refunds_at_store(shop) == [200]
    with shop.fake.changing() as world:
        for record in list(world.store.all("idempotency_record")):
            record["request"] = "forgotten"
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE accounts_staffaction SET created_at = created_at - interval '2 days'")
    all_is_due()
    payment.refresh_from_db()
    assert (refunds_at_store(shop), payment.returned) == ([200], 200)
    assert OutboxMessage.objects.get(task="billing.send_refund").state == "done"
    assert actions() == ["refund_payment"]


def test_what_a_store_did_not_extend_is_extended_by_the_same_form(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    end, token = row.period_end, str(uuid4())
    assert end is not None
    _clerk, client = staff()
    shop.fake.fail_next("POST", "/v1/subscriptions/", "500", times=9)
    assert "does not answer" in press(client, f"subscription/{row.pk}/extend", days="10", token=token)
    shop.fake.faults._planned.clear()
    for _ in range(2):
        press(client, f"subscription/{row.pk}/extend", days="10", token=token)
    row.refresh_from_db()
    assert row.period_end == end + timedelta(days=10)
    assert actions() == ["extend_subscription"]


def test_an_old_form_does_not_shorten_what_was_extended_since(shop: Shop) -> None:
    shop.buy(make_buyer(), plan="premium_monthly")
    row = Subscription.objects.get()
    end, token = row.period_end, str(uuid4())
    assert end is not None
    _clerk, client = staff()
    press(client, f"subscription/{row.pk}/extend", days="10", token=token)
    press(client, f"subscription/{row.pk}/extend", days="5")
    press(client, f"subscription/{row.pk}/extend", days="10", token=token)
    row.refresh_from_db()
    assert row.period_end == end + timedelta(days=15)


def test_promises_about_money_are_not_given_up_and_staff_hear_once_a_day() -> None:
    staff("admin")
    boss, _client = staff()
    old = timezone.now() - timedelta(days=31)
    failed = [
        OutboxMessage.objects.create(task=task, state="failed", attempts=12, last_error="away", **fields)
        for task, fields in (
            ("billing.forget_customer", {}),
            ("billing.send_refund", {}),
            ("billing.end_beside_lifetime", {}),
            ("billing.end_at_google", {}),
            ("billing.send_refund", {"created_at": old}),
            ("notifications.deliver_email", {}),
        )
    ]
    current_app.tasks["billing.retry_money_promises"]()
    states = [OutboxMessage.objects.get(pk=row.pk) for row in failed]
    assert [row.state for row in states] == ["pending"] * 4 + ["failed"] * 2
    assert {row.attempts for row in states[:4]} == {0}
    OutboxMessage.objects.filter(state="pending").update(state="failed")
    current_app.tasks["billing.retry_money_promises"]()
    assert OutboxMessage.objects.filter(state="pending").count() == 4
    (told,) = mail.outbox
    assert boss.email in told.bcc
    assert "billing.forget_customer: away" in told.body
    assert django_settings.CELERY_BEAT_SCHEDULE["billing.retry_money_promises"]["schedule"] == timedelta(
        hours=1
    )


def test_who_somebody_is_at_a_store_is_kept_until_the_store_forgot_them(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, pack="credits_10")
    customer = StoreCustomer.objects.get()
    shop.fake.fail_next("DELETE", "/v1/customers/", "500", times=9)
    leaving.leave_stores(user_id=user.pk)
    assert StoreCustomer.objects.get() == customer
    shop.fake.faults._planned.clear()
    all_is_due()
    assert not StoreCustomer.objects.exists()
    assert "customer.deleted" in [event["type"] for event in shop.fake.events]


def test_where_no_shop_is_open_the_row_goes_at_once_and_the_promise_stays(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = ""
    user = make_user()
    StoreCustomer.objects.create(user=user, store="stripe", external_id="cus_1")
    leaving.leave_stores(user_id=user.pk)
    assert not StoreCustomer.objects.exists()
    promised = OutboxMessage.objects.get(task="billing.forget_customer")
    assert (promised.state, promised.kwargs["external_id"]) == ("pending", "cus_1")


def test_links_to_papers_with_a_name_on_them_go_with_the_account() -> None:
    user_id = make_wallet()
    payment = make_payment(user_id, document_url="https://pay.example/receipt/secret")
    other = make_payment(make_wallet(), document_url="https://pay.example/receipt/other")
    leaving.leave_stores(user_id=user_id)
    payment.refresh_from_db()
    other.refresh_from_db()
    assert (payment.document_url, other.document_url) == ("", "https://pay.example/receipt/other")


# --- Four eyes ------------------------------------------------------------------------------------


def test_six_forms_at_once_give_no_more_than_one_person_may() -> None:
    MoneyLimit.objects.update(adjustment_credits=100 * MICRO)
    user_id = make_wallet()
    clerk = make_user(staff=True)

    def adjust() -> four_eyes.Outcome:
        return backoffice.adjust_credits(
            user_id=user_id, amount=40 * MICRO, reason="x", actor_id=clerk.pk, token=str(uuid4())
        )

    answers = in_parallel(*[adjust] * 6)
    assert all(isinstance(answer, four_eyes.Outcome) for answer in answers), answers
    assert (buckets(user_id)["bonus"], Approval.objects.count()) == ((80, 0), 4)


def test_what_is_waived_counts_with_what_is_given(shop: Shop) -> None:
    MoneyLimit.objects.update(adjustment_credits=50 * MICRO)
    user, payment = bought_pack(shop)
    capture(reserve(user.pk, 40).hold_id, 40)
    _clerk, client = staff()
    press(client, f"payment/{payment.pk}/refund")
    assert Wallet.objects.get(pk=user.pk).debt == 30 * MICRO
    press(client, f"wallet/{user.pk}/waive_debt")
    assert Wallet.objects.get(pk=user.pk).debt == 0
    assert "somebody else" in press(client, f"wallet/{user.pk}/adjust", amount="21", bucket="bonus")
    press(client, f"wallet/{user.pk}/adjust", amount="20", bucket="bonus")
    assert buckets(user.pk)["bonus"] == (20, 0)


def test_what_pays_a_debt_off_counts_too(shop: Shop) -> None:
    MoneyLimit.objects.update(adjustment_credits=50 * MICRO)
    user, payment = bought_pack(shop)
    capture(reserve(user.pk, 40).hold_id, 40)
    _clerk, client = staff()
    press(client, f"payment/{payment.pk}/refund")
    press(client, f"wallet/{user.pk}/adjust", amount="30", bucket="bonus")
    assert Wallet.objects.get(pk=user.pk).debt == 0
    assert "somebody else" in press(client, f"wallet/{user.pk}/adjust", amount="21", bucket="bonus")


def test_nobody_gives_themselves_anything(shop: Shop) -> None:
    clerk, client = staff()
    make_wallet(user=clerk, bonus=5)
    shop.buy(clerk, pack="credits_10")
    payment = Payment.objects.get()
    for path, fields in (
        (f"wallet/{clerk.pk}/adjust", {"amount": "5", "bucket": "bonus"}),
        (f"wallet/{clerk.pk}/waive_debt", {}),
        (f"wallet/{clerk.pk}/change_tier", {"tier": "vip"}),
        (f"payment/{payment.pk}/refund", {}),
    ):
        assert "your own account" in press(client, path, **fields), path
    assert (buckets(clerk.pk)["bonus"], Wallet.objects.get(pk=clerk.pk).tier_id) == ((5, 0), "free")
    assert (actions(), refunds_at_store(shop), Approval.objects.count()) == ([], [], 0)


def test_nobody_decides_what_is_for_themselves() -> None:
    friend, client = staff()
    make_wallet(user=friend)
    _asker, asking = staff()
    _third, other = staff()
    press(asking, f"wallet/{friend.pk}/adjust", amount="5000", bucket="bonus")
    approval = Approval.objects.get()
    assert "your own account" in press(client, f"approval/{approval.pk}/approve")
    approval.refresh_from_db()
    assert (approval.state, buckets(friend.pk)["bonus"]) == ("waiting", (0, 0))
    press(other, f"approval/{approval.pk}/approve")
    assert buckets(friend.pk)["bonus"] == (5000, 0)


@pytest.mark.parametrize("days", [None, 400])
def test_a_tier_for_longer_than_a_year_waits_for_a_second_person(days: int | None) -> None:
    user_id = make_wallet()
    clerk, client = staff()
    _second, other = staff()
    until = timezone.localtime() + timedelta(days=days) if days else None
    form = {"tier": "vip", "until": f"{until:%Y-%m-%dT%H:%M}" if until else "", "token": str(uuid4())}
    for _ in range(2):
        assert "somebody else" in press(client, f"wallet/{user_id}/change_tier", **form)
    approval = Approval.objects.get()
    assert Wallet.objects.get(pk=user_id).tier_id == "free"
    page = other.get(f"{ADMIN}/approval/").content.decode()
    assert ("give a tier" in page, "vip, " in page) == (True, True)
    press(other, f"approval/{approval.pk}/approve")
    row = Subscription.objects.get()
    assert (row.tier_id, row.period_end) == ("vip", until and until.replace(second=0, microsecond=0))
    assert StaffAction.objects.get(action="set_tier").actor == clerk
    press(client, f"wallet/{user_id}/change_tier", tier="free")
    assert Wallet.objects.get(pk=user_id).tier_id == "free"


def test_a_gift_is_not_extended_beyond_a_year_by_one_person() -> None:
    user_id = make_wallet()
    clerk, client = staff()
    staff_subscriptions.comp_tier(
        user_id=user_id,
        tier="vip",
        until=timezone.now() + timedelta(days=300),
        reason="x",
        actor_id=clerk.pk,
        token="1",
    )
    row = Subscription.objects.get()
    assert "more than a year" in press(client, f"subscription/{row.pk}/extend", days="100")
    end = row.period_end
    row.refresh_from_db()
    assert (row.period_end, actions()) == (end, ["set_tier"])


@pytest.mark.parametrize(
    "path", ["moneylimit/1/change", "redemptioncode/add", "gift/sign_up/change", "wallet/add"]
)
def test_who_acts_within_limits_does_not_set_them(path: str) -> None:
    _clerk, client = staff()
    assert client.post(f"{ADMIN}/{path}/", {}).status_code == 403


def test_who_may_what_with_money() -> None:
    def of(role: str) -> set[str]:
        rights = Group.objects.get(name=role).permissions.filter(content_type__app_label="billing")
        return set(rights.exclude(codename__startswith="view_").values_list("codename", flat=True))

    sold = ("actionprice", "pack", "plan", "tier")
    assert of("finance") == {f"{verb}_{name}" for verb in ("add", "change", "delete") for name in sold} | {
        "adjust_wallet",
        "comp_subscription",
        "decide_approval",
        "extend_subscription",
        "refresh_allowance",
        "refund_payment",
        "release_hold",
        "replay_storeevent",
        "run_ledgercheck",
        "run_reconciliation",
        "suspend_wallet",
    }
    assert {"change_moneylimit", "add_redemptioncode", "change_gift"} <= of("admin")
    assert of("support") == set()


def test_a_code_gives_no_more_in_all_than_one_person_may() -> None:
    MoneyLimit.objects.update(adjustment_credits=100 * MICRO)
    _admin, client = staff("admin")
    form = {"code": "FAIR", "credits": "10", "uses": "11", "note": ""}
    page = client.post(f"{ADMIN}/redemptioncode/add/", form).content.decode()
    assert "only superusers may" in page
    client.post(f"{ADMIN}/redemptioncode/add/", form | {"uses": "10"})
    code = RedemptionCode.objects.get()
    url = f"{ADMIN}/redemptioncode/{code.pk}/change/"
    client.post(url, form | {"uses": "20"})
    code.refresh_from_db()
    assert code.uses == 10
    boss = Client()
    boss.force_login(make_user(superuser=True))
    boss.post(url, form | {"uses": "20"})
    client.post(url, form | {"uses": "20", "note": "Kept"})
    code.refresh_from_db()
    assert (code.uses, code.note) == (20, "Kept")


@pytest.mark.parametrize(
    ("currency", "most"), [("USD", 20_000), ("JPY", 200), ("KWD", 200_000), ("EUR", 20_000)]
)
def test_the_limit_for_refunds_is_in_whole_units_of_each_currency(currency: str, most: int) -> None:
    MoneyLimit.objects.update(refund_amount=20_000)
    user_id = make_wallet()
    payment = make_payment(user_id, amount=most + 1, earned=most + 1, currency=currency)
    clerk = make_user(staff=True)

    def refund(amount: int) -> four_eyes.Outcome:
        return backoffice.refund_payment(
            payment_id=payment.pk, amount=amount, reason="x", actor_id=clerk.pk, token=str(uuid4())
        )

    assert refund(most + 1).approval is not None
    with pytest.raises(Unavailable):
        refund(most)
    assert (actions(), Approval.objects.count()) == (["ask_approval", "refund_payment"], 1)


# --- Reconciling and replaying --------------------------------------------------------------------


def test_replaying_many_needs_a_reason_and_notes_each(shop: Shop) -> None:
    bought_pack(shop)
    events = list(StoreEvent.objects.values_list("pk", flat=True))
    clerk, client = staff()
    chosen = {"action": "replay_selected", "_selected_action": events}
    page = client.post(f"{ADMIN}/storeevent/", chosen, follow=True).content.decode()
    assert "need a reason" in page
    assert actions() == []
    assert 'name="reason"' in page
    client.post(f"{ADMIN}/storeevent/", chosen | {"reason": "Lost webhooks"})
    noted = StaffAction.objects.filter(action="replay_event")
    assert {(row.actor, row.reason) for row in noted} == {(clerk, "Lost webhooks")}
    assert {row.target_id for row in noted} == {str(pk) for pk in events}


def test_comparing_now_happens_in_the_background(shop: Shop, promises_wait: None) -> None:
    bought_pack(shop)
    _clerk, client = staff()
    for _ in range(2):
        page = press(client, "reconciliation/run")
        assert "running" in page
    row = Reconciliation.objects.get()
    assert (row.state, row.finished_at) == ("running", None)
    all_is_due()
    row.refresh_from_db()
    assert row.state == "clean"
    assert "all in order" in client.get(f"{ADMIN}/reconciliation/{row.pk}/change/").content.decode()
    finished_at = row.finished_at
    reconciliation.carry_out(reconciliation_id=row.pk)
    row.refresh_from_db()
    assert row.finished_at == finished_at


def test_a_refund_the_bank_has_not_made_yet_is_no_difference(shop: Shop) -> None:
    _user, payment = bought_pack(shop)
    shop.fake.refund(payment.external_id, 300)
    with shop.fake.changing() as world:
        world.find("refund")[0]["status"] = "pending"
    later = timezone.now() + timedelta(minutes=30)
    assert reconciliation.reconcile(now=later).differences == []
    with shop.fake.changing() as world:
        world.find("refund")[0]["status"] = "succeeded"
    row = reconciliation.reconcile(now=later)
    assert [line["kind"] for line in row.differences] == ["refund_missing"]


def show(store: FakeAppStore, user: User, bought: str) -> None:
    body = {"provider": "app_store", "signed_transaction": store.signed(bought)}
    answer = make_api_client(user).post("/api/v1/subscription/verify/", body, format="json")
    assert answer.status_code == 200


def test_what_apple_says_is_compared_and_never_clean_without_asking(
    app_store: FakeAppStore, settings: Any
) -> None:
    user = make_user()
    pack = app_store.buy("credits_100", 899, account=user.pk)
    plan = app_store.subscribe("premium_monthly", account=user.pk)
    for bought in (pack, plan):
        show(app_store, user, bought)
    later = timezone.now() + timedelta(minutes=30)
    row = reconciliation.reconcile(now=later)
    assert (row.state, row.differences, row.compared["payments"]) == ("clean", [], 2)

    app_store.refund(pack)
    app_store.set_renewing(plan, False)
    row = reconciliation.reconcile(now=later)
    found = {line["kind"]: line["row"] for line in row.differences}
    assert found == {
        "refund_differs": f"payment:{Payment.objects.get(external_id=pack).pk}",
        "subscription_differs": f"subscription:{Subscription.objects.get().pk}",
    }
    assert row.difference == {"USD": 899}

    app_store.failures = 9
    assert reconciliation.reconcile(now=later).state == "incomplete"
    settings.APP_STORE_BUNDLE_ID = ""
    row = reconciliation.reconcile(now=later)
    assert (row.state, row.detail) == ("incomplete", "app store: it is not set up any more")
