"""Staff take a persona away from everybody but its owner, and give it back."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.services import audit
from common.errors import Invalid, NotFound
from personas.models import Persona


def hide_persona(*, staff_id: UUID, persona_id: UUID, reason: str) -> Persona:
    """Raises NotFound, and Invalid without a reason, which the owner gets to read."""
    if not reason.strip():
        raise Invalid.field("reason", "required", _("Say why, in words its owner will understand."))
    return _set_hidden(staff_id, persona_id, "hide_persona", reason.strip()[:500])


def unhide_persona(*, staff_id: UUID, persona_id: UUID) -> Persona:
    """Raises NotFound."""
    return _set_hidden(staff_id, persona_id, "unhide_persona", "")


def unpublish_persona(*, staff_id: UUID, persona_id: UUID, reason: str) -> Persona:
    """Back to a private draft that the owner may publish again; raises as hide_persona."""
    if not reason.strip():
        raise Invalid.field("reason", "required", _("Say why, in words its owner will understand."))
    with transaction.atomic():
        persona = _for_update(persona_id)
        persona.status = Persona.Status.DRAFT
        persona.save(update_fields=["status"])
        audit.record_staff_action(
            actor_id=staff_id, action="unpublish_persona", target=persona, reason=reason.strip()
        )
    return persona


def _set_hidden(staff_id: UUID, persona_id: UUID, action: str, reason: str) -> Persona:
    with transaction.atomic():
        persona = _for_update(persona_id)
        persona.hidden_at = timezone.now() if reason else None
        persona.hidden_reason = reason
        persona.save(update_fields=["hidden_at", "hidden_reason"])
        audit.record_staff_action(actor_id=staff_id, action=action, target=persona, reason=reason)
    return persona


def _for_update(persona_id: UUID) -> Persona:
    persona = Persona.objects.existing().select_for_update(no_key=True).filter(pk=persona_id).first()
    if persona is None:
        raise NotFound
    return persona
