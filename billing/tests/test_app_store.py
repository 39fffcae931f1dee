"""The App Store from the phone and from Apple: what was paid there is given once, to one account."""

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_user
from billing.models import LedgerTransaction, Payment, Plan, Refund, StoreEvent, Subscription, Wallet
from billing.services import inbox, renewals
from billing.stores import fake_app_store
from billing.stores.app_store import connection
from billing.stores.fake_app_store import Chain, FakeAppStore, chain
from billing.tests.factories import assert_ledger_holds, buckets, in_parallel
from common.credits import MICRO

pytestmark = pytest.mark.django_db(transaction=True)
ApiClient = Callable[..., Any]


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Iterator[FakeAppStore]:
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


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def verify(client: Any, signed: str) -> Any:
    body = {"provider": "app_store", "signed_transaction": signed}
    return client.post("/api/v1/subscription/verify/", body, format="json")


def post(signed_payload: Any) -> int:
    body = {"signedPayload": signed_payload}
    return Client().post("/webhooks/app-store/", body, content_type="application/json").status_code


def tell(store: FakeAppStore) -> None:
    """Deliver everything Apple has to tell, the old too, and apply it."""
    for signed in list(store.notifications):
        assert post(signed) == 200
    apply_waiting()


def apply_waiting() -> list[str]:
    waiting = StoreEvent.objects.filter(state__in=["pending", "failed"]).order_by("created_at", "id")
    return [inbox.apply_event(event_id) for event_id in list(waiting.values_list("id", flat=True))]


def tier(user: User) -> str:
    return Wallet.objects.get(pk=user.pk).tier_id


def test_a_pack_is_in_the_wallet(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    bought = store.buy("credits_100", 899, "EUR", account=user.pk)
    answer = verify(api_client(user), store.signed(bought))
    assert answer.status_code == 200
    assert answer.json()["payment"]["amount"] == "8.99"
    assert answer.json()["wallet"]["purchased"] == "100"
    payment = Payment.objects.get()
    assert (payment.external_id, payment.amount, payment.currency, payment.credits) == (
        bought,
        899,
        "EUR",
        100 * MICRO,
    )


def test_a_plan_gives_its_tier_and_its_bonus(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    bought = store.subscribe("premium_monthly", account=user.pk)
    client = api_client(user)
    answer = verify(client, store.signed(bought))
    assert (answer.status_code, answer.json()["state"], answer.json()["provider"]) == (
        200,
        "active",
        "app_store",
    )
    assert answer.json() == client.get("/api/v1/subscription/").json()
    assert (tier(user), buckets(user.pk)["bonus"]) == ("premium", (200, 0))
    tell(store)
    assert (Payment.objects.count(), StoreEvent.objects.get().state) == (1, "applied")


def test_a_free_trial_gives_no_bonus(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    bought = store.subscribe("premium_monthly", account=user.pk, is_trial=True)
    assert verify(api_client(user), store.signed(bought)).json()["state"] == "trialing"
    assert (tier(user), buckets(user.pk)["bonus"]) == ("premium", (0, 0))
    store.now += timedelta(days=30)
    store.renew(bought)
    tell(store)
    assert buckets(user.pk)["bonus"] == (200, 0)


def test_a_plan_for_life(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    Plan.objects.create(slug="for_life", name="For life", tier_id="vip", period="lifetime", price=19900)
    bought = store.buy("for_life", 19900, account=user.pk, kind="Non-Consumable")
    answer = verify(api_client(user), store.signed(bought)).json()
    assert (answer["tier"], answer["current_period_end"]) == ("vip", None)
    store.refund(bought)
    tell(store)
    assert tier(user) == "free"


def test_a_transaction_shown_20_times_at_once_gives_once(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    signed = store.signed(store.buy("credits_100", account=user.pk))
    clients = [api_client(user) for _ in range(20)]
    answers = in_parallel(*[lambda client=client: verify(client, signed) for client in clients])
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 20
    assert LedgerTransaction.objects.filter(kind="purchase").count() == 1


@pytest.mark.parametrize("is_plan", [False, True])
def test_what_somebody_else_bought_is_refused(
    store: FakeAppStore, api_client: ApiClient, is_plan: bool
) -> None:
    user = make_user()
    buy, product_id = (store.subscribe, "premium_monthly") if is_plan else (store.buy, "credits_100")
    signed = store.signed(buy(product_id, account=user.pk))
    answer = verify(api_client(make_user()), signed)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert not Payment.objects.exists()
    assert not Subscription.objects.exists()
    assert verify(api_client(user), signed).status_code == 200


@pytest.mark.parametrize("is_plan", [False, True])
def test_what_was_bought_for_nobody_is_the_first_ones(
    store: FakeAppStore, api_client: ApiClient, is_plan: bool
) -> None:
    buy, product_id = (store.subscribe, "premium_monthly") if is_plan else (store.buy, "credits_100")
    signed = store.signed(buy(product_id))
    tell(store)
    assert StoreEvent.objects.get().state == "ignored"
    clients = [api_client(make_user()) for _ in range(5)]
    answers = in_parallel(*[lambda client=client: verify(client, signed) for client in clients])
    assert sorted(getattr(answer, "status_code", answer) for answer in answers) == [200] + [409] * 4
    assert Payment.objects.count() == 1


def test_only_what_apple_signed_counts(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    client = api_client(user)
    bought = store.buy("credits_100", account=user.pk)
    good = store.signed(bought)
    header, payload, signature = good.split(".")
    forged = [
        "nonsense",
        f"{header}.{payload}.",
        f"{header}.{payload[:-4]}AAAA.{signature}",
        Chain().sign(store._document(store.transactions[bought])),
        store.signed(bought, bundleId="app.other"),
        store.signed(bought, environment="Sandbox"),
        store.signed(bought, transactionId="../../x"),
    ]
    for signed in forged:
        answer = verify(client, signed)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "signed_transaction")
    assert store.requests == []
    assert not Payment.objects.exists()
    assert verify(client, good).status_code == 200


def test_what_apple_does_not_know_gives_nothing(store: FakeAppStore, api_client: ApiClient) -> None:
    client = api_client(make_user())
    bought = store.buy("credits_100")
    answer = verify(client, store.signed(bought, transactionId="42"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "does_not_exist")
    assert verify(client, store.signed(store.buy("gold_bars"))).status_code == 422
    assert not Payment.objects.exists()


def test_apple_away_is_no_answer(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    signed = store.signed(store.buy("credits_100", account=user.pk))
    client = api_client(user)
    store.failures = 1
    assert verify(client, signed).status_code == 503
    assert verify(client, signed).status_code == 200


def test_without_the_app_store_there_is_nothing(api_client: ApiClient) -> None:
    assert verify(api_client(make_user()), "signed").status_code == 404
    assert post("signed") == 404


def test_each_store_needs_its_own_fields(api_client: ApiClient) -> None:
    client = api_client(make_user())
    for provider, missing in (
        ("google_play", ["product_id", "purchase_token"]),
        ("app_store", ["signed_transaction"]),
    ):
        answer = client.post("/api/v1/subscription/verify/", {"provider": provider}, format="json")
        assert answer.status_code == 422
        assert sorted((each["field"], each["code"]) for each in answer.json()["errors"]) == [
            (name, "required") for name in missing
        ]


def test_the_life_of_a_subscription(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    bought = store.subscribe("premium_monthly", account=user.pk)
    verify(api_client(user), store.signed(bought))
    steps: list[tuple[Callable[[], Any], str, str]] = [
        (lambda: store.set_renewing(bought, False), "cancelled", "premium"),
        (lambda: store.set_renewing(bought, True), "active", "premium"),
        (lambda: store.fail_renewal(bought), "grace", "premium"),
        (lambda: store.fail_renewal(bought, has_grace=False), "on_hold", "free"),
        (lambda: store.renew(bought, "DID_RENEW"), "active", "premium"),
        (lambda: store.expire(bought), "expired", "free"),
    ]
    for step, state, expected in steps:
        store.now += timedelta(seconds=10)
        step()
        tell(store)
        assert (Subscription.objects.get().state, tier(user)) == (state, expected)
    assert (Payment.objects.count(), buckets(user.pk)["bonus"]) == (2, (400, 0))


def test_who_subscribes_again_has_another_subscription(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    bought = store.subscribe("premium_monthly", account=user.pk)
    client = api_client(user)
    verify(client, store.signed(bought))
    store.expire(bought)
    tell(store)
    store.now += timedelta(days=100)
    again = store.renew(bought, "SUBSCRIBED")
    assert verify(client, store.signed(again)).json()["state"] == "active"
    tell(store)
    rows = Subscription.objects.order_by("id").values_list("state", flat=True)
    assert (list(rows), tier(user), buckets(user.pk)["bonus"]) == (
        ["expired", "active"],
        "premium",
        (400, 0),
    )


def test_renewals_nobody_told_of_are_booked(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    bought = store.subscribe("premium_monthly", account=user.pk)
    verify(api_client(user), store.signed(bought))
    for _ in range(25):
        store.now += timedelta(days=30)
        store.renew(bought)
    renewals.look_at_due(now=store.now)
    assert (Subscription.objects.get().state, Payment.objects.count()) == ("active", 26)


@pytest.mark.parametrize("is_plan", [False, True])
def test_a_refund_takes_once(store: FakeAppStore, api_client: ApiClient, is_plan: bool) -> None:
    user = make_user()
    buy, product_id = (store.subscribe, "premium_monthly") if is_plan else (store.buy, "credits_100")
    bought = buy(product_id, account=user.pk)
    verify(api_client(user), store.signed(bought))
    store.refund(bought)
    for _ in range(3):
        tell(store)
    assert (tier(user), buckets(user.pk)["bonus"], buckets(user.pk)["purchased"]) == ("free", (0, 0), (0, 0))
    assert Refund.objects.count() == 1


def test_half_a_refund_takes_half(store: FakeAppStore, api_client: ApiClient) -> None:
    user = make_user()
    bought = store.buy("credits_100", 900, account=user.pk)
    verify(api_client(user), store.signed(bought))
    store.refund(bought, percent=50)
    tell(store)
    assert (Refund.objects.get().amount, buckets(user.pk)["purchased"]) == (450, (50, 0))


def test_only_apple_may_tell(store: FakeAppStore) -> None:
    user = make_user()
    signed = store.signed(store.buy("credits_100", account=user.pk))
    told = store.notification("ONE_TIME_CHARGE", signed)
    other_app = {**told, "data": {**told["data"], "bundleId": "app.other"}}
    sandbox = {**told, "data": {**told["data"], "environment": "Sandbox"}}
    unsigned = {**told, "data": {**told["data"], "signedTransactionInfo": "x.y.z"}}
    forged = [None, "", 7, "nonsense", Chain().sign(told), *map(chain().sign, (other_app, sandbox, unsigned))]
    assert [post(payload) for payload in forged] == [400] * len(forged)
    assert not StoreEvent.objects.exists()
    assert post(chain().sign(told)) == 200
    assert StoreEvent.objects.count() == 1


def test_a_test_of_apple_is_answered_and_forgotten(store: FakeAppStore) -> None:
    assert post(chain().sign(store.notification("TEST", None))) == 200
    assert not StoreEvent.objects.exists()


def test_a_notification_while_apple_is_away_is_tried_again(store: FakeAppStore) -> None:
    user = make_user()
    store.buy("credits_100", account=user.pk)
    store.failures = 1
    assert post(store.notifications[0]) == 200
    assert StoreEvent.objects.get().state == "failed"
    assert apply_waiting() == ["applied"]
    assert buckets(user.pk)["purchased"] == (100, 0)


def test_every_order_of_notifications_ends_in_the_same_rows(store: FakeAppStore) -> None:
    endings = set()
    for order in permutations(range(4)):
        user = make_user()
        store.notifications.clear()
        bought = store.subscribe("premium_monthly", account=user.pk)
        store.now += timedelta(seconds=10)
        store.renew(bought)
        store.set_renewing(bought, False)
        store.refund(bought)
        for number in order:
            assert post(store.notifications[number]) == 200
        apply_waiting()
        row = Subscription.objects.get(user=user)
        payments = Payment.objects.filter(user=user).order_by("external_id")
        returned = tuple(payments.values_list("credits", "credits_returned"))
        endings.add((row.state, tier(user), buckets(user.pk)["bonus"], returned))
    given = 200 * MICRO
    assert endings == {("cancelled", "premium", (200, 0), ((given, given), (given, 0)))}


def test_roots_may_be_files_of_either_kind(store: FakeAppStore, settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(chain().root))
    settings.APP_STORE_ROOT_CERTIFICATES = [str(path)]
    assert connection.verifier()._chain_verifier.root_certificates == [chain().root]
