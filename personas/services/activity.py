"""Who talks with whom, and what is trending because of it."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from personas.models import Persona, PersonaActivity

WINDOW_DAYS = 14
HALF_LIFE_DAYS = 3
# One person's flood of messages must not outweigh many people's interest.
_COUNTED_MESSAGES = 20
_CHUNK = 500

# The number of people grows with somebody's first message ever, which is the row they had none before.
_RECORD = """
    WITH before AS (
        SELECT EXISTS (
            SELECT FROM personas_personaactivity WHERE persona_id = %(persona)s AND user_id = %(user)s
        ) AS has_talked
    ), today AS (
        INSERT INTO personas_personaactivity AS a (persona_id, user_id, day, messages)
        VALUES (%(persona)s, %(user)s, %(day)s, 1)
        ON CONFLICT (persona_id, user_id, day) DO UPDATE SET messages = a.messages + 1
        RETURNING messages
    )
    UPDATE personas_persona SET chats_count = chats_count + 1
     WHERE id = %(persona)s AND (SELECT messages FROM today) = 1 AND NOT (SELECT has_talked FROM before)
"""

# Each person's day counts for one, and for up to as much again for what they wrote, halved every three days.
_SCORE = """
    UPDATE personas_persona p SET trending_score = COALESCE(s.score, 0)
      FROM unnest(%(ids)s::uuid[]) AS chosen (id)
      LEFT JOIN (
        SELECT persona_id,
               sum((1 + least(messages, %(counted)s)::float8 / %(counted)s)
                   * power(0.5, (%(today)s::date - day) / %(half_life)s::float8)) AS score
          FROM personas_personaactivity
         WHERE day > %(since)s AND persona_id = ANY(%(ids)s::uuid[])
         GROUP BY persona_id
      ) s ON s.persona_id = chosen.id
     WHERE p.id = chosen.id
"""


def record_chat(persona_id: UUID, user_id: UUID) -> None:
    """Note that the user wrote to the persona now. One statement, in the caller's transaction or alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            {"persona": persona_id, "user": user_id, "day": datetime.now(UTC).date()},
        )


def recompute_trending(today: date) -> int:
    """Score every persona talked with lately, and let the others go back to zero; answers how many.

    Goes in chunks, since a chat that starts waits for the row of its persona.
    """
    since = today - timedelta(days=WINDOW_DAYS)
    lately = PersonaActivity.objects.filter(persona_id=OuterRef("pk"), day__gt=since)
    ids = list(
        Persona.objects.existing()
        .filter(Q(trending_score__gt=0) | Exists(lately))
        .values_list("pk", flat=True)
    )
    for start in range(0, len(ids), _CHUNK):
        with connection.cursor() as cursor:
            cursor.execute(
                _SCORE,
                {
                    "ids": ids[start : start + _CHUNK],
                    "today": today,
                    "since": since,
                    "half_life": HALF_LIFE_DAYS,
                    "counted": _COUNTED_MESSAGES,
                },
            )
    return len(ids)
