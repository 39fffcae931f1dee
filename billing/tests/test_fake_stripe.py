"""The fake shop, asked through Stripe's own client."""

import http.client
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stripe

from billing.stores.fake_stripe import FakeStripe

SECRET = "whsec_parlor"
SUCCESS = "https://parlor.example/done?session={CHECKOUT_SESSION_ID}"


def client_of(shop):
    return stripe.StripeClient("sk_test_parlor", base_addresses={"api": shop.api_base}, max_network_retries=0)


@pytest.fixture
def shop():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture
def client(shop):
    return client_of(shop)


class Receiver:
    """A webhook endpoint that answers with the planned statuses, then 200."""

    def __init__(self):
        self.received, self.statuses = [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((body, self.headers["Stripe-Signature"]))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook/"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def types(self, *, secret=SECRET):
        return [stripe.Webhook.construct_event(*got, secret).type for got in self.received]


def types(shop):
    return [event["type"] for event in shop.events]


def pack(client, **extra):
    line = {
        "price_data": {"currency": "usd", "unit_amount": 1000, "product_data": {"name": "Pack <b>"}},
        "quantity": 1,
    }
    params = {
        "mode": "payment",
        "line_items": [line],
        "success_url": SUCCESS,
        "cancel_url": "https://parlor.example/back",
        "client_reference_id": "order-1",
        "payment_intent_data": {"metadata": {"order": "1"}},
    }
    return client.v1.checkout.sessions.create(params | extra)


def price(client, amount, interval="month", name="Plus"):
    product = client.v1.products.create({"name": name})
    return client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": amount,
            "recurring": {"interval": interval},
            "product": product.id,
        }
    )


def subscribe(shop, client, plan=None, card="4242424242424242", promotion_code="", **extra):
    plan = plan or price(client, 1000)
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": plan.id, "quantity": 1}],
            "success_url": SUCCESS,
            **extra,
        }
    )
    shop.pay(session.id, card=card, promotion_code=promotion_code, authenticate="complete")
    session = client.v1.checkout.sessions.retrieve(session.id)
    assert session.status == "complete"
    return client.v1.subscriptions.retrieve(session.subscription)


def paid_intent(shop, client):
    session = pack(client)
    shop.pay(session.id)
    return client.v1.checkout.sessions.retrieve(session.id).payment_intent


def item(subscription):
    return subscription["items"].data[0]


def invoices(client, subscription):
    return client.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data


def test_pays_for_a_pack(shop, client):
    session = pack(client)

    assert shop.pay(session.id) == SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id)

    paid = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge.balance_transaction", "line_items"]}
    )
    assert (paid.status, paid.payment_status, paid.amount_total) == ("complete", "paid", 1000)
    assert paid.payment_intent.metadata.order == "1"
    assert paid.payment_intent.latest_charge.balance_transaction.amount == 1000
    assert paid.line_items.data[0].description == "Pack <b>"
    assert types(shop)[-4:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_double_submit_pays_once(shop, client):
    session = pack(client)
    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(lambda _: shop.pay(session.id), range(4)))
    assert len(client.v1.charges.list({}).data) == 1
    assert SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id) in urls


@pytest.mark.parametrize("card", ["4000000000000002", "4000000000009995"])
def test_declined_card_leaves_the_session_open(shop, client, card):
    session = pack(client)
    assert shop.pay(session.id, card=card) == session.url
    still = client.v1.checkout.sessions.retrieve(session.id)
    assert (still.status, still.payment_status) == ("open", "unpaid")
    assert types(shop)[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    shop.pay(session.id)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


@pytest.mark.parametrize(("answer", "status"), [("complete", "paid"), ("fail", "unpaid")])
def test_three_d_secure(shop, client, answer, status):
    session = pack(client)
    assert "/c/3ds/pi_" in shop.pay(session.id, card="4000000000003220")
    shop.pay(session.id, card="4000000000003220", authenticate=answer)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == status


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "paid"), ("failed", "unpaid")])
def test_bank_transfer_settles_later(shop, client, outcome, status):
    session = pack(client)
    shop.pay(session.id, card="sepa")
    waiting = client.v1.checkout.sessions.retrieve(session.id)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    shop.settle_async(session.id, outcome)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == status
    assert types(shop)[-1] == f"checkout.session.async_payment_{outcome}"


def test_session_expires_after_a_day(shop, client):
    session = pack(client)
    shop.clock.advance(hours=25)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert types(shop)[-1] == "checkout.session.expired"
    assert shop.pay(session.id).endswith(session.id)


def test_one_key_has_one_effect_under_twenty_threads(client):
    def create(_):
        return client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "one"}).id

    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(create, range(20)))
    assert len(ids) == 1
    assert len(client.v1.customers.list({}).data) == 1
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({"email": "b@example.com"}, {"idempotency_key": "one"})


@pytest.mark.parametrize("key", ["sk_test_wrong", "sk_live_parlor"])
def test_refuses_other_keys(shop, key):
    stranger = stripe.StripeClient(key, base_addresses={"api": shop.api_base}, max_network_retries=0)
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.customers.create({})


def test_lists_page_both_ways(client):
    ids = [client.v1.customers.create({}).id for _ in range(5)]
    first = client.v1.customers.list({"limit": 2})
    assert ([c.id for c in first.data], first.has_more) == ([ids[4], ids[3]], True)
    rest = client.v1.customers.list({"limit": 3, "starting_after": ids[3]})
    assert ([c.id for c in rest.data], rest.has_more) == ([ids[2], ids[1], ids[0]], False)
    back = client.v1.customers.list({"limit": 1, "ending_before": ids[1]})
    assert ([c.id for c in back.data], back.has_more) == ([ids[2]], True)
    assert client.v1.customers.list({"created": {"gte": 2**40}}).data == []


def test_trial_then_three_renewals(shop, client):
    subscription = subscribe(
        shop, client, subscription_data={"trial_period_days": 7, "metadata": {"user": "u1"}}
    )
    assert (subscription.status, subscription.metadata.user) == ("trialing", "u1")
    assert [invoice.amount_due for invoice in invoices(client, subscription)] == [0]
    shop.clock.advance(days=7 + 31 + 31)
    found = invoices(client, subscription)
    assert [invoice.billing_reason for invoice in found] == ["subscription_cycle"] * 3 + [
        "subscription_create"
    ]
    assert [invoice.status for invoice in found] == ["paid"] * 4
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert types(shop).count("customer.subscription.trial_will_end") == 1
    periods = [(i.lines.data[0].period.start, i.lines.data[0].period.end) for i in found]
    assert all(later[0] == earlier[1] for later, earlier in itertools.pairwise(periods))


def test_failing_renewal_is_retried_and_then_ends(shop, client):
    subscription = subscribe(shop, client, card="4000000000000341")
    shop.clock.advance(days=31)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    shop.clock.advance(days=8)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert types(shop).count("invoice.payment_failed") == 5
    assert types(shop)[-1] == "customer.subscription.deleted"


def test_new_card_saves_a_failing_renewal(shop, client):
    subscription = subscribe(shop, client)
    shop.set_default_card(subscription.customer, "4000000000000341")
    shop.clock.advance(days=31)
    shop.set_default_card(subscription.customer, "4242424242424242")
    shop.clock.advance(days=2)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert invoices(client, subscription)[0].status == "paid"


@pytest.mark.parametrize("interval", ["month", "year"])
def test_upgrade_costs_what_the_preview_said(shop, client, interval):
    subscription = subscribe(shop, client)
    better = price(client, 3000, interval, "Pro")
    shop.clock.advance(days=11)
    at = shop.clock.now()
    change = {
        "items": [{"id": item(subscription).id, "price": better.id}],
        "proration_behavior": "always_invoice",
        "proration_date": at,
    }
    preview = client.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": change}
    )
    changed = client.v1.subscriptions.update(
        subscription.id, {**change, "expand": ["latest_invoice.payments"]}
    )
    made = changed.latest_invoice
    assert (made.total, made.amount_due) == (preview.total, preview.amount_due)
    assert [line.amount for line in made.lines.data] == [line.amount for line in preview.lines.data]
    assert made.lines.data[0].amount < 0 < made.total
    assert made.payments.data[0].payment.payment_intent.startswith("pi_")
    assert (made.status, made.billing_reason) == ("paid", "subscription_update")
    assert item(changed).price.id == better.id
    assert (item(changed).current_period_start == at) == (interval == "year")


def test_balance_credit_pays_the_renewal(shop, client):
    subscription = subscribe(shop, client)
    client.v1.customers.update(subscription.customer, {"balance": -400})
    shop.clock.advance(days=31)
    newest = invoices(client, subscription)[0]
    assert (newest.total, newest.starting_balance, newest.amount_due, newest.ending_balance) == (
        1000,
        -400,
        600,
        0,
    )


def test_downgrade_by_schedule(shop, client):
    subscription = subscribe(shop, client, price(client, 3000, name="Pro"))
    lower = price(client, 1000)
    schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
    now = schedule.phases[0]
    phases = [
        {
            "items": [{"price": now["items"][0].price, "quantity": 1}],
            "start_date": now.start_date,
            "end_date": now.end_date,
        },
        {"items": [{"price": lower.id, "quantity": 1}], "duration": {"interval": "month"}},
    ]
    client.v1.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    shop.clock.advance(days=32)
    assert invoices(client, subscription)[0].total == 1000
    assert item(client.v1.subscriptions.retrieve(subscription.id)).price.id == lower.id
    shop.clock.advance(days=31)
    assert client.v1.subscription_schedules.retrieve(schedule.id).status == "released"
    assert client.v1.subscriptions.retrieve(subscription.id).schedule is None


def test_cancel_and_resume(shop, client):
    subscription = subscribe(shop, client)
    ending = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert ending.cancel_at == item(ending).current_period_end
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    shop.clock.advance(days=31)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    shop.clock.advance(days=31)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert client.v1.subscriptions.list({"customer": subscription.customer}).data == []


def test_cancel_now_credits_unused_time(shop, client):
    subscription = subscribe(shop, client)
    client.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    assert -1000 <= client.v1.customers.retrieve(subscription.customer).balance <= -999


def test_promotion_codes(shop, client):
    shop.create_promotion_code("HALF", percent_off=50)
    session = pack(client, allow_promotion_codes=True)
    assert shop.pay(session.id, promotion_code="nope") == session.url
    shop.pay(session.id, promotion_code="half")
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.amount_total, paid.total_details.amount_discount) == (500, 500)
    (code,) = client.v1.promotion_codes.list({"code": "HALF", "expand": ["data.promotion.coupon"]}).data
    assert (code.times_redeemed, code.promotion.coupon.percent_off) == (1, 50)


def test_free_purchase_needs_no_card(shop, client):
    code = shop.create_promotion_code("FREE", percent_off=100)
    session = pack(client, discounts=[{"promotion_code": code["id"]}])
    shop.pay(session.id, card="")
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.status, paid.payment_status, paid.payment_intent) == (
        "complete",
        "no_payment_required",
        None,
    )


def test_discount_once_is_for_the_first_invoice(shop, client):
    shop.create_promotion_code("HALF", percent_off=50)
    subscription = subscribe(shop, client, promotion_code="HALF", allow_promotion_codes=True)
    shop.clock.advance(days=31)
    assert [invoice.total for invoice in invoices(client, subscription)] == [1000, 500]


def test_refunds_in_parts_and_not_too_much(shop, client):
    intent = paid_intent(shop, client)
    client.v1.refunds.create({"payment_intent": intent, "amount": 400, "reason": "requested_by_customer"})
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        client.v1.refunds.create({"payment_intent": intent, "amount": 601})
    assert too_much.value.param == "amount"
    shop.refund(intent)
    with pytest.raises(stripe.InvalidRequestError) as again:
        client.v1.refunds.create({"payment_intent": intent})
    assert again.value.code == "charge_already_refunded"
    (charge,) = client.v1.charges.list({"payment_intent": intent}).data
    assert (charge.amount_refunded, charge.refunded) == (1000, True)
    rows = client.v1.balance_transactions.list({"type": "refund"}).data
    assert sorted(row.amount for row in rows) == [-600, -400]
    assert types(shop)[-2:] == ["charge.refunded", "refund.created"]


@pytest.mark.parametrize(("outcome", "total"), [("won", 0), ("lost", -1000)])
def test_disputes(shop, client, outcome, total):
    intent = paid_intent(shop, client)
    dispute = shop.open_dispute(intent)
    shop.close_dispute(dispute["id"], outcome)
    assert client.v1.disputes.retrieve(dispute["id"]).status == outcome
    rows = client.v1.balance_transactions.list({"source": dispute["id"]}).data
    assert sum(row.amount for row in rows) == total
    assert types(shop)[-1] == "charge.dispute.closed"


def test_mobile_sheet_pays_an_intent(shop, client):
    customer = client.v1.customers.create({})
    key = client.v1.ephemeral_keys.create({"customer": customer.id}, {"stripe_version": "2026-10-28.endive"})
    assert key.secret.startswith("ek_test_")
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd", "customer": customer.id})
    assert (
        shop.confirm_payment_intent(intent.id, card="4000000000000002")["status"] == "requires_payment_method"
    )
    shop.confirm_payment_intent(intent.id)
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_webhooks_are_signed_and_sent_again():
    with Receiver() as receiver, FakeStripe(webhook_url=receiver.url) as shop:
        receiver.statuses = [500, 503]
        client_of(shop).v1.customers.create({})
        shop.wait_delivered()
        assert receiver.types() == ["customer.created"] * 3
        assert shop.events[0]["pending_webhooks"] == 0
        with pytest.raises(stripe.SignatureVerificationError):
            receiver.types(secret="whsec_other")


def test_held_events_go_out_in_any_order_and_twice():
    with Receiver() as receiver, FakeStripe(webhook_url=receiver.url) as shop:
        shop.deliveries = "hold"
        paid_intent(shop, client_of(shop))
        assert receiver.received == []
        made = shop.events
        shop.deliver_all(order=[event["id"] for event in reversed(made)])
        assert receiver.types() == [event["type"] for event in reversed(made)]
        assert shop.deliver(made[0]["id"], copies=2) == [200, 200]
        shop.deliver(made[0]["id"], timestamp_offset=-900)
        with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
            receiver.types()


@pytest.mark.parametrize(
    ("kind", "error", "count"),
    [
        ("500", stripe.APIError, 0),
        ("429", stripe.RateLimitError, 0),
        ("reset", stripe.APIConnectionError, 0),
        ("timeout_after", stripe.APIConnectionError, 1),
    ],
)
def test_faults(shop, client, kind, error, count):
    shop.fail_next("POST", "/v1/customers", kind)
    with pytest.raises(error):
        client.v1.customers.create({}, {"idempotency_key": "k"})
    assert len(client.v1.customers.list({}).data) == count
    client.v1.customers.create({}, {"idempotency_key": "k"})
    assert len(client.v1.customers.list({}).data) == 1
    assert [request.idempotency_key for request in shop.requests if request.method == "POST"] == ["k", "k"]


def test_a_file_survives_a_restart(tmp_path):
    path = tmp_path / "shop.sqlite3"
    with FakeStripe(path=path) as shop:
        session = pack(client_of(shop))
        shop.clock.advance(hours=1)
    with FakeStripe(path=path) as shop:
        client = client_of(shop)
        assert client.v1.checkout.sessions.retrieve(session.id).url.startswith(shop.api_base)
        shop.pay(session.id)
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
        assert shop.clock.now() - session.created >= 3600


def page(shop, method, path, body=""):
    connection = http.client.HTTPConnection(shop.api_base.removeprefix("http://"))
    try:
        connection.request(method, path, body)
        with connection.getresponse() as response:
            return response.status, response.read().decode()
    finally:
        connection.close()


def test_pages_escape_and_refuse_forms_from_elsewhere(shop, client):
    session = pack(client)
    status, html = page(shop, "GET", f"/c/pay/{session.id}")
    assert (status, "Pack &lt;b&gt;" in html, "no real money moves" in html) == (200, True, True)
    assert page(shop, "POST", f"/c/pay/{session.id}", "do=pay&card=4242424242424242&token=x")[0] == 403
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_portal_cancels_keeps_and_shows_invoices(shop, client):
    subscription = subscribe(shop, client)
    portal = client.v1.billing_portal.sessions.create(
        {"customer": subscription.customer, "return_url": "https://parlor.example/plan"}
    )
    path = portal.url.removeprefix(shop.api_base)
    _, html = page(shop, "GET", path)
    assert "Cancel plan" in html
    assert "https://parlor.example/plan" in html
    token = html.split('name="token" value="')[1].split('"')[0]
    form = f"token={token}&subscription={subscription.id}"
    assert page(shop, "POST", path, f"{form}&do=cancel")[0] == 303
    assert client.v1.subscriptions.retrieve(subscription.id).cancel_at_period_end is True
    assert page(shop, "POST", path, f"{form}&do=keep")[0] == 303
    assert client.v1.subscriptions.retrieve(subscription.id).cancel_at_period_end is False
    (invoice,) = invoices(client, subscription)
    assert page(shop, "GET", f"/i/{invoice.id}")[0] == 200


def test_invoice_is_found_by_its_payment(shop, client):
    subscription = subscribe(shop, client)
    (invoice,) = invoices(client, subscription)
    (payment,) = client.v1.invoice_payments.list({"invoice": invoice.id}).data
    wanted = {"payment": {"type": "payment_intent", "payment_intent": payment.payment.payment_intent}}
    assert client.v1.invoice_payments.list(wanted).data[0].invoice == invoice.id
    assert invoice.parent.subscription_details.subscription == subscription.id


def test_a_failed_question_of_the_bank_can_be_followed_by_another_card(shop, client):
    session = pack(client)
    step = shop.pay(session.id, card="4000000000003220").removeprefix(shop.api_base)
    token = page(shop, "GET", step)[1].split('name="token" value="')[1].split('"')[0]
    status, html = page(shop, "POST", step, f"token={token}&do=fail")
    assert status == 402
    assert f'action="{session.url}"' in html
    shop.pay(session.id)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert len(client.v1.payment_intents.list({}).data) == 1


def test_tax_is_charged_on_top(shop, client):
    shop.world.tax_percent = 20
    subscription = subscribe(shop, client, automatic_tax={"enabled": True})
    (invoice,) = invoices(client, subscription)
    assert (invoice.total, invoice.total_excluding_tax, invoice.amount_paid) == (1200, 1000, 1200)
    assert [tax.amount for tax in invoice.total_taxes] == [200]


def test_pages_live_under_a_prefix():
    with FakeStripe(public_base="http://localhost:8000/sandbox/") as shop:
        client = client_of(shop)
        session = pack(client)
        assert session.url == f"http://localhost:8000/sandbox/c/pay/{session.id}"
        assert shop.pay(session.id, card="4000000000003220").startswith(
            "http://localhost:8000/sandbox/c/3ds/pi_"
        )
        shop.pay(session.id, card="4000000000003220", authenticate="complete")
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
