"""Making, changing, deleting and copying personas."""

from collections.abc import Callable
from typing import Unpack
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts
from accounts.models import User
from billing import selectors as billing
from common.errors import DomainError, Invalid, NotFound
from personas import selectors
from personas.errors import CopyingForbidden, EmailNotVerified, MaturePersona, PersonaLimitReached
from personas.models import LONG_TEXTS, Persona
from personas.services import portraits
from personas.services.fields import PersonaFields, clean_fields

_SLUG_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_COPIED = (
    "name",
    "tagline",
    *LONG_TEXTS,
    "alternate_greetings",
    "model",
    "temperature",
    "tags",
    "category_id",
    "language",
    "rating",
    "card",
    "lorebook",
)


def create_persona(
    *, owner_id: UUID, portrait: bytes | None = None, **fields: Unpack[PersonaFields]
) -> Persona:
    """A new persona, private until `visibility` says otherwise; `portrait` is the picture's file.

    Raises Invalid naming the field that is wrong, PersonaLimitReached over the tier's number of personas,
    EmailNotVerified for a public one of somebody without a verified address, MaturePersona for a mature one
    of somebody not known to be an adult, and what make_portrait raises for the picture.
    """
    if not fields.get("name"):
        raise Invalid.field("name", "required", _("A persona needs a name."))
    return add_persona(Persona(owner_id=owner_id, **clean_fields(fields)), picture=portrait)


def update_persona(*, user_id: UUID, persona_id: UUID, changes: PersonaFields) -> Persona:
    """Set the given fields and no others; raises NotFound, and Invalid and the rest as create_persona."""
    values = clean_fields(changes)
    with transaction.atomic():
        persona = selectors.own_persona_for_update(user_id, persona_id)
        for name, value in values.items():
            setattr(persona, name, value)
        _check_publishing(persona)
        if values:
            persona.save(update_fields=values.keys())
    return persona


def delete_persona(*, user_id: UUID, persona_id: UUID) -> None:
    """Nobody finds or opens the persona any more; chats with it keep its name. Raises NotFound."""
    now = timezone.now()
    deleted = Persona.objects.owned_by(user_id).filter(pk=persona_id).update(deleted_at=now, updated_at=now)
    if not deleted:
        raise NotFound


def restore_persona(*, user_id: UUID, persona_id: UUID) -> Persona:
    """Take back a deletion; raises NotFound without one, PersonaLimitReached as create_persona."""
    with transaction.atomic():
        _lock_owner(user_id)
        deleted = Persona.objects.filter(owner_id=user_id, pk=persona_id, deleted_at__isnull=False)
        persona = deleted.select_for_update(no_key=True).first()
        if persona is None:
            raise NotFound
        _check_limit(user_id)
        persona.deleted_at = None
        persona.save(update_fields=["deleted_at"])
    return persona


def clone_persona(*, user_id: UUID, persona_id: UUID) -> Persona:
    """A private copy for `user_id`, with a picture of its own, that remembers where it came from.

    Raises NotFound and MaturePersona as get_visible_persona, CopyingForbidden where the owner does not
    allow it, PersonaLimitReached as create_persona, and what copy_portrait raises.
    """
    original = selectors.get_visible_persona(user_id, persona_id)
    if not may_take_definition(user_id, original):
        raise CopyingForbidden
    copied = {name: getattr(original, name) for name in _COPIED}
    copy = Persona(owner_id=user_id, cloned_from_id=original.pk, **copied)
    return _add(copy, lambda: portraits.copy_portrait(user_id, original))


def may_take_definition(user_id: UUID, persona: Persona) -> bool:
    """Whether the user may have all that makes up this persona: as a copy or as a card."""
    return persona.owner_id == user_id or persona.allow_clone


def add_persona(persona: Persona, *, picture: bytes | None = None) -> Persona:
    """Save a new persona under an address of its own; the step shared by all ways to make one.

    Raises PersonaLimitReached, EmailNotVerified and MaturePersona as create_persona, and what make_portrait
    raises. Nothing is kept where it raises.
    """
    if picture is None:
        return _add(persona)
    return _add(persona, lambda: portraits.store_portrait(persona.owner_id, persona.name, picture))


def _add(persona: Persona, keep_picture: Callable[[], dict[str, str]] | None = None) -> Persona:
    persona.slug = _free_slug(persona.name)
    keys = {}
    if keep_picture is not None:
        # Early, before the work on the picture; what counts is the check under the lock.
        _check_limit(persona.owner_id)
        keys = keep_picture()
    for name, key in keys.items():
        setattr(persona, name, key)
    try:
        with transaction.atomic():
            _lock_owner(persona.owner_id)
            _check_limit(persona.owner_id)
            _check_publishing(persona)
            persona.save(force_insert=True)
    except DomainError:
        portraits.delete_files(keys.values())
        raise
    return persona


def _check_limit(user_id: UUID) -> None:
    """Raises PersonaLimitReached where the user's tier holds no more; certain under the owner's lock only."""
    limit = billing.get_tier(user_id).persona_limit
    if limit is None:
        return
    used = selectors.count_own_personas(user_id)
    if used >= limit:
        raise PersonaLimitReached(limit, used)


def _lock_owner(user_id: UUID) -> None:
    """Creating goes one after another for each user, so that counting and adding are one step."""
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user_id)


def _check_publishing(persona: Persona) -> None:
    owner_id = persona.owner_id
    if persona.rating == Persona.Rating.MATURE and not User.objects.get(pk=owner_id).is_adult:
        raise MaturePersona
    is_public = persona.visibility == Persona.Visibility.PUBLIC and persona.status == Persona.Status.PUBLISHED
    if is_public and not accounts.has_verified_email(owner_id):
        raise EmailNotVerified


def _free_slug(name: str) -> str:
    # The tail makes the address of an unlisted persona unguessable and its own.
    tail = get_random_string(9, _SLUG_ALPHABET)
    return f"{slugify(name)[:80].strip('-') or 'persona'}-{tail}"
