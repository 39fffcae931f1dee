"""The personas a newcomer meets: written and drawn for Parlor, loaded in the embedded mode only."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from personas import demo, lore
from personas.models import Persona
from personas.services import portraits
from personas.services.fields import clean_fields

FOLDER = Path(demo.__file__).parent


class EmbeddedModeOnly(RuntimeError):
    """Demo data was asked for where real people are served."""


def load_demo_personas(*, owner_id: UUID, folder: Path = FOLDER) -> int:
    """Add the demo personas that were never here; answers how many. What was changed or deleted stays so.

    `folder` holds `personas.json`, a list of objects with `slug`, any field create_persona takes and maybe
    a `lorebook`, and a `portraits/<slug>.webp` for each.

    Raises EmbeddedModeOnly with a database of the operator's own.
    """
    if not settings.EMBEDDED:
        raise EmbeddedModeOnly("demo personas are for the embedded mode")
    cast = json.loads((folder / "personas.json").read_text())
    known = set(
        Persona.objects.filter(slug__in=[entry["slug"] for entry in cast]).values_list("slug", flat=True)
    )
    missing = [entry for entry in cast if entry["slug"] not in known]
    # The list shows the newest first, and the file begins with what a newcomer should see first.
    for entry in reversed(missing):
        _add(owner_id, entry, folder)
    return len(missing)


def _add(owner_id: UUID, entry: dict[str, Any], folder: Path) -> None:
    """Not create_persona: the house account has no tier and no limit, and chooses its addresses."""
    fields = dict(entry)
    slug, lorebook = fields.pop("slug"), fields.pop("lorebook", None)
    picture = (folder / "portraits" / f"{slug}.webp").read_bytes()
    Persona.objects.create(
        owner_id=owner_id,
        slug=slug,
        lorebook=lore.clean_lorebook(lorebook) if lorebook else None,
        visibility=Persona.Visibility.PUBLIC,
        **clean_fields(fields),  # type: ignore[arg-type]
        **portraits.store_portrait(owner_id, fields["name"], picture),
    )
