"""Rows of personas on the home page; apps above add theirs when they are ready."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from personas import selectors
from personas.models import Persona, PersonaQuerySet

_LENGTH = 10
# A row of two looks like an accident.
_FEWEST = 3
_WORTH_A_RAIL = 24


@dataclass(frozen=True, slots=True)
class RailItem:
    persona: Persona
    # Where the card leads; empty for the persona's own page.
    url: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Rail:
    slug: str
    title: str
    items: Sequence[RailItem]
    more_url: str = ""


# Given the visitor (a user or an anonymous one), a row or None where there is nothing to show.
RailSource = Callable[[Any], Rail | None]


def register(slug: str, source: RailSource, *, position: int) -> None:
    """Show `source`'s row on the home page; lower positions come first (trending is 20, new 30)."""
    _sources[slug] = (position, source)


def rails_for(user: Any) -> list[Rail]:
    ordered = sorted(_sources.values(), key=lambda entry: entry[0])
    rails = (source(user) for _position, source in ordered)
    return [rail for rail in rails if rail is not None and rail.items]


def _trending(user: Any) -> Rail | None:
    found = selectors.list_public_personas(_known(user), selectors.PersonaFilter())
    items = _items(found.filter(trending_score__gt=0).order_by("-trending_score", "-id"))
    return Rail("trending", _("Trending"), items) if len(items) >= _FEWEST else None


def _newest(user: Any) -> Rail | None:
    """Nothing while the grid below the rails shows everybody anyway."""
    found = selectors.list_public_personas(_known(user), selectors.PersonaFilter())
    newest = found.order_by("-published_at", "-id")
    if not newest[_WORTH_A_RAIL:].exists():
        return None
    return Rail("new", _("New here"), _items(newest), "?sort=new")


def _known(user: Any) -> Any:
    return user if user.is_authenticated else None


def _items(found: PersonaQuerySet) -> list[RailItem]:
    return [RailItem(persona) for persona in found[:_LENGTH]]


_sources: dict[str, tuple[int, RailSource]] = {"trending": (20, _trending), "new": (30, _newest)}
