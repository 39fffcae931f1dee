"""Staff take a persona away from everybody but its owner, and give it back."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.services import audit
from common.errors import NotFound
from personas.models import Persona


def hide_persona(*, persona_id: UUID, actor_id: UUID, reason: str) -> Persona:
    """Nobody but the owner, who gets to read the reason, finds or opens it any more.

    Raises NotFound, ReasonRequired.
    """
    reason = audit.required_reason(reason)
    now = timezone.now()
    return _change(persona_id, actor_id, "hide_persona", reason, hidden_at=now, hidden_reason=reason[:500])


def unhide_persona(*, persona_id: UUID, actor_id: UUID, reason: str) -> Persona:
    """Raises NotFound, ReasonRequired."""
    reason = audit.required_reason(reason)
    return _change(persona_id, actor_id, "unhide_persona", reason, hidden_at=None, hidden_reason="")


def unpublish_persona(*, persona_id: UUID, actor_id: UUID, reason: str) -> Persona:
    """Back to a draft, which the owner may publish again. Raises NotFound, ReasonRequired."""
    reason = audit.required_reason(reason)
    return _change(persona_id, actor_id, "unpublish_persona", reason, status=Persona.Status.DRAFT)


@transaction.atomic
def _change(persona_id: UUID, actor_id: UUID, action: str, reason: str, **values: object) -> Persona:
    persona = Persona.objects.existing().select_for_update(no_key=True).filter(pk=persona_id).first()
    if persona is None:
        raise NotFound
    for name, value in values.items():
        setattr(persona, name, value)
    persona.save(update_fields=values.keys())
    audit.record_staff_action(actor_id=actor_id, action=action, target=persona, reason=reason)
    return persona
