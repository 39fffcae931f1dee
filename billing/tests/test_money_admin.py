"""The tables of money in the admin, and whether it earns."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_user
from billing import statistics
from billing.models import (
    Approval,
    CatalogueChange,
    MoneyLimit,
    Order,
    Payment,
    Plan,
    Reconciliation,
    RedemptionCode,
    Store,
    StoreCustomer,
    StoreEvent,
    StorePrice,
    Subscription,
    Wallet,
)
from billing.services import codes, payments, subscriptions
from billing.stores.base import (
    DisputeFacts,
    DisputeStanding,
    PaymentFacts,
    PaymentStanding,
    RefundFacts,
    Standing,
    SubscriptionFacts,
)
from billing.tests.factories import capture, make_wallet, reserve
from common.credits import MICRO
from config import dashboard

pytestmark = pytest.mark.django_db
ADMIN = "/admin/billing"
NOW = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
MODELS = [
    "storeevent",
    "order",
    "payment",
    "refund",
    "dispute",
    "subscription",
    "subscriptionevent",
    "storecustomer",
    "storeprice",
    "redemptioncode",
    "redemption",
    "approval",
    "cataloguechange",
    "reconciliation",
]


@pytest.fixture(autouse=True)
def _with_a_shop(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_parlor_tests"


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(make_user(superuser=True))
    return client


def in_role(role: str) -> Client:
    user, client = make_user(staff=True), Client()
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    return client


def pay(
    user_id: UUID,
    amount: int,
    *,
    days_ago: float = 0,
    currency: str = "USD",
    refunded: int = 0,
    **fields: Any,
) -> Payment:
    paid_at = NOW - timedelta(days=days_ago)
    facts = PaymentFacts(
        external_id=f"pi_{uuid4().hex}",
        standing=PaymentStanding.PAID,
        user_id=user_id,
        amount=amount,
        currency=currency,
        earned=amount,
        paid_at=paid_at,
        refunds=(RefundFacts(f"re_{uuid4().hex}", refunded, paid_at),) if refunded else (),
        **({"pack": "credits_10"} | fields),
    )
    payment = payments.apply_facts(store=Store.STRIPE, facts=facts, asked_at=NOW, now=NOW)
    assert payment is not None
    return payment


def subscribe(
    user_id: UUID,
    plan: str,
    price: int,
    *,
    days_ago: float,
    standing: Standing = Standing.ACTIVE,
    **fields: Any,
) -> Subscription:
    facts = SubscriptionFacts(
        external_id=f"sub_{uuid4().hex}",
        standing=standing,
        plan=plan,
        user_id=user_id,
        price=price,
        currency=fields.pop("currency", "USD"),
        started_at=NOW - timedelta(days=days_ago),
        period_end=NOW + timedelta(days=20),
        **fields,
    )
    return subscriptions.apply_facts(store=Store.STRIPE, facts=facts, asked_at=NOW, now=NOW)


def end(row: Subscription, *, days_ago: float) -> None:
    facts = SubscriptionFacts(
        external_id=row.external_id,
        standing=Standing.ENDED,
        plan=row.plan_id or "",
        user_id=row.user_id,
        price=row.price,
        ended_at=NOW - timedelta(days=days_ago),
    )
    subscriptions.apply_facts(store=Store.STRIPE, facts=facts, asked_at=NOW, now=NOW)


def one_of_each(user: User) -> None:
    """A row in every table of money."""
    plan = subscribe(user.pk, "premium_monthly", 999, days_ago=3)
    payment = pay(user.pk, 99, refunded=50)
    payments.apply_facts(
        store=Store.STRIPE,
        facts=PaymentFacts(
            external_id=payment.external_id,
            standing=PaymentStanding.PAID,
            user_id=user.pk,
            disputes=(DisputeFacts(f"dp_{uuid4().hex}", DisputeStanding.OPEN, 49, NOW),),
        ),
        asked_at=NOW,
    )
    Order.objects.create(
        user=user, store="stripe", pack_id="credits_10", name="10", credits=10, price=99, currency="USD"
    )
    StoreEvent.objects.create(
        store="stripe",
        external_id=f"evt_{uuid4().hex}",
        kind="invoice.paid",
        object_id=plan.external_id,
        payload={},
        happened_at=NOW,
    )
    StoreCustomer.objects.create(user=user, store="stripe", external_id=f"cus_{uuid4().hex}")
    StorePrice.objects.create(
        store="stripe", slug=uuid4().hex, amount=1, currency="USD", external_id=f"price_{uuid4().hex}"
    )
    code = RedemptionCode.objects.create(code=uuid4().hex.upper(), credits=MICRO)
    codes.redeem_code(user_id=user.pk, code=code.code)
    Approval.objects.create(
        action="refund",
        user=user,
        arguments={"payment_id": str(payment.pk), "payment": payment.number, "total": 1, "currency": "USD"},
        key=uuid4().hex,
        reason="test",
        asked_by=user,
    )
    Plan.objects.filter(slug="vip_monthly").update(bonus_credits=user.pk.int % 10**9)
    Reconciliation.objects.create()


@pytest.mark.parametrize("model", MODELS)
def test_tables_of_money_are_looked_at_and_never_edited(model: str, boss: Client) -> None:
    one_of_each(make_user())
    helper = in_role("support")
    page = helper.get(f"{ADMIN}/{model}/")
    assert page.status_code == 200
    row = page.context["cl"].queryset.first()
    assert helper.get(f"{ADMIN}/{model}/{row.pk}/change/").status_code == 200
    assert boss.get(f"{ADMIN}/{model}/{row.pk}/change/").status_code == 200
    assert in_role("moderator").get(f"{ADMIN}/{model}/").status_code == 403
    for method in ("change", "delete"):
        if (model, method) != ("redemptioncode", "change"):
            assert boss.post(f"{ADMIN}/{model}/{row.pk}/{method}/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_lists_need_as_many_queries_for_two_rows_as_for_ten(model: str, boss: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert boss.get(f"{ADMIN}/{model}/").status_code == 200
        return len(queries)

    for _ in range(2):
        one_of_each(make_user())
    count()
    few = count()
    for _ in range(8):
        one_of_each(make_user())
    assert count() == few


def test_rows_are_found_by_address_our_id_and_the_stores(boss: Client) -> None:
    ada = make_user("ada@example.com")
    one_of_each(ada)
    one_of_each(make_user())
    payment = Payment.objects.get(user=ada)
    for model in ("payment", "order", "subscription", "refund", "dispute", "redemption"):
        page = boss.get(f"{ADMIN}/{model}/", {"q": "ADA@example.com"})
        assert page.context["cl"].queryset.count() == 1, model
    for term in (payment.external_id, str(payment.pk), str(ada.pk)):
        assert boss.get(f"{ADMIN}/payment/", {"q": term}).context["cl"].queryset.get() == payment
    event = StoreEvent.objects.first()
    assert event is not None
    assert boss.get(f"{ADMIN}/storeevent/", {"q": event.object_id}).context["cl"].queryset.get() == event


def test_a_code_is_made_up_and_one_that_was_used_keeps_what_it_gives(boss: Client) -> None:
    boss.post(f"{ADMIN}/redemptioncode/add/", {"code": "", "credits": "2.5", "uses": "3", "note": "Fair"})
    code = RedemptionCode.objects.get()
    assert (len(code.code), code.credits, code.uses) == (12, 2_500_000, 3)
    user_id = make_wallet()
    codes.redeem_code(user_id=user_id, code=code.code)
    url = f"{ADMIN}/redemptioncode/{code.pk}/change/"
    boss.post(url, {"code": "OTHER", "credits": "99", "uses": "0", "note": ""})
    code.refresh_from_db()
    assert (code.uses, code.credits) == (3, 2_500_000)
    boss.post(url, {"code": "OTHER", "credits": "99", "uses": "2", "note": "Less"})
    code.refresh_from_db()
    assert (code.uses, code.credits, code.note, code.code != "OTHER") == (2, 2_500_000, "Less", True)
    boss.post(f"{ADMIN}/redemptioncode/add/", {"code": "summer-24", "credits": "1", "uses": "1"})
    assert RedemptionCode.objects.filter(code="SUMMER24").exists()


def test_the_catalogue_leads_to_its_history(boss: Client) -> None:
    Plan.objects.filter(slug="premium_monthly").update(price=1099)
    page = boss.get(f"{ADMIN}/plan/premium_monthly/history_of_prices/", follow=True)
    assert page.status_code == 200
    assert "price: 999 → 1099" in page.content.decode()
    assert CatalogueChange.objects.filter(table="plan", slug="premium_monthly").exists()
    assert (
        "What was sold stays as it was sold"
        in boss.get(f"{ADMIN}/plan/premium_monthly/change/").content.decode()
    )


def test_the_limits_are_one_row(boss: Client) -> None:
    assert boss.get(f"{ADMIN}/moneylimit/add/").status_code == 403
    assert boss.post(f"{ADMIN}/moneylimit/1/delete/", {"post": "yes"}).status_code == 403
    assert 'value="200.00"' in boss.get(f"{ADMIN}/moneylimit/1/change/").content.decode()
    assert MoneyLimit.objects.count() == 1


def a_history() -> None:
    """Two months of a small business, in two currencies."""
    people = [make_wallet() for _ in range(6)]
    pay(people[0], 899, refunded=300)
    pay(people[0], 499, days_ago=10)
    pay(people[1], 99, days_ago=40)
    pay(people[1], 700, days_ago=2, currency="EUR")
    monthly = subscribe(people[2], "premium_monthly", 999, days_ago=50)
    pay(people[2], 999, days_ago=50, pack="", plan="premium_monthly", subscription_id=monthly.external_id)
    yearly = subscribe(people[3], "vip_yearly", 29_999, days_ago=45)
    pay(people[3], 29_999, days_ago=45, pack="", plan="vip_yearly", subscription_id=yearly.external_id)
    over = subscribe(people[4], "premium_monthly", 999, days_ago=60)
    pay(people[4], 999, days_ago=60, pack="", plan="premium_monthly", subscription_id=over.external_id)
    end(over, days_ago=5)
    subscribe(people[5], "vip_monthly", 2999, days_ago=1, standing=Standing.TRIALING)
    tried = subscribe(people[0], "premium_daily", 99, days_ago=20, standing=Standing.TRIALING)
    end(tried, days_ago=15)


def test_revenue_is_net_and_by_currency() -> None:
    a_history()
    found = statistics.revenue(NOW + timedelta(hours=1))
    assert found.today == {"USD": 599, "EUR": 0}
    assert found.month == {"USD": 599 + 499, "EUR": 700}
    assert found.returned == {"USD": 300}
    assert found.by_store == {("stripe", "USD"): 1098, ("stripe", "EUR"): 700}
    assert found.payers == 2
    by_day = statistics.revenue_by_day(NOW - timedelta(days=30))
    assert {currency: sum(days.values()) for currency, days in by_day.items()} == {"USD": 1098, "EUR": 700}
    assert statistics.per_person(found.month, 3) == {"USD": 366, "EUR": 233}


def test_recurring_revenue_is_a_months_without_trials_gifts_and_plans_for_life() -> None:
    a_history()
    make_wallet(tier="vip")
    found = statistics.recurring()
    assert found.by_tier == {("Premium", "USD"): 999, ("VIP", "USD"): 29_999 // 12}
    assert (found.total, found.subscribers) == ({"USD": 999 + 2499}, 2)


def test_churn_and_trials_are_counted_by_who_paid() -> None:
    a_history()
    ended = statistics.churn(NOW)
    assert (ended.count, ended.of, ended.percent) == (1, 3, 33.3)
    trials = statistics.trials_paid(NOW)
    assert (trials.count, trials.of, trials.percent) == (0, 1, 0.0)


def test_webhooks_are_measured() -> None:
    for number, seconds in enumerate((1, 2, 3)):
        StoreEvent.objects.create(
            store="stripe",
            external_id=f"evt_{number}",
            kind="x",
            payload={},
            happened_at=NOW,
            created_at=NOW,
            state="applied",
            applied_at=NOW + timedelta(seconds=seconds),
        )
    StoreEvent.objects.create(
        store="stripe", external_id="evt_9", kind="x", payload={}, happened_at=NOW, state="quarantined"
    )
    found = statistics.webhooks(NOW)
    assert (found.p50, found.p95) == (2.0, 2.9)
    assert (found.waiting, found.failed, found.quarantined) == (0, 0, 1)


def test_what_was_bought_in_the_test_shop_is_no_revenue(settings: Any) -> None:
    payment = pay(make_wallet(), 899)
    assert statistics.revenue(NOW + timedelta(hours=1)).month == {"USD": 899}
    facts = PaymentFacts(
        external_id="pi_sandbox",
        standing=PaymentStanding.PAID,
        user_id=payment.user_id,
        pack="credits_10",
        amount=99,
        earned=99,
        currency="USD",
        paid_at=NOW,
    )
    payments.apply_facts(store=Store.SANDBOX, facts=facts, asked_at=NOW)
    assert statistics.revenue(NOW + timedelta(hours=1)).month == {"USD": 899}
    settings.STRIPE_SECRET_KEY = ""
    assert statistics.revenue(NOW + timedelta(hours=1)).month == {"USD": 998}


def test_the_page_of_money_is_for_who_may_see_payments_and_costs_the_same_for_all(boss: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            page = boss.get("/admin/money/")
        assert page.status_code == 200
        return len(queries)

    assert in_role("moderator").get("/admin/money/").status_code == 403
    assert Client().get("/admin/money/").status_code == 302
    a_history()
    count()
    first = count()
    for _ in range(5):
        a_history()
    assert count() == first
    text = in_role("finance").get("/admin/money/").content.decode()
    for words in ("Recurring revenue", "Churn", "Stripe", "Not compared yet"):
        assert words in text


def test_the_first_page_has_the_headlines_for_who_may_see_money(boss: Client) -> None:
    a_history()
    assert "Recurring revenue" in boss.get("/admin/").content.decode()
    assert "Recurring revenue" not in in_role("moderator").get("/admin/").content.decode()
    labels = [figure.label for figure in dashboard.money(_local(NOW))["figures"]]
    assert labels == [
        "Revenue today",
        "Revenue",
        "Recurring revenue",
        "Revenue a person",
        "People who paid",
        "Churn",
        "Trials paid for",
        "Credits outstanding",
        "Credits owed to us",
        "Credits frozen",
    ]


def test_a_wallet_shows_what_is_owed_frozen_and_limited(boss: Client) -> None:
    user_id = make_wallet()
    capture(reserve(user_id, 10).hold_id, 10)
    pay(user_id, 99)
    capture(reserve(user_id, 7).hold_id, 7)
    spent = Payment.objects.get()
    facts = PaymentFacts(
        external_id=spent.external_id,
        standing=PaymentStanding.PAID,
        user_id=user_id,
        refunds=(RefundFacts("re_1", 99, NOW),),
    )
    payments.apply_facts(store=Store.STRIPE, facts=facts, asked_at=NOW)
    own_limits = Wallet.objects.filter(pk=user_id)
    own_limits.update(day_cap=33_250_000)
    page = boss.get(f"{ADMIN}/wallet/{user_id}/change/").content.decode()
    assert own_limits.get().debt == 7 * MICRO
    assert re.search(r"Owed.*?>\s*7\s*<", page, re.DOTALL)
    assert "33.25" in page


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment)
