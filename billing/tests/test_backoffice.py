"""What staff do with money, through the admin: once, with a reason, large things by two people."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from psycopg import sql

from accounts.models import StaffAction, User
from accounts.tests.factories import make_user
from billing.models import (
    Approval,
    LedgerTransaction,
    MoneyLimit,
    Payment,
    Refund,
    StoreCustomer,
    StoreEvent,
    Subscription,
    Wallet,
)
from billing.services import backoffice, leaving, replays
from billing.tests.factories import assert_ledger_holds, buckets, capture, in_parallel, make_wallet, reserve
from billing.tests.shop import Shop, make_buyer, open_shop
from common import jobs
from common.credits import MICRO
from common.errors import Conflict, PermissionDenied
from common.models import OutboxMessage
from common.testing.database import as_superuser

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/billing"


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def staff(role: str = "finance") -> tuple[User, Client]:
    user = make_user(staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return user, client


def press(client: Client, path: str, **fields: Any) -> Any:
    """Fill a dialog of the admin in and send it."""
    form = {"reason": "They asked", "token": str(uuid4()), "_form_submitted": "on"}
    return client.post(f"{ADMIN}/{path}/", form | fields)


def actions() -> list[str]:
    return list(StaffAction.objects.order_by("created_at", "id").values_list("action", flat=True))


def bought_pack(shop: Shop, pack: str = "credits_100") -> tuple[User, Payment]:
    user = make_buyer()
    shop.buy(user, pack=pack)
    return user, Payment.objects.get(user=user)


def refunds_at_store(shop: Shop) -> list[int]:
    return [row["amount"] for row in shop.fake.world.find("refund")]


def test_a_refund_is_sent_and_booked_at_once(shop: Shop) -> None:
    _user, payment = bought_pack(shop)
    clerk, client = staff()
    press(client, f"payment/{payment.pk}/refund", amount="4.50")
    payment.refresh_from_db()
    assert refunds_at_store(shop) == [450]
    assert (payment.returned, payment.credits_returned) == (450, 100 * MICRO * 450 // 899)
    noted = StaffAction.objects.get(action="refund_payment")
    assert (noted.actor, noted.reason, noted.details["amount"]) == (clerk, "They asked", 450)
    shop.tell()
    assert Refund.objects.get().counted == 450


def test_m39_a_double_click_refunds_once(shop: Shop) -> None:
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    token = str(uuid4())
    for _ in range(3):
        press(client, f"payment/{payment.pk}/refund", amount="2", token=token)
    assert refunds_at_store(shop) == [200]
    assert actions().count("refund_payment") == 1


@pytest.mark.parametrize(
    "wrong", [{"reason": " "}, {"amount": "9.00"}, {"amount": "0"}, {"amount": "-1"}, {"token": ""}]
)
def test_a_refund_that_makes_no_sense_sends_nothing(shop: Shop, wrong: dict[str, str]) -> None:
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    press(client, f"payment/{payment.pk}/refund", **wrong)
    assert refunds_at_store(shop) == []
    assert actions() == []


def test_support_sees_payments_and_may_not_send_them_back(shop: Shop) -> None:
    _user, payment = bought_pack(shop)
    _clerk, client = staff("support")
    assert client.get(f"{ADMIN}/payment/{payment.pk}/change/").status_code == 200
    assert press(client, f"payment/{payment.pk}/refund").status_code == 403
    forging = Client(enforce_csrf_checks=True)
    forging.force_login(make_user(superuser=True))
    assert press(forging, f"payment/{payment.pk}/refund").status_code == 403
    assert refunds_at_store(shop) == []


def test_m27_a_refund_whose_answer_was_lost_is_sent_again_with_its_key(shop: Shop) -> None:
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    shop.fake.fail_next("POST", "/v1/refunds", "500", times=9)
    page = press(client, f"payment/{payment.pk}/refund", amount="2")
    assert page.status_code == 302
    promised = OutboxMessage.objects.get(task="billing.send_refund")
    shop.fake.faults._planned.clear()
    OutboxMessage.objects.filter(pk=promised.pk).update(available_at=timezone.now())
    jobs.run_due_messages()
    assert refunds_at_store(shop) == [200]
    promised.refresh_from_db()
    assert promised.state == "done"
    payment.refresh_from_db()
    assert payment.returned == 200


def test_what_the_store_refuses_is_said_and_noted(shop: Shop) -> None:
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    shop.fake.open_dispute(payment.external_id)
    page = client.post(
        f"{ADMIN}/payment/{payment.pk}/refund/",
        {"reason": "x", "token": str(uuid4()), "_form_submitted": "on"},
        follow=True,
    )
    assert "The store refused" in page.content.decode()
    assert actions() == ["refund_payment", "refund_refused"]


def test_a_large_refund_waits_for_a_second_person_and_happens_once(shop: Shop) -> None:
    MoneyLimit.objects.update(refund_amount=500)
    _user, payment = bought_pack(shop)
    clerk, client = staff()
    second, other = staff()
    press(client, f"payment/{payment.pk}/refund")
    approval = Approval.objects.get()
    assert (approval.asked_by, approval.state, refunds_at_store(shop)) == (clerk, "waiting", [])

    page = client.post(
        f"{ADMIN}/approval/{approval.pk}/approve/", {"reason": "x", "_form_submitted": "on"}, follow=True
    )
    assert "somebody else has to decide" in page.content.decode()
    approval.refresh_from_db()
    assert (approval.state, refunds_at_store(shop)) == ("waiting", [])

    for _ in range(2):
        press(other, f"approval/{approval.pk}/approve")
    approval.refresh_from_db()
    payment.refresh_from_db()
    assert (approval.state, approval.decided_by) == ("approved", second)
    assert (refunds_at_store(shop), payment.returned) == ([899], 899)
    assert approval.arguments["outcome"].startswith("sent: re_")
    assert actions() == ["ask_approval", "approve", "refund_payment"]


def test_parts_of_a_large_refund_count_together(shop: Shop) -> None:
    MoneyLimit.objects.update(refund_amount=500)
    _user, payment = bought_pack(shop)
    _clerk, client = staff()
    for _ in range(2):
        press(client, f"payment/{payment.pk}/refund", amount="3")
    assert refunds_at_store(shop) == [300]
    assert Approval.objects.get().arguments["total"] == 300


def test_a_large_adjustment_waits_and_is_made_once_approved() -> None:
    MoneyLimit.objects.update(adjustment_credits=100 * MICRO)
    user_id = make_wallet()
    clerk, client = staff()
    _second, other = staff()
    form = {"amount": "150", "bucket": "bonus", "token": str(uuid4())}
    for _ in range(2):
        press(client, f"wallet/{user_id}/adjust", **form)
    approval = Approval.objects.get()
    assert buckets(user_id)["bonus"] == (0, 0)
    press(other, f"approval/{approval.pk}/approve")
    press(client, f"wallet/{user_id}/adjust", **form)
    assert buckets(user_id)["bonus"] == (150, 0)
    row = LedgerTransaction.objects.get(kind="adjustment")
    assert (row.actor, row.amount) == (clerk, 150 * MICRO)
    assert actions() == ["ask_approval", "approve", "adjust_credits"]


def test_small_adjustments_of_one_person_count_together_for_a_day() -> None:
    MoneyLimit.objects.update(adjustment_credits=100 * MICRO)
    user_id = make_wallet()
    _clerk, client = staff()
    _second, other = staff()
    for _ in range(2):
        press(client, f"wallet/{user_id}/adjust", amount="60", bucket="bonus")
    press(other, f"wallet/{user_id}/adjust", amount="60", bucket="bonus")
    assert buckets(user_id)["bonus"] == (120, 0)
    assert Approval.objects.count() == 1


def test_a_declined_wish_does_nothing_and_cannot_be_approved_after() -> None:
    user_id = make_wallet()
    _clerk, client = staff()
    _second, other = staff()
    press(client, f"wallet/{user_id}/adjust", amount="5000", bucket="bonus")
    approval = Approval.objects.get()
    press(other, f"approval/{approval.pk}/decline")
    press(other, f"approval/{approval.pk}/approve")
    approval.refresh_from_db()
    assert (approval.state, buckets(user_id)["bonus"]) == ("declined", (0, 0))


def test_two_people_approving_at_once_do_it_once() -> None:
    user_id = make_wallet()
    asker, client = staff()
    people = [staff()[0] for _ in range(2)]
    press(client, f"wallet/{user_id}/adjust", amount="5000", bucket="bonus")
    approval = Approval.objects.get()

    def decide(user: User) -> Approval:
        return backoffice.decide_approval(
            approval_id=approval.pk, approve=True, reason="ok", actor_id=user.pk
        )

    answers = in_parallel(*(lambda user=user: decide(user) for user in [*people, asker]))  # type: ignore[misc]
    assert [type(answer).__name__ for answer in answers].count("Approval") == 1
    assert isinstance(answers[2], Conflict | PermissionDenied)
    assert buckets(user_id)["bonus"] == (5000, 0)
    assert actions().count("adjust_credits") == 1


def test_support_may_neither_decide_nor_change_limits() -> None:
    user_id = make_wallet()
    _clerk, client = staff()
    press(client, f"wallet/{user_id}/adjust", amount="5000", bucket="bonus")
    _other, helper = staff("support")
    assert press(helper, f"approval/{Approval.objects.get().pk}/approve").status_code == 403
    assert helper.post(f"{ADMIN}/moneylimit/1/change/", {"refund_amount": "1"}).status_code == 403
    form = {"adjustment_credits": "12.5", "refund_amount": "30.00"}
    assert client.post(f"{ADMIN}/moneylimit/1/change/", form).status_code == 403
    _boss, admin = staff("admin")
    admin.post(f"{ADMIN}/moneylimit/1/change/", form)
    limit = MoneyLimit.objects.get()
    assert (limit.adjustment_credits, limit.refund_amount) == (12_500_000, 3000)
    assert actions()[-1] == "change_moneylimit"


def test_a_debt_is_waived_once(shop: Shop) -> None:
    user, payment = bought_pack(shop)
    capture(reserve(user.pk, 40).hold_id, 40)
    _clerk, client = staff()
    press(client, f"payment/{payment.pk}/refund")
    assert Wallet.objects.get(pk=user.pk).debt == 30 * MICRO
    token = str(uuid4())
    for _ in range(2):
        press(client, f"wallet/{user.pk}/waive_debt", token=token)
    assert Wallet.objects.get(pk=user.pk).debt == 0
    assert actions() == ["refund_payment", "waive_debt"]


def test_a_tier_is_given_for_a_time_and_taken_back() -> None:
    user_id = make_wallet()
    _clerk, client = staff()
    until = timezone.localtime() + timedelta(days=3)
    press(client, f"wallet/{user_id}/change_tier", tier="vip", until=f"{until:%Y-%m-%dT%H:%M}")
    row = Subscription.objects.get()
    assert (row.tier_id, row.state, row.period_end) == (
        "vip",
        "cancelled",
        until.replace(second=0, microsecond=0),
    )
    press(client, f"wallet/{user_id}/change_tier", tier="vip", until="2020-01-01T00:00")
    press(client, f"subscription/{row.pk}/extend", days="10")
    row.refresh_from_db()
    assert row.period_end == until.replace(second=0, microsecond=0) + timedelta(days=10)
    press(client, f"wallet/{user_id}/end_comp")
    assert Wallet.objects.get(pk=user_id).tier_id == "free"
    assert actions() == ["set_tier", "extend_subscription", "end_comp"]


def test_a_subscription_is_extended_once_and_ended(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row = Subscription.objects.get()
    end, token = row.period_end, str(uuid4())
    assert end is not None
    _clerk, client = staff()
    for _ in range(2):
        press(client, f"subscription/{row.pk}/extend", days="10", token=token)
    row.refresh_from_db()
    assert row.period_end == end + timedelta(days=10)
    press(client, f"subscription/{row.pk}/cancel", when="period_end")
    row.refresh_from_db()
    assert row.state == "cancelled"
    press(client, f"subscription/{row.pk}/cancel", when="now")
    row.refresh_from_db()
    assert (row.state, Wallet.objects.get(pk=user.pk).tier_id) == ("expired", "free")
    assert actions() == ["extend_subscription", "cancel_subscription", "cancel_subscription"]
    assert len(Payment.objects.all()) >= 1


def test_what_cannot_be_extended_says_so(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_lifetime")
    _clerk, client = staff()
    row = Subscription.objects.get()
    page = client.post(
        f"{ADMIN}/subscription/{row.pk}/extend/",
        {"days": "3", "reason": "x", "token": str(uuid4()), "_form_submitted": "on"},
        follow=True,
    )
    assert "for life" in page.content.decode()
    assert actions() == []


def test_events_are_replayed_one_and_many_and_give_nothing_twice(shop: Shop) -> None:
    user, _payment = bought_pack(shop)
    events = list(StoreEvent.objects.values_list("pk", flat=True))
    _clerk, client = staff()
    press(client, f"storeevent/{events[0]}/replay")
    chosen = {"action": "replay_selected", "_selected_action": events, "reason": "Lost"}
    client.post(f"{ADMIN}/storeevent/", chosen)
    assert buckets(user.pk)["purchased"] == (100, 0)
    assert actions() == ["replay_event", "replay_selected", *["replay_event"] * len(events)]
    _other, helper = staff("support")
    assert press(helper, f"storeevent/{events[0]}/replay").status_code == 403


# What a backup of the money has in it.
TABLES = (
    "billing_order",
    "billing_payment",
    "billing_refund",
    "billing_dispute",
    "billing_subscription",
    "billing_subscriptionevent",
    "billing_storeevent",
    "billing_storecustomer",
    "billing_wallet",
    "billing_ledgeraccount",
    "billing_ledgertransaction",
    "billing_ledgerentry",
    "billing_hold",
    "common_outboxmessage",
)


def back_up() -> None:
    with as_superuser() as admin:
        admin.execute("DROP SCHEMA IF EXISTS backup CASCADE")
        admin.execute("CREATE SCHEMA backup")
        for table in TABLES:
            kept = sql.SQL("CREATE TABLE backup.{0} AS TABLE public.{0}")
            admin.execute(kept.format(sql.Identifier(table)))


def put_back() -> None:
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        for table in TABLES:
            rows = admin.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND table_name = %s AND is_generated = 'NEVER'",
                [table],
            )
            names = sql.SQL(", ").join(sql.Identifier(row[0]) for row in rows)
            statement = sql.SQL(
                "DELETE FROM public.{0}; INSERT INTO public.{0} ({1}) OVERRIDING SYSTEM VALUE"
                " SELECT {1} FROM backup.{0}"
            )
            admin.execute(statement.format(sql.Identifier(table), names))
        admin.execute("DROP SCHEMA backup CASCADE")


def what_people_have() -> list[Any]:
    wallets = Wallet.objects.order_by("user_id").values_list(
        "user_id", "tier_id", "bonus_balance", "purchased_balance", "debt", "frozen"
    )
    payments = Payment.objects.order_by("external_id").values_list(
        "external_id", "user_id", "amount", "credits", "returned", "credits_returned"
    )
    standing = Subscription.objects.order_by("external_id").values_list("external_id", "state", "plan_id")
    return [list(wallets), list(payments), list(standing)]


def test_m42_after_a_backup_is_put_back_every_grant_is_found_and_none_given_twice(shop: Shop) -> None:
    first, second, third = make_buyer(), make_buyer(), make_buyer()
    for user in (first, second, third):
        make_wallet(user=user)
    shop.buy(first, pack="credits_100")
    shop.buy(second, plan="premium_monthly")
    back_up()
    shop.buy(third, plan="vip_monthly")
    shop.buy(second, pack="credits_50")
    shop.fake.refund(Payment.objects.get(user=first).external_id, 300)
    shop.tell()
    before = what_people_have()

    put_back()
    assert what_people_have() != before
    for _ in range(2):
        replays.replay_events_since(since=timezone.now() - timedelta(days=1))
        assert what_people_have() == before


def test_fetching_events_since_a_moment_is_a_button(shop: Shop) -> None:
    user = make_buyer()
    make_wallet(user=user)
    shop.buy(user, pack="credits_10", tell=False)
    _clerk, client = staff()
    since = timezone.localtime() - timedelta(hours=1)
    client.post(
        f"{ADMIN}/storeevent/replay_since/",
        {"since": f"{since:%Y-%m-%dT%H:%M}", "reason": "Restored", "_form_submitted": "on"},
    )
    assert actions() == ["replay_events_since"]
    assert buckets(user.pk)["purchased"] == (10, 0)


def test_an_account_that_is_erased_ends_what_it_subscribed_to_at_the_store(shop: Shop) -> None:
    user = make_buyer()
    shop.buy(user, plan="premium_monthly")
    row, customer = Subscription.objects.get(), StoreCustomer.objects.get()
    for _ in range(2):
        leaving.leave_stores(user_id=user.pk)
    row.refresh_from_db()
    assert (row.state, Wallet.objects.get(pk=user.pk).tier_id) == ("expired", "free")
    assert shop.fake.get(row.external_id)["status"] == "canceled"
    assert not StoreCustomer.objects.exists()
    key = f"{customer.store}:{customer.external_id}"
    assert OutboxMessage.objects.get(task="billing.forget_customer").key == key
