"""Likes and favourites: there or not there, however often they are asked for."""

from uuid import UUID

from django.db import connection
from django.utils import timezone

from common.ids import uuid7
from personas import selectors
from personas.models import PersonaFavorite

# The counter moves in the same statement, and only if the row really came or went.
_LIKE = """
    WITH added AS (
        INSERT INTO personas_personalike (id, created_at, persona_id, user_id) VALUES (%s, now(), %s, %s)
        ON CONFLICT (user_id, persona_id) DO NOTHING RETURNING persona_id
    )
    UPDATE personas_persona SET likes_count = likes_count + 1 WHERE id IN (SELECT persona_id FROM added)
"""
_UNLIKE = """
    WITH removed AS (
        DELETE FROM personas_personalike WHERE persona_id = %s AND user_id = %s RETURNING persona_id
    )
    UPDATE personas_persona SET likes_count = likes_count - 1 WHERE id IN (SELECT persona_id FROM removed)
"""


def like_persona(*, user_id: UUID, persona_id: UUID) -> None:
    """Raises NotFound and MaturePersona as get_visible_persona."""
    selectors.get_visible_persona(user_id, persona_id)
    with connection.cursor() as cursor:
        cursor.execute(_LIKE, [uuid7(), persona_id, user_id])


def unlike_persona(*, user_id: UUID, persona_id: UUID) -> None:
    """Also where the persona can't be opened any more."""
    with connection.cursor() as cursor:
        cursor.execute(_UNLIKE, [persona_id, user_id])


def add_favorite(*, user_id: UUID, persona_id: UUID) -> None:
    """Raises NotFound and MaturePersona as get_visible_persona."""
    selectors.get_visible_persona(user_id, persona_id)
    favorite = PersonaFavorite(user_id=user_id, persona_id=persona_id, created_at=timezone.now())
    PersonaFavorite.objects.bulk_create([favorite], ignore_conflicts=True)


def remove_favorite(*, user_id: UUID, persona_id: UUID) -> None:
    """Also where the persona can't be opened any more."""
    PersonaFavorite.objects.filter(user_id=user_id, persona_id=persona_id).delete()
