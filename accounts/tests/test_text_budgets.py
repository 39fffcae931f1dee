"""X20: texts cost money, so everybody who could make us send them has a budget."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.errors import TooManyTexts
from accounts.models import TextMessage
from accounts.services import texts
from accounts.tests.factories import make_user
from accounts.tests.test_phone import NUMBER, App
from accounts.tests.texts import code_in, texts_to, use_mailbox

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def mailbox(settings: Any) -> None:
    use_mailbox(settings)


def ask(number: str = NUMBER, address: str | None = "192.0.2.1") -> bool:
    try:
        texts.send_text(number=number, body="123456", purpose="code", address=address)
    except TooManyTexts:
        return False
    return True


def sent(count: int, used: int = 0, age: timedelta = timedelta(minutes=10), **fields: Any) -> None:
    now = timezone.now()
    values = {"number": NUMBER, "prefix": NUMBER[:8], "country": "GB", "purpose": "code", **fields}
    TextMessage.objects.bulk_create(
        TextMessage(**values, created_at=now - age, used_at=now if place < used else None)
        for place in range(count)
    )


def age_all(by: timedelta) -> None:
    for message in TextMessage.objects.all():
        TextMessage.objects.filter(id=message.id).update(created_at=message.created_at - by)


@pytest.mark.django_db
def test_the_pause_doubles_from_one_minute_to_half_an_hour_until_a_code_is_entered(settings: Any) -> None:
    settings.ACCOUNTS_SMS_PER_NUMBER = 100
    pauses = []
    for _text in range(7):
        assert ask()
        with pytest.raises(TooManyTexts) as refused:
            texts.send_text(number=NUMBER, body="", purpose="code", address=None)
        pauses.append((refused.value.retry_after or 0) // 60)
        age_all(timedelta(minutes=pauses[-1], seconds=1))

    assert pauses == [1, 2, 4, 8, 16, 32, 32]
    texts.note_code_used(number=NUMBER)
    assert ask()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("setting", "history"),
    [
        ("ACCOUNTS_SMS_PER_NUMBER", {"used": 3}),
        ("ACCOUNTS_SMS_PER_PREFIX", {"number": "+447700900999", "used": 3}),
        (
            "ACCOUNTS_SMS_PER_ADDRESS",
            {"number": "+358401234567", "prefix": "+3584012", "address": "192.0.2.1"},
        ),
        ("ACCOUNTS_SMS_PER_DAY", {"number": "+358401234567", "prefix": "+3584012", "address": "192.0.2.9"}),
    ],
)
def test_each_budget_ends_after_its_number_and_begins_anew_a_day_later(
    settings: Any, setting: str, history: dict[str, Any]
) -> None:
    setattr(settings, setting, 3)
    sent(3, age=2 * HOUR, **history)

    assert not ask()
    age_all(24 * HOUR)
    assert ask()


@pytest.mark.django_db(transaction=True)
def test_x20_five_thousand_numbers_of_one_block_cost_one_budget(settings: Any) -> None:
    settings.ACCOUNTS_SMS_PER_PREFIX = 40

    def caller(start: int) -> int:
        try:
            return sum(
                ask(f"+4477009{n:05}", address=f"198.51.{n // 256}.{n % 256}") for n in range(start, 5000, 10)
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        allowed = sum(pool.map(caller, range(10)))

    assert allowed == 40
    assert TextMessage.objects.count() == 40


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_for_one_number_send_one_text() -> None:
    def caller(_number: int) -> bool:
        try:
            return ask()
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(caller, range(20)))

    assert answers == {True: 1, False: 19}
    assert len(texts_to(NUMBER)) == 1


@pytest.mark.django_db
def test_a_block_whose_codes_nobody_enters_is_stopped(settings: Any) -> None:
    sent(20, used=3, number="+447700900999")
    stopped = ask()
    TextMessage.objects.all().delete()
    sent(20, used=4, number="+447700900999")

    assert (stopped, ask()) == (False, True)


@pytest.mark.django_db(transaction=True)
def test_staff_are_told_once_an_hour_when_few_codes_are_entered() -> None:
    staff = make_user(staff=True)
    sent(30, used=2)

    texts.check_conversion()
    texts.check_conversion()

    assert [(message.bcc, message.subject) for message in mail.outbox] == [
        ([staff.email], "Few texted codes are being entered")
    ]
    assert "30 codes were texted and only 2 entered" in str(mail.outbox[0].body)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("count", "used"), [(19, 0), (30, 6)])
def test_nobody_is_told_of_few_texts_or_usual_ones(count: int, used: int) -> None:
    make_user(staff=True)
    sent(count, used=used)

    texts.check_conversion()

    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_a_code_that_is_entered_counts_as_used() -> None:
    make_user(None, phone=NUMBER)
    app = App()
    app.post("auth/login", phone=NUMBER)

    app.post("auth/code/confirm", code=code_in(texts_to(NUMBER)[0]))

    assert TextMessage.objects.get().used_at is not None


@pytest.mark.django_db(transaction=True)
def test_the_api_says_how_long_to_wait() -> None:
    make_user(None, phone=NUMBER)
    App().post("auth/login", phone=NUMBER)

    response = App().post("auth/login", phone=NUMBER)

    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert 50 <= int(response.headers["Retry-After"]) <= 61


@pytest.mark.django_db(transaction=True)
def test_x20_notices_to_unknown_numbers_are_codes_nobody_entered() -> None:
    make_user(staff=True)
    sent(30, purpose=TextMessage.Purpose.NOTICE)

    texts.check_conversion()

    assert [message.subject for message in mail.outbox] == ["Few texted codes are being entered"]


@pytest.mark.django_db(transaction=True)
def test_x20_one_line_with_many_addresses_has_one_budget(settings: Any) -> None:
    settings.ACCOUNTS_SMS_PER_ADDRESS = 3
    for number in range(6):
        client = Client(REMOTE_ADDR=f"2001:db8:1:2::{number + 1:x}")
        client.post("/accounts/login/phone/", {"phone": f"+4477009001{number:02}"})
    assert TextMessage.objects.count() == 3
