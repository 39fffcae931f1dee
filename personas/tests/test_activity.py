"""D7: what is trending, and how many people talk with a persona."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.tests.factories import make_user
from personas import tasks
from personas.models import Persona, PersonaActivity
from personas.services import activity
from personas.tests.factories import make_persona
from personas.tests.test_api_marks import together

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 20)


def talked(persona: Persona, *, days_ago: int = 0, messages: int = 1, people: int = 1) -> None:
    for _ in range(people):
        PersonaActivity.objects.create(
            persona=persona, user=make_user(), day=TODAY - timedelta(days=days_ago), messages=messages
        )


def score(persona: Persona) -> float:
    return round(Persona.objects.get(pk=persona.pk).trending_score, 4)


def test_people_are_counted_once_and_their_messages_by_day() -> None:
    persona, first, second = make_persona(), make_user(), make_user()
    for user in (first, second, first, first):
        activity.record_chat(persona.pk, user.pk)
    assert Persona.objects.get().chats_count == 2
    assert dict(PersonaActivity.objects.values_list("user", "messages")) == {first.pk: 3, second.pk: 1}


def test_somebody_who_comes_back_another_day_is_no_new_person() -> None:
    persona, user = make_persona(chats_count=1), make_user()
    PersonaActivity.objects.create(persona=persona, user=user, day=TODAY - timedelta(days=3), messages=5)
    activity.record_chat(persona.pk, user.pk)
    assert Persona.objects.get().chats_count == 1
    assert PersonaActivity.objects.count() == 2


def test_recording_is_one_statement() -> None:
    persona, user = make_persona(), make_user()
    with CaptureQueriesContext(connection) as captured:
        activity.record_chat(persona.pk, user.pk)
    assert len(captured) == 1


@pytest.mark.django_db(transaction=True)
def test_parallel_first_messages_are_one_person() -> None:
    persona, users = make_persona(), [make_user() for _ in range(3)]
    together([lambda user=user: activity.record_chat(persona.pk, user.pk) for user in users * 3])
    assert Persona.objects.get().chats_count == 3
    assert set(PersonaActivity.objects.values_list("messages", flat=True)) == {3}


def test_each_person_counts_and_their_messages_up_to_as_much_again() -> None:
    persona = make_persona()
    talked(persona, people=2, messages=10)
    talked(persona, messages=10_000)
    assert activity.recompute_trending(TODAY) == 1
    assert score(persona) == 1.5 + 1.5 + 2


def test_interest_halves_every_three_days_and_is_gone_after_two_weeks() -> None:
    fresh, older, old = make_persona(), make_persona(), make_persona(trending_score=9)
    talked(fresh, messages=20)
    talked(older, days_ago=3, messages=20)
    talked(old, days_ago=14, messages=20)
    activity.recompute_trending(TODAY)
    assert [score(persona) for persona in (fresh, older, old)] == [2, 1, 0]


def test_one_flood_does_not_outweigh_many_people() -> None:
    flooded, loved = make_persona(), make_persona()
    talked(flooded, messages=100_000)
    talked(loved, people=3)
    activity.recompute_trending(TODAY)
    assert score(loved) > score(flooded)


def test_scores_are_recomputed_in_chunks() -> None:
    owner, ids = make_user(), list[UUID]()
    for number in range(activity._CHUNK + 3):
        ids.append(make_persona(owner, f"p{number}", trending_score=1).pk)
    assert activity.recompute_trending(TODAY) == activity._CHUNK + 3
    assert not Persona.objects.filter(trending_score__gt=0).exists()


def test_the_beat_job_counts_up_to_today() -> None:
    persona, user = make_persona(), make_user()
    activity.record_chat(persona.pk, user.pk)
    tasks.recompute_trending()
    assert score(persona) == 1.05
