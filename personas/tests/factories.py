from io import BytesIO
from typing import Any
from uuid import uuid4

from PIL import Image

from accounts.models import User
from accounts.tests.factories import make_user
from personas.models import Persona


def make_persona(owner: User | None = None, name: str = "Ada", **fields: Any) -> Persona:
    """A public persona that anybody may talk to."""
    fields.setdefault("visibility", Persona.Visibility.PUBLIC)
    fields.setdefault("greeting", "Good evening. What shall we compute?")
    fields.setdefault("slug", f"persona-{uuid4().hex[:12]}")
    return Persona.objects.create(owner=owner or make_user(), name=name, **fields)


def make_picture(kind: str = "PNG", size: tuple[int, int] = (60, 80), colour: str = "#804020") -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()
