"""B14: what we have against what the stores say; each difference names its row."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import StaffAction
from accounts.tests.factories import make_user
from billing import gauges, metrics
from billing.models import LedgerEntry, Payment, Reconciliation, Refund, StoreEvent, Subscription
from billing.services import comparison, reconciliation
from billing.tests.factories import buckets, make_wallet
from billing.tests.shop import Shop, make_buyer, open_shop
from common.models import OutboxMessage
from common.testing.database import as_superuser

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/billing/reconciliation"


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    with open_shop(settings) as opened:
        yield opened


def later() -> Any:
    """When what happens in a test is no longer on its way."""
    return timezone.now() + timedelta(minutes=30)


def compare() -> Reconciliation:
    return reconciliation.reconcile(now=later())


def tamper(statement: str, *parameters: object) -> None:
    with as_superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(statement.encode(), parameters)


def found(row: Reconciliation) -> list[tuple[str, str]]:
    return sorted((line["kind"], line["row"]) for line in row.differences if line["kind"] != "ledger")


def a_busy_shop(shop: Shop) -> None:
    """A pack refunded in part, a plan renewed and one cancelled, a dispute lost, a plan for life."""
    people = [make_buyer() for _ in range(4)]
    shop.buy(people[0], pack="credits_100")
    shop.fake.refund(Payment.objects.get(user=people[0]).external_id, 300)
    shop.buy(people[1], plan="premium_monthly")
    shop.buy(people[2], pack="credits_10")
    dispute = shop.fake.open_dispute(Payment.objects.get(user=people[2]).external_id)
    shop.fake.close_dispute(dispute["id"], "lost")
    shop.buy(people[3], plan="premium_lifetime")
    shop.tell()


def test_what_agrees_is_clean(shop: Shop) -> None:
    a_busy_shop(shop)
    row = compare()
    assert (row.state, row.differences, row.detail) == ("clean", [], "")
    assert {kind: row.compared[kind] for kind in ("payments", "refunds", "disputes", "subscriptions")} == {
        "payments": 4,
        "refunds": 1,
        "disputes": 1,
        "subscriptions": 1,
    }
    assert not OutboxMessage.objects.filter(task="billing.tell_staff_of_reconciliation").exists()


def test_a_payment_we_never_heard_of_is_found_named_and_mended(shop: Shop) -> None:
    user = make_buyer()
    make_wallet(user=user)
    shop.buy(user, pack="credits_10", tell=False)
    assert reconciliation.reconcile().state == "clean", "it may still be on its way"
    row = compare()
    intent = shop.fake.world.find("payment_intent")[0]["id"]
    assert row.state == "different"
    assert found(row) == [("payment_missing", intent)]
    assert row.difference == {"USD": 99}
    assert OutboxMessage.objects.get(task="billing.tell_staff_of_reconciliation").key == str(row.pk)
    assert metrics.DIFFERENCE.labels("USD")._value.get() == 99
    assert reconciliation.mend(reconciliation_id=row.pk) == 1
    assert buckets(user.pk)["purchased"] == (10, 0)
    again = compare()
    assert again.state == "clean"
    gauges.update()
    assert metrics.RECONCILED._value.get() == 1


def test_every_kind_of_difference_is_found_by_name(shop: Shop) -> None:
    a_busy_shop(shop)
    pack = Payment.objects.get(order__pack="credits_100")
    plan = Subscription.objects.get(plan_id="premium_monthly")
    refund = Refund.objects.get(kind="refund")
    other = Payment.objects.get(subscription=plan)
    tamper("UPDATE billing_payment SET amount = 999999 WHERE id = %s", pack.pk)
    tamper("UPDATE billing_payment SET external_id = 'in_gone' WHERE id = %s", other.pk)
    tamper("UPDATE billing_refund SET external_id = 're_gone' WHERE id = %s", refund.pk)
    tamper("UPDATE billing_subscription SET standing = 'on_hold' WHERE id = %s", plan.pk)
    tamper("UPDATE billing_dispute SET state = 'won'")
    tamper(
        "UPDATE billing_storeevent SET state = 'failed', applied_at = NULL,"
        " created_at = now() - interval '2 hours' WHERE kind = 'charge.refunded'"
    )
    row = compare()
    kinds = dict(found(row))
    event = StoreEvent.objects.get(state="failed")
    assert kinds["payment_differs"] == f"payment:{pack.pk}"
    assert kinds["payment_not_at_store"] == f"payment:{other.pk}"
    assert kinds["payment_missing"] == shop.fake.world.find("invoice")[0]["id"]
    assert kinds["refund_not_at_store"] == f"refund:{refund.pk}"
    assert kinds["refund_missing"] == pack.external_id
    assert kinds["subscription_differs"] == f"subscription:{plan.pk}"
    assert kinds["dispute_differs"].startswith("dispute:")
    assert kinds["event"] == f"storeevent:{event.pk}"
    assert kinds["store_account"] == "ledger:USD"
    assert row.state == "different"


def test_a_subscription_only_one_side_knows_is_found(shop: Shop) -> None:
    shop.buy(make_buyer(), plan="premium_monthly")
    row = Subscription.objects.get()
    tamper("UPDATE billing_subscription SET external_id = 'sub_gone'")
    kinds = dict(found(compare()))
    assert kinds["subscription_not_at_store"] == f"subscription:{row.pk}"
    assert kinds["subscription_missing"] == row.external_id


def test_m44_a_tampered_entry_is_reported_by_name() -> None:
    user_id = make_wallet(bonus=5)
    entry = LedgerEntry.objects.get(account__wallet_id=user_id, account__name="bonus")
    tamper("UPDATE billing_ledgerentry SET amount = amount + 7 WHERE id = %s", entry.pk)
    row = compare()
    assert row.state == "different"
    named = {line["row"]: line["ours"] for line in row.differences if line["kind"] == "ledger"}
    assert str(entry.transaction_id) in named["transactions_balance"]
    assert str(user_id) in named["balances_are_sums"]


def test_a_store_that_is_away_makes_it_incomplete_never_clean(shop: Shop) -> None:
    a_busy_shop(shop)
    shop.fake.fail_next("GET", "/v1/payment_intents", "500", times=9)
    row = compare()
    assert row.state == "incomplete"
    assert row.detail.startswith("shop: ")
    assert OutboxMessage.objects.filter(task="billing.tell_staff_of_reconciliation").exists()
    gauges.update()
    assert metrics.RECONCILED._value.get() == 0


def test_stripe_without_its_key_is_a_gap_and_a_closed_test_shop_is_none(shop: Shop, settings: Any) -> None:
    shop.buy(make_buyer(), pack="credits_10")
    tamper("UPDATE billing_payment SET store = 'stripe'")
    settings.STRIPE_SECRET_KEY = ""
    assert compare().state == "incomplete"
    tamper("UPDATE billing_payment SET store = 'sandbox'")
    tamper("UPDATE billing_storeevent SET store = 'sandbox'")
    assert [line for line in compare().differences if line["kind"] != "ledger"] == []


def test_it_works_in_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "BATCH", 2)
    monkeypatch.setattr(comparison, "KEPT", 3)
    for _ in range(5):
        user = make_buyer()
        make_wallet(user=user)
        shop.buy(user, pack="credits_10", tell=False)
    row = compare()
    assert (len(row.differences), row.difference, row.compared["payments"]) == (3, {"USD": 495}, 5)
    assert "2 more" in row.detail


def test_finance_compares_and_mends_on_buttons_and_reads_what_differs(shop: Shop) -> None:
    boss, client = make_user(superuser=True), Client()
    client.force_login(boss)
    user = make_buyer()
    make_wallet(user=user)
    shop.buy(user, pack="credits_10", tell=False)
    row = compare()
    page = client.get(f"{ADMIN}/{row.pk}/change/").content.decode()
    assert "Paid at the store, not booked here" in page
    assert "0.99 USD" in page
    client.post(f"{ADMIN}/{row.pk}/mend/", {"reason": "Lost webhook", "_form_submitted": "on"})
    assert buckets(user.pk)["purchased"] == (10, 0)
    client.post(f"{ADMIN}/run/", {"_form_submitted": "on"})
    assert Reconciliation.objects.order_by("-created_at").first().state == "clean"  # type: ignore[union-attr]
    assert sorted(StaffAction.objects.values_list("action", flat=True)) == ["mend", "reconcile"]

    helper = make_user(staff=True)
    helper.groups.add(Group.objects.get(name="support"))
    client.force_login(helper)
    assert client.get(f"{ADMIN}/{row.pk}/change/").status_code == 200
    assert client.post(f"{ADMIN}/run/", {"_form_submitted": "on"}).status_code == 403
    assert client.post(f"{ADMIN}/{row.pk}/mend/", {"reason": "x", "_form_submitted": "on"}).status_code == 403


def test_operators_compare_and_fetch_events_by_commands(shop: Shop) -> None:
    user = make_buyer()
    make_wallet(user=user)
    shop.buy(user, pack="credits_10", tell=False)
    since = timezone.localtime() - timedelta(hours=1)
    said = StringIO()
    call_command("replay_events", f"{since:%Y-%m-%dT%H:%M}", stdout=said)
    assert "applied" in said.getvalue()
    assert buckets(user.pk)["purchased"] == (10, 0)
    call_command("reconcile", stdout=said)
    assert "compared 1 payments" in said.getvalue()
    tamper("UPDATE billing_payment SET amount = 1")
    with pytest.raises(CommandError):
        call_command("reconcile", stdout=said)
    with pytest.raises(CommandError):
        call_command("replay_events", "yesterday")
