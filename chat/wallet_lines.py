"""What a wallet's history calls credits that were set aside for a reply and given back."""

from uuid import UUID

from django.utils.translation import gettext as _

from chat.models import Generation
from common.ids import parse_uuid

_PREFIX = "generation:"


def name_replies(user_id: UUID, references: list[str]) -> dict[str, str]:
    """`generation:<id>` -> "Talk with Ada", where the talk is still there. One query."""
    ids = [parse_uuid(text.removeprefix(_PREFIX)) for text in references if text.startswith(_PREFIX)]
    found = Generation.objects.filter(user_id=user_id, id__in=[each for each in ids if each is not None])
    return {
        f"{_PREFIX}{generation_id}": _("Talk with %(name)s") % {"name": name}
        for generation_id, name in found.values_list("id", "session__persona__name")
    }
