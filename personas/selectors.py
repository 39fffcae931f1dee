"""Finding personas: one by its id or address, lists by words and filters."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import F, IntegerField, Q, QuerySet, Value
from django.db.models.functions import Cast

from accounts.models import User
from common.errors import NotFound
from personas.errors import MaturePersona
from personas.models import Category, Persona, PersonaQuerySet

_WORD = re.compile(r"\w+")
_MAX_WORDS = 12
_MAX_WORD = 40


@dataclass(frozen=True, slots=True)
class PersonaFilter:
    query: str = ""
    tags: tuple[str, ...] = ()
    category: str = ""
    rating: str = ""
    language: str = ""


def get_visible_persona(user_id: UUID | None, persona_id: UUID) -> Persona:
    """A persona this user (None: a visitor) may open and talk to.

    Raises NotFound where there is none for them, MaturePersona where they are not known to be an adult.
    """
    return _opened(Persona.objects.filter(pk=persona_id), user_id)


def get_visible_persona_by_slug(user_id: UUID | None, slug: str) -> Persona:
    """As get_visible_persona."""
    return _opened(Persona.objects.filter(slug=slug), user_id)


def get_own_persona(user_id: UUID, persona_id: UUID) -> Persona:
    """Raises NotFound for other people's personas as for none at all."""
    return _first(Persona.objects.owned_by(user_id).as_cards(user_id).filter(pk=persona_id))


def get_own_persona_by_slug(user_id: UUID, slug: str) -> Persona:
    """As get_own_persona."""
    return _first(Persona.objects.owned_by(user_id).as_cards(user_id).filter(slug=slug))


def find_own_persona_by_slug(user_id: UUID, slug: str) -> Persona | None:
    return Persona.objects.owned_by(user_id).filter(slug=slug).first()


def find_deleted_persona(user_id: UUID, persona_id: UUID) -> Persona | None:
    """The user's own persona that they deleted and may take back."""
    return _deleted(user_id).filter(pk=persona_id).first()


def get_deleted_persona_by_slug(user_id: UUID, slug: str) -> Persona:
    """As find_deleted_persona, by the address it had; raises NotFound."""
    return _first(_deleted(user_id).filter(slug=slug))


def _deleted(user_id: UUID) -> PersonaQuerySet:
    return Persona.objects.filter(owner_id=user_id, deleted_at__isnull=False).order_by("-deleted_at")


def own_persona_for_update(user_id: UUID, persona_id: UUID) -> Persona:
    """The user's persona, locked until the end of the caller's transaction; raises NotFound."""
    return _first(Persona.objects.owned_by(user_id).filter(pk=persona_id).select_for_update(no_key=True))


def list_public_personas(user: User | None, chosen: PersonaFilter) -> PersonaQuerySet:
    """What `user` (None: a visitor) may come across; ordering is the caller's."""
    personas = Persona.objects.listed().for_age(user is not None and user.is_adult)
    return _filtered(personas, chosen).as_cards(user.pk if user else None)


def list_own_personas(user_id: UUID, chosen: PersonaFilter) -> PersonaQuerySet:
    return _filtered(Persona.objects.owned_by(user_id), chosen).as_cards(user_id)


def list_favorite_personas(user: User) -> PersonaQuerySet:
    """The favourites that can still be opened, the latest first."""
    return (
        Persona.objects.visible_to(user)
        .for_age(user.is_adult)
        .filter(personafavorites__user=user)
        .as_cards(user.pk)
        .order_by("-personafavorites__created_at", "-id")
    )


def list_categories() -> QuerySet[Category]:
    return Category.objects.order_by("position", "slug")


def count_own_personas(user_id: UUID) -> int:
    return Persona.objects.owned_by(user_id).count()


def list_talkable_personas(user_id: UUID, *, limit: int = 1000) -> list[Persona]:
    """Listed personas and the user's own, of an age for the user, most liked first."""
    listed = Q(visibility=Persona.Visibility.PUBLIC, status=Persona.Status.PUBLISHED, hidden_at=None)
    for_me = listed if _is_adult(user_id) else listed & ~Q(rating=Persona.Rating.MATURE)
    shown = Persona.objects.filter(for_me | Q(owner_id=user_id), deleted_at=None).select_related("owner")
    return list(shown.order_by("-likes_count", "id")[:limit])


def portraits_in_use(keys: Iterable[str]) -> dict[str, str]:
    """Which of these files some persona shows, deleted ones that may come back included, and its name."""
    wanted = list(keys)
    shown = Q(avatar_key__in=wanted) | Q(card_image_key__in=wanted) | Q(portrait_key__in=wanted)
    rows = Persona.objects.filter(shown).values_list("name", "avatar_key", "card_image_key", "portrait_key")
    return {key: name for name, *kept in rows for key in kept if key in wanted}


def _opened(personas: PersonaQuerySet, user_id: UUID | None) -> Persona:
    persona = _first(personas.visible_to(user_id).as_cards(user_id))
    if persona.rating == Persona.Rating.MATURE and persona.owner_id != user_id and not _is_adult(user_id):
        raise MaturePersona
    return persona


def _is_adult(user_id: UUID | None) -> bool:
    user = User.objects.filter(pk=user_id).only("birth_date").first() if user_id else None
    return user is not None and user.is_adult


def _first(personas: PersonaQuerySet) -> Persona:
    persona = personas.first() if personas.query.order_by else personas.order_by("pk").first()
    if persona is None:
        raise NotFound
    return persona


def _filtered(personas: PersonaQuerySet, chosen: PersonaFilter) -> PersonaQuerySet:
    if chosen.tags:
        personas = personas.filter(tags__contains=list(chosen.tags))
    if chosen.category:
        personas = personas.filter(category_id=chosen.category)
    if chosen.rating:
        personas = personas.filter(rating=chosen.rating)
    if chosen.language:
        personas = personas.filter(language=chosen.language)
    if chosen.query:
        query = search_query(chosen.query)
        if query is None:
            return personas.none().annotate(relevance=Value(0))
        # A whole number, because a cursor must meet exactly the same value again.
        rank = Cast(SearchRank(F("search_vector"), query) * 1_000_000, IntegerField())
        personas = personas.filter(search_vector=query).annotate(relevance=rank)
    return personas


def search_query(text: str) -> SearchQuery | None:
    """Every word in any of its forms, or every word as the beginning of one; None where no word is left."""
    words = [word[:_MAX_WORD] for word in _WORD.findall(text.lower())[:_MAX_WORDS]]
    if not words:
        return None
    # Letters, digits and underscores only, so nothing in here can be query syntax.
    prefixes = " & ".join(f"'{word}':*" for word in words)
    return SearchQuery(" ".join(words), config="english") | SearchQuery(
        prefixes, config="simple", search_type="raw"
    )
