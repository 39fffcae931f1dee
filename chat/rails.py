"""The row of the home page that leads back to where one was."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from chat import selectors
from personas.models import Persona
from personas.rails import Rail, RailItem

_LENGTH = 8


def continue_talking(user: Any) -> Rail | None:
    """The latest chats, one for each persona."""
    if not user.is_authenticated:
        return None
    sessions = selectors.list_latest_by_persona(user.pk, limit=_LENGTH)
    cards = Persona.objects.as_cards(user.pk).in_bulk([session.persona_id for session in sessions])
    items = [
        RailItem(
            cards[session.persona_id],
            reverse("chat:session-detail", args=[session.id]),
            session.last_message_preview,
        )
        for session in sessions
    ]
    return Rail("continue", _("Continue talking"), items, reverse("chat:session-list"))
