"""Receipts as page, PDF and mail: the same words and amounts, for who paid and nobody else."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client
from pypdf import PdfReader

from accounts.models import User
from billing import tasks
from billing.models import Order, Payment, Plan, Refund, Subscription
from billing.services import management
from billing.tests.factories import capture, reserve
from billing.tests.shop import Shop, make_buyer, open_shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    settings.BILLING_SELLER = "The Parlor Company | 1 Ember Street | Helsinki"
    with open_shop(settings) as opened:
        yield opened


@pytest.fixture
def buyer() -> User:
    return make_buyer(display_name="Ada", time_zone="Europe/Helsinki")


def visit(user: User, path: str) -> Any:
    client = Client()
    client.force_login(user)
    return client.get(path)


def words_of(pdf: bytes) -> str:
    reader = PdfReader(BytesIO(pdf))
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in reader.pages))


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


def test_a_receipt_says_the_same_on_the_page_in_the_pdf_and_in_the_mail(shop: Shop, buyer: User) -> None:
    shop.buy(buyer, pack="credits_100")
    payment = Payment.objects.get()
    Payment.objects.filter(pk=payment.pk).update(document_url="https://store.example/receipt")
    page = visit(buyer, f"/wallet/receipts/{payment.pk}/").content.decode()
    answer = visit(buyer, f"/wallet/receipts/{payment.pk}/receipt.pdf")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert "no-store" in answer.headers["Cache-Control"]
    pdf = words_of(answer.content)
    (message,) = mail.outbox
    assert message.to == [buyer.email]
    assert str(message.subject) == "Your receipt for 100 credits"
    for said in (payment.number, "100 credits", "8.99 USD", "0.00 USD"):
        assert said in page
        assert said in pdf
        assert said in message.body
    for said in ("The Parlor Company", "1 Ember Street", "Ada", str(buyer.email)):
        assert said in page
        assert said in pdf
    assert "https://store.example/receipt" in page
    assert f"/wallet/receipts/{payment.pk}/receipt.pdf" in message.body


def test_a_receipt_is_mailed_once_however_often_it_is_asked_for(shop: Shop, buyer: User) -> None:
    shop.buy(buyer, pack="credits_10")
    payment = Payment.objects.get()
    for _ in range(3):
        tasks.mail_receipt(payment_id=str(payment.pk))
    assert subjects() == ["Your receipt for 10 credits"]


def test_a_receipt_is_nobody_elses(shop: Shop, buyer: User) -> None:
    shop.buy(buyer, pack="credits_10")
    payment = Payment.objects.get()
    stranger = make_buyer()
    for path in (f"/wallet/receipts/{payment.pk}/", f"/wallet/receipts/{payment.pk}/receipt.pdf"):
        assert visit(stranger, path).status_code == 404
        assert visit(buyer, path.replace(str(payment.pk), str(uuid4()))).status_code == 404
        assert Client().get(path).status_code == 302
    assert visit(stranger, f"/wallet/receipts/?before={payment.pk}").status_code == 404
    assert visit(stranger, "/wallet/receipts/").context["page"].receipts == []


def test_a_refund_is_told_with_what_is_owed_now(shop: Shop, buyer: User) -> None:
    shop.buy(buyer, pack="credits_100")
    capture(reserve(buyer.pk, 40).hold_id, 40)
    payment = Payment.objects.get()
    shop.fake.refund(payment.external_id)
    shop.tell()
    (body,) = [message.body for message in mail.outbox if "refund" in str(message.subject)]
    assert "8.99 USD" in body
    assert "100 credits that came with it were taken back." in body
    assert "30 of them were spent already." in body
    assert "You owe 30 credits now." in body
    page = visit(buyer, f"/wallet/receipts/{payment.pk}/").content.decode()
    assert "−8.99 USD" in page


def test_a_plans_life_is_told_once_each(shop: Shop, buyer: User) -> None:
    Plan.objects.filter(slug="premium_monthly").update(trial_days=7)
    shop.buy(buyer, plan="premium_monthly")
    management.cancel(user_id=buyer.pk)
    shop.tell()
    management.resume(user_id=buyer.pk)
    shop.tell()
    management.cancel(user_id=buyer.pk, at_period_end=False)
    shop.tell()
    assert subjects() == [
        "Your trial of Premium monthly has begun",
        "Premium monthly is cancelled",
        "Premium monthly goes on",
        "Premium monthly has ended",
    ]
    (event,) = Subscription.objects.get().events.filter(to_state="expired")
    tasks.tell_subscription_changed(
        subscription_id=str(event.subscription_id), from_state=event.from_state, to_state="expired"
    )
    assert len(mail.outbox) == 4


def test_nothing_is_mailed_to_who_is_leaving(shop: Shop, buyer: User) -> None:
    User.objects.filter(pk=buyer.pk).update(leaving_at=datetime.now(UTC))
    shop.buy(buyer, pack="credits_10")
    assert mail.outbox == []


def test_hostile_and_foreign_words_are_text(shop: Shop, buyer: User) -> None:
    name = "<b>&{x}</b> Ω Привет 你好 🙂"
    shop.buy(buyer, pack="credits_10", tell=False)
    Order.objects.update(name=name)
    shop.tell()
    payment = Payment.objects.get()
    answer = visit(buyer, f"/wallet/receipts/{payment.pk}/receipt.pdf")
    pdf = words_of(answer.content)
    assert "<b>&{x}</b> Ω Привет ?? ?" in pdf
    assert "Letters that this file cannot show" in pdf
    page = visit(buyer, f"/wallet/receipts/{payment.pk}/").content.decode()
    assert "&lt;b&gt;&amp;{x}&lt;/b&gt; Ω Привет 你好 🙂" in page
    assert name in mail.outbox[0].body
    again = visit(buyer, f"/wallet/receipts/{payment.pk}/receipt.pdf")
    assert again.content == answer.content


def test_the_list_goes_on_and_asks_the_database_as_often_with_two_as_with_twenty(
    buyer: User, django_assert_num_queries: Any
) -> None:
    rows = [
        Payment(
            user=buyer,
            store="stripe",
            external_id=f"pi_{number}",
            name="10 credits",
            bucket="purchased",
            credits=0,
            amount=0,
            currency="USD",
            paid_at=datetime(2026, 1, 1, number % 24, tzinfo=UTC),
        )
        for number in range(25)
    ]
    Payment.objects.bulk_create(rows[:2])
    client = Client()
    client.force_login(buyer)
    client.get("/wallet/receipts/")
    with django_assert_num_queries(4):
        client.get("/wallet/receipts/")
    Payment.objects.bulk_create(rows[2:])
    with django_assert_num_queries(4):
        page = client.get("/wallet/receipts/").context["page"]
    assert len(page.receipts) == 20
    more = client.get(f"/wallet/receipts/?before={page.older_than}").context["page"]
    assert (len(more.receipts), more.older_than) == (5, None)
    seen = [receipt.payment.pk for receipt in [*page.receipts, *more.receipts]]
    assert len(set(seen)) == 25
    assert not Refund.objects.exists()
