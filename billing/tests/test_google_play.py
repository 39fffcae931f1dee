"""Google Play from the app and from Google: what was paid there is given once, to one account."""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any
from unittest.mock import ANY

import pytest
from celery import current_app
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_user
from billing import database
from billing.models import LedgerTransaction, Payment, Plan, Refund, StoreEvent, Subscription, Wallet
from billing.services import google_play, inbox, renewals
from billing.stores.fake_google_play import FakeGooglePlay
from billing.stores.fake_google_play.server import PUSHER
from billing.tests.factories import assert_ledger_holds, buckets, in_parallel
from common import jobs
from common.credits import MICRO
from common.models import OutboxMessage

pytestmark = pytest.mark.django_db(transaction=True)
ApiClient = Callable[..., Any]
AUDIENCE = "https://parlor.example/webhooks/google-play/"
ACKNOWLEDGEMENTS = {"consume", "acknowledge"}


@pytest.fixture
def play(settings: Any) -> Iterator[FakeGooglePlay]:
    # What is promised waits until a test runs it.
    current_app.conf.task_always_eager = False
    with FakeGooglePlay(package="app.parlor") as fake:
        settings.GOOGLE_PLAY_PACKAGE = "app.parlor"
        settings.GOOGLE_PLAY_CREDENTIALS = fake.credentials
        settings.GOOGLE_PLAY_API_BASE = fake.api_base
        settings.GOOGLE_PLAY_PUSH_AUDIENCE = AUDIENCE
        settings.GOOGLE_PLAY_PUSH_EMAIL = PUSHER
        settings.GOOGLE_PLAY_CERTS_URL = fake.certs_url
        yield fake
    current_app.conf.task_always_eager = True


@pytest.fixture(autouse=True)
def _ledger_holds_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    assert_ledger_holds()


def verify(client: Any, product_id: str, token: str) -> Any:
    body = {"provider": "google_play", "product_id": product_id, "purchase_token": token}
    return client.post("/api/v1/subscription/verify/", body, format="json")


def push(play: FakeGooglePlay, notification: dict[str, Any], header: str | None = None) -> int:
    """Deliver one notification as Pub/Sub does; signed by Google unless told otherwise."""
    bearer = f"Bearer {play.push_token(AUDIENCE)}" if header is None else header
    answer = Client().post(
        "/webhooks/google-play/",
        play.envelope(notification),
        content_type="application/json",
        headers={"authorization": bearer} if bearer else {},
    )
    return answer.status_code


def apply_waiting() -> list[str]:
    waiting = StoreEvent.objects.filter(state__in=["pending", "failed"]).order_by("created_at", "id")
    return [inbox.apply_event(event_id) for event_id in list(waiting.values_list("id", flat=True))]


def tell(play: FakeGooglePlay) -> None:
    """Deliver everything Google has to tell, the old too, and apply it."""
    for notification in list(play.notifications):
        assert push(play, notification) == 200
    apply_waiting()


def run_acknowledgements() -> list[bool]:
    OutboxMessage.objects.update(available_at=database.clock())
    promised = OutboxMessage.objects.filter(task=google_play.ACKNOWLEDGE, state="pending")
    return [jobs.run_message(message_id) for message_id in list(promised.values_list("id", flat=True))]


def acknowledged(play: FakeGooglePlay) -> list[str]:
    """What was acknowledged or consumed, request by request."""
    verbs = [each.path.rpartition(":")[2] for each in play.requests if each.method == "POST"]
    return [verb for verb in verbs if verb in ACKNOWLEDGEMENTS]


def tier(user: User) -> str:
    return Wallet.objects.get(pk=user.pk).tier_id


def row_of(token: str) -> Subscription:
    return Subscription.objects.get(external_id=token)


def test_a_pack_is_in_the_wallet_and_can_be_bought_again(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_product("credits_100", (899, "EUR"), account=user.pk)
    answer = verify(api_client(user), "credits_100", token)
    assert answer.status_code == 200
    payment = Payment.objects.get()
    assert answer.json() == {
        "payment": {
            "id": str(payment.id),
            "number": payment.number,
            "name": payment.name,
            "credits": "100",
            "amount": "8.99",
            "currency": "EUR",
            "paid_at": ANY,
        },
        "wallet": ANY,
    }
    assert answer.json()["wallet"]["purchased"] == "100"
    assert (payment.amount, payment.currency, payment.credits) == (899, "EUR", 100 * MICRO)
    assert acknowledged(play) == []
    assert run_acknowledgements() == [True]
    assert (acknowledged(play), play.products[token].is_consumed) == (["consume"], True)


def test_a_plan_gives_its_tier_and_its_bonus(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", (1189, "EUR"), account=user.pk, tax=190)
    answer = verify(api_client(user), "premium_monthly", token)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("state", "plan", "tier", "provider")} == {
        "state": "active",
        "plan": "premium_monthly",
        "tier": "premium",
        "provider": "google_play",
    }
    assert answer.json() == api_client(user).get("/api/v1/subscription/").json()
    assert (tier(user), buckets(user.pk)["bonus"]) == ("premium", (200, 0))
    run_acknowledgements()
    assert play.subscriptions[token].is_acknowledged


def test_a_free_trial_gives_the_tier_and_no_bonus(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk, trial_days=7)
    assert verify(api_client(user), "premium_monthly", token).json()["state"] == "trialing"
    assert (tier(user), buckets(user.pk)["bonus"]) == ("premium", (0, 0))
    run_acknowledgements()
    play.clock.advance(days=8)
    tell(play)
    assert (row_of(token).state, buckets(user.pk)["bonus"]) == ("active", (200, 0))


def test_a_plan_for_life_is_bought_once(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    plan = Plan.objects.create(
        slug="vip_for_life",
        name="For life",
        tier_id="vip",
        period="lifetime",
        price=19900,
        bonus_credits=MICRO,
    )
    token = play.buy_product(plan.slug, (19900, "USD"), account=user.pk)
    answer = verify(api_client(user), plan.slug, token)
    assert (answer.status_code, answer.json()["tier"], answer.json()["current_period_end"]) == (
        200,
        "vip",
        None,
    )
    assert (tier(user), buckets(user.pk)["bonus"]) == ("vip", (1, 0))
    run_acknowledgements()
    # Consumed, it could be bought again.
    assert (acknowledged(play), play.products[token].is_consumed) == (["acknowledge"], False)
    play.refund(token)
    tell(play)
    assert (tier(user), buckets(user.pk)["bonus"]) == ("free", (0, 0))


@pytest.mark.parametrize("product_id", ["credits_100", "premium_monthly"])
def test_m30_a_token_shown_20_times_at_once_gives_once(
    play: FakeGooglePlay, api_client: ApiClient, product_id: str
) -> None:
    user = make_user()
    token = _buy(play, product_id, user)
    clients = [api_client(user) for _ in range(20)]
    answers = in_parallel(*[lambda client=client: verify(client, product_id, token) for client in clients])
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 20
    assert Payment.objects.count() == 1
    assert LedgerTransaction.objects.filter(kind__in=["purchase", "plan"]).count() == 1
    assert OutboxMessage.objects.filter(task=google_play.ACKNOWLEDGE).count() == 1


@pytest.mark.parametrize("product_id", ["credits_100", "premium_monthly"])
def test_m30_a_token_of_another_account_is_refused(
    play: FakeGooglePlay, api_client: ApiClient, product_id: str
) -> None:
    user, thief = make_user(), make_user()
    token = _buy(play, product_id, user)
    answer = verify(api_client(thief), product_id, token)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert not Payment.objects.exists()
    assert not Subscription.objects.exists()
    assert not OutboxMessage.objects.filter(task=google_play.ACKNOWLEDGE).exists()
    assert verify(api_client(user), product_id, token).status_code == 200


@pytest.mark.parametrize("product_id", ["credits_100", "premium_monthly"])
def test_m30_a_token_of_nobody_belongs_to_the_first_who_shows_it(
    play: FakeGooglePlay, api_client: ApiClient, product_id: str
) -> None:
    token = _buy(play, product_id, None)
    clients = [api_client(make_user()) for _ in range(6)]
    answers = in_parallel(*[lambda client=client: verify(client, product_id, token) for client in clients])
    assert sorted(getattr(answer, "status_code", answer) for answer in answers) == [200] + [409] * 5
    assert Payment.objects.count() == 1
    owner = Payment.objects.get().user_id
    tell(play)
    assert Payment.objects.get().user_id == owner
    assert set(StoreEvent.objects.values_list("state", flat=True)) == {"applied"}


def test_m30_an_unknown_token_gives_nothing(play: FakeGooglePlay, api_client: ApiClient) -> None:
    client = api_client(make_user())
    other = play.buy_product("credits_10", (99, "USD"))
    plan = play.buy_subscription("premium_monthly")
    for product_id, token, field in [
        ("credits_100", "no.such-token", "purchase_token"),
        ("credits_100", "../../../etc", "purchase_token"),
        ("credits_100", other, "purchase_token"),
        ("vip_monthly", plan, "product_id"),
        ("gold_bars", other, "product_id"),
    ]:
        answer = verify(client, product_id, token)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert not Payment.objects.exists()
    assert not Subscription.objects.exists()


def test_a_testers_purchase_counts_only_where_the_operator_says_so(
    play: FakeGooglePlay, api_client: ApiClient, settings: Any
) -> None:
    user = make_user()
    token = play.buy_product("credits_10", (99, "USD"), account=user.pk, is_test=True)
    client = api_client(user)
    answer = verify(client, "credits_10", token)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "test_purchase")
    tell(play)
    assert StoreEvent.objects.get().state == "ignored"
    assert not Payment.objects.exists()
    settings.GOOGLE_PLAY_TEST_PURCHASES = True
    assert verify(client, "credits_10", token).status_code == 200


def test_without_google_play_there_is_nothing_to_verify(api_client: ApiClient) -> None:
    assert verify(api_client(make_user()), "credits_10", "token").status_code == 404


def test_google_away_is_no_answer(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_product("credits_10", (99, "USD"), account=user.pk)
    client = api_client(user)
    play.fail_next("GET", "/purchases/products", "500")
    answer = verify(client, "credits_10", token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert not Payment.objects.exists()
    assert verify(client, "credits_10", token).status_code == 200


@pytest.mark.parametrize("product_id", ["credits_100", "premium_monthly"])
def test_m30_what_is_not_paid_gives_nothing_until_it_is(
    play: FakeGooglePlay, api_client: ApiClient, product_id: str
) -> None:
    user = make_user()
    token = _buy(play, product_id, user, pending=True)
    client = api_client(user)
    for _ in range(2):
        answer = verify(client, product_id, token)
        assert (answer.status_code, answer.json()) == (202, {"state": "pending"})
    assert not Payment.objects.exists()
    assert Wallet.objects.filter(user_id=user.pk, tier_id="premium").count() == 0
    play.settle_pending(token)
    tell(play)
    assert verify(client, product_id, token).status_code == 200
    assert Payment.objects.count() == 1
    assert run_acknowledgements() == [True]


def test_m30_a_pending_purchase_that_failed_gives_nothing(
    play: FakeGooglePlay, api_client: ApiClient
) -> None:
    user = make_user()
    token = play.buy_product("credits_100", (899, "USD"), account=user.pk, pending=True)
    plan = play.buy_subscription("premium_monthly", account=user.pk, pending=True)
    client = api_client(user)
    verify(client, "premium_monthly", plan)
    play.settle_pending(token, ok=False)
    play.settle_pending(plan, ok=False)
    tell(play)
    answer = verify(client, "credits_100", token)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_paid")
    assert verify(client, "premium_monthly", plan).json()["state"] == "expired"
    assert not Payment.objects.exists()
    assert tier(user) == "free"


@pytest.mark.parametrize("product_id", ["credits_100", "premium_monthly"])
def test_m30_refunded_before_it_was_acknowledged(
    play: FakeGooglePlay, api_client: ApiClient, product_id: str
) -> None:
    user = make_user()
    token = _buy(play, product_id, user)
    play.refund(token)
    assert verify(api_client(user), product_id, token).status_code == 200
    tell(play)
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.tier_id, wallet.purchased_balance, wallet.bonus_balance, wallet.debt) == ("free", 0, 0, 0)
    assert (Payment.objects.get().returned, Refund.objects.count()) == (Payment.objects.get().amount, 1)
    assert run_acknowledgements() == []


def test_a_purchase_refunded_while_its_acknowledgement_waits_is_not_tried_for_ever(
    play: FakeGooglePlay, api_client: ApiClient
) -> None:
    user = make_user()
    token = play.buy_product("credits_100", (899, "USD"), account=user.pk)
    verify(api_client(user), "credits_100", token)
    play.refund(token)
    assert run_acknowledgements() == [True]
    assert not play.products[token].is_consumed


@pytest.mark.parametrize("product_id", ["credits_100", "premium_monthly"])
def test_m30_a_void_takes_once(play: FakeGooglePlay, api_client: ApiClient, product_id: str) -> None:
    user = make_user()
    token = _buy(play, product_id, user)
    verify(api_client(user), product_id, token)
    run_acknowledgements()
    play.charge_back(token)
    for _ in range(3):
        tell(play)
        google_play.look_for_voided()
        apply_waiting()
    wallet = Wallet.objects.get(pk=user.pk)
    assert (wallet.tier_id, wallet.purchased_balance, wallet.bonus_balance, wallet.debt) == ("free", 0, 0, 0)
    assert Refund.objects.count() == 1


def test_a_void_nobody_told_of_is_found(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_product("credits_100", (899, "USD"), account=user.pk)
    verify(api_client(user), "credits_100", token)
    play.refund(token)
    play.fail_next("GET", "/purchases/voidedpurchases", "500")
    assert [google_play.look_for_voided() for _ in range(3)] == [0, 1, 0]
    assert apply_waiting() == ["applied"]
    assert buckets(user.pk)["purchased"] == (0, 0)


def test_the_life_of_a_subscription(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk)
    verify(api_client(user), "premium_monthly", token)
    run_acknowledgements()
    steps: list[tuple[Callable[[], Any], str, str]] = [
        (lambda: play.cancel(token), "cancelled", "premium"),
        (lambda: play.resume(token), "active", "premium"),
        (lambda: play.fail_renewal(token), "grace", "premium"),
        (lambda: play.recover(token), "active", "premium"),
        (lambda: play.pause(token), "on_hold", "free"),
        (lambda: play.resume(token), "active", "premium"),
        (lambda: play.expire(token), "expired", "free"),
    ]
    for step, state, expected in steps:
        step()
        tell(play)
        assert (row_of(token).state, tier(user)) == (state, expected)
    # Bought, recovered, gone on after the pause: three orders were paid.
    assert (Payment.objects.count(), buckets(user.pk)["bonus"]) == (3, (600, 0))
    states = row_of(token).events.order_by("number").values_list("to_state", flat=True)
    assert list(states) == ["active", *(state for _, state, _ in steps)]


def test_on_hold_gives_nothing_until_the_card_is_replaced(
    play: FakeGooglePlay, api_client: ApiClient
) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk)
    verify(api_client(user), "premium_monthly", token)
    run_acknowledgements()
    play.fail_renewal(token)
    play.clock.advance(days=3, seconds=1)
    tell(play)
    assert (row_of(token).state, tier(user)) == ("on_hold", "free")
    play.recover(token)
    tell(play)
    assert (row_of(token).state, tier(user)) == ("active", "premium")


def test_renewals_nobody_told_of_are_booked(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk)
    verify(api_client(user), "premium_monthly", token)
    run_acknowledgements()
    play.clock.advance(days=100)
    assert renewals.look_at_due(now=play.clock.now()) == 0
    assert (row_of(token).state, Payment.objects.count()) == ("active", 4)
    assert buckets(user.pk)["bonus"] == (800, 0)
    tell(play)
    assert Payment.objects.count() == 4


def test_an_earlier_renewal_that_is_refunded_takes_its_own_bonus(
    play: FakeGooglePlay, api_client: ApiClient
) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk)
    verify(api_client(user), "premium_monthly", token)
    run_acknowledgements()
    play.clock.advance(days=70)
    tell(play)
    play.refund_partly(play.subscriptions[token].orders[0].order_id, 999)
    play.voided.append(
        {
            "purchaseToken": token,
            "orderId": play.subscriptions[token].orders[0].order_id,
            "voidedTimeMillis": str(int(play.clock.now().timestamp() * 1000)),
            "voidedQuantity": 1,
        }
    )
    google_play.look_for_voided(now=play.clock.now())
    apply_waiting()
    assert (buckets(user.pk)["bonus"], row_of(token).state) == ((400, 0), "active")


@pytest.mark.parametrize("is_told_late", [False, True])
def test_an_upgrade_moves_the_right_and_gives_what_was_paid(
    play: FakeGooglePlay, api_client: ApiClient, is_told_late: bool
) -> None:
    user = make_user()
    old = play.buy_subscription("premium_monthly", account=user.pk)
    if not is_told_late:
        verify(api_client(user), "premium_monthly", old)
        run_acknowledgements()
    new = play.buy_subscription("vip_monthly", (2999, "USD"), replaces=old)
    verify(api_client(user), "vip_monthly", new)
    tell(play)
    assert (row_of(old).state, row_of(old).replaced_by, row_of(new).state) == (
        "expired",
        row_of(new),
        "active",
    )
    assert (tier(user), buckets(user.pk)["bonus"]) == ("vip", (1200, 0))
    assert Payment.objects.count() == 2


def test_an_upgrade_of_somebody_elses_plan_is_refused(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    old = play.buy_subscription("premium_monthly", account=user.pk)
    verify(api_client(user), "premium_monthly", old)
    new = play.buy_subscription("vip_monthly", (2999, "USD"), replaces=old)
    assert verify(api_client(make_user()), "vip_monthly", new).status_code == 409
    tell(play)
    assert (tier(user), row_of(new).user_id) == ("vip", user.pk)


def test_an_acknowledgement_is_tried_until_it_works(play: FakeGooglePlay, api_client: ApiClient) -> None:
    user = make_user()
    token = play.buy_product("credits_100", (899, "USD"), account=user.pk)
    verify(api_client(user), "credits_100", token)
    for _ in range(3):
        play.fail_next("POST", "/purchases/products", "500")
    assert [run_acknowledgements() for _ in range(4)] == [[False], [False], [False], [True]]
    assert play.products[token].is_consumed
    assert buckets(user.pk)["purchased"] == (100, 0)


def test_an_acknowledgement_that_was_given_up_is_tried_again(
    play: FakeGooglePlay, api_client: ApiClient
) -> None:
    user = make_user()
    token = play.buy_product("credits_100", (899, "USD"), account=user.pk)
    verify(api_client(user), "credits_100", token)
    OutboxMessage.objects.filter(task=google_play.ACKNOWLEDGE).update(state="failed", attempts=12)
    assert run_acknowledgements() == []
    assert google_play.retry_acknowledgements() == 1
    assert run_acknowledgements() == [True]
    assert play.products[token].is_consumed


def test_a_crash_between_grant_and_acknowledgement_loses_neither(
    play: FakeGooglePlay, api_client: ApiClient
) -> None:
    user = make_user()
    token = play.buy_subscription("premium_monthly", account=user.pk)
    verify(api_client(user), "premium_monthly", token)
    assert not play.subscriptions[token].is_acknowledged
    # The process is gone here; what it promised is in the database.
    OutboxMessage.objects.update(available_at=database.clock())
    jobs.run_due_messages()
    assert play.subscriptions[token].is_acknowledged
    play.clock.advance(days=4)
    tell(play)
    assert (row_of(token).state, tier(user)) == ("active", "premium")


def test_m31_only_google_may_push(play: FakeGooglePlay) -> None:
    user = make_user()
    play.buy_product("credits_100", (899, "USD"), account=user.pk)
    notification = play.notifications[0]
    stranger = generate_private_key(65537, 2048)
    forged = [
        "",
        "Bearer ",
        "Bearer nonsense",
        f"Basic {play.push_token(AUDIENCE)}",
        f"Bearer {play.push_token('https://elsewhere.example/')}",
        f"Bearer {play.push_token(AUDIENCE, email='somebody@example.com')}",
        f"Bearer {play.push_token(AUDIENCE, key=stranger)}",
        f"Bearer {play.push_token(AUDIENCE, exp=1)}",
        f"Bearer {play.push_token(AUDIENCE, iss='https://evil.example')}",
    ]
    assert [push(play, notification, header) for header in forged] == [401] * len(forged)
    assert not StoreEvent.objects.exists()
    assert push(play, notification) == 200
    assert StoreEvent.objects.count() == 1


def test_a_push_about_another_app_is_refused(play: FakeGooglePlay) -> None:
    play.buy_product("credits_100", (899, "USD"))
    assert push(play, {**play.notifications[0], "packageName": "app.other"}) == 400
    assert not StoreEvent.objects.exists()


def test_a_push_waits_for_googles_keys(play: FakeGooglePlay, settings: Any) -> None:
    play.buy_product("credits_100", (899, "USD"))
    settings.GOOGLE_PLAY_CERTS_URL = f"{play.api_base}/nothing-here"
    assert push(play, play.notifications[0]) == 503
    assert not StoreEvent.objects.exists()


def test_pushes_without_google_play_are_not_expected(settings: Any) -> None:
    assert Client().post("/webhooks/google-play/", "{}", content_type="application/json").status_code == 404


def test_a_test_of_google_is_answered_and_forgotten(play: FakeGooglePlay) -> None:
    assert push(play, play.add_test_notification()) == 200
    assert not StoreEvent.objects.exists()


def test_a_push_that_comes_again_is_applied_once(play: FakeGooglePlay) -> None:
    user = make_user()
    play.buy_product("credits_100", (899, "USD"), account=user.pk)
    notification = play.notifications[0]
    answers = in_parallel(*[lambda: push(play, notification)] * 20)
    assert answers == [200] * 20
    assert StoreEvent.objects.count() == 1
    apply_waiting()
    assert buckets(user.pk)["purchased"] == (100, 0)


def test_a_push_about_nobody_of_ours_is_ignored(play: FakeGooglePlay) -> None:
    play.buy_product("credits_100", (899, "USD"))
    play.buy_product("credits_100", (899, "USD"), account="0f1e2d3c-4b5a-4968-8776-655443322110")
    play.buy_subscription("premium_monthly", account="not-a-user")
    tell(play)
    assert set(StoreEvent.objects.values_list("state", flat=True)) == {"ignored"}
    assert not Payment.objects.exists()


def test_a_push_while_google_is_away_is_tried_again(play: FakeGooglePlay) -> None:
    user = make_user()
    play.buy_product("credits_100", (899, "USD"), account=user.pk)
    play.fail_next("GET", "/purchases/products", "500")
    assert push(play, play.notifications[0]) == 200
    assert apply_waiting() == ["failed"]
    assert not Payment.objects.exists()
    assert apply_waiting() == ["applied"]
    assert buckets(user.pk)["purchased"] == (100, 0)


def test_every_order_of_notifications_ends_in_the_same_rows(play: FakeGooglePlay) -> None:
    """Bought, cancelled, restarted, upgraded: four notifications, told in every order, each twice."""
    endings = set()
    for order in permutations(range(4)):
        user = make_user()
        play.notifications.clear()
        old = play.buy_subscription("premium_monthly", account=user.pk)
        play.cancel(old)
        play.resume(old)
        new = play.buy_subscription("vip_monthly", (2999, "USD"), account=user.pk, replaces=old)
        told = [each for each in play.notifications if _kind(each) != 13]
        assert [_kind(each) for each in told] == [4, 3, 7, 4]
        for number in [*order, *reversed(order)]:
            assert push(play, told[number]) == 200
            apply_waiting()
        endings.add(_ending(user, {old: "old", new: "new"}))
    assert len(endings) == 1
    assert next(iter(endings)) == (
        "vip",
        1200 * MICRO,
        (("new", "active", "vip_monthly", False), ("old", "expired", "premium_monthly", True)),
        (("premium_monthly", 999, 200 * MICRO, 0), ("vip_monthly", 2999, 1000 * MICRO, 0)),
    )


def test_a_refund_told_in_every_order_takes_once(play: FakeGooglePlay) -> None:
    endings = set()
    for order in permutations(range(4)):
        user = make_user()
        play.notifications.clear()
        token = play.buy_subscription("premium_monthly", account=user.pk)
        play.cancel(token)
        play.refund(token)
        told = list(play.notifications)
        assert len(told) == 4
        for number in order:
            assert push(play, told[number]) == 200
        apply_waiting()
        endings.add(_ending(user, {token: "it"}))
    assert endings == {
        (
            "free",
            0,
            (("it", "expired", "premium_monthly", False),),
            (("premium_monthly", 999, 200 * MICRO, 200 * MICRO),),
        )
    }


def _kind(notification: dict[str, Any]) -> int:
    number: int = notification["subscriptionNotification"]["notificationType"]
    return number


def _ending(user: User, names: dict[str, str]) -> tuple[Any, ...]:
    wallet = Wallet.objects.get(pk=user.pk)
    rows = Subscription.objects.filter(user=user)
    payments = Payment.objects.filter(user=user).select_related("subscription")
    return (
        wallet.tier_id,
        wallet.bonus_balance,
        tuple(
            sorted(
                (names[row.external_id], row.state, row.plan_id, row.replaced_by_id is not None)
                for row in rows
            )
        ),
        tuple(
            sorted(
                (
                    str(each.subscription and each.subscription.plan_id),
                    each.amount,
                    each.credits,
                    each.credits_returned,
                )
                for each in payments
            )
        ),
    )


def _buy(play: FakeGooglePlay, product_id: str, user: User | None, *, pending: bool = False) -> str:
    account = user.pk if user is not None else None
    if product_id == "premium_monthly":
        return play.buy_subscription(product_id, account=account, pending=pending)
    return play.buy_product(product_id, (899, "USD"), account=account, pending=pending)
