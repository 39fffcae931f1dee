"""Opaque positions in lists that no single column orders."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from common.errors import Invalid


def encode(*parts: Any) -> str:
    text = json.dumps(
        [part.isoformat() if isinstance(part, datetime) else part for part in parts], default=str
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, *kinds: Any) -> list[Any]:
    """The parts of a cursor, each read by its kind (`bool`, `UUID`, `datetime.fromisoformat`).

    Raises Invalid for anything this module did not write.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return [kind(part) for kind, part in zip(kinds, parts, strict=True)]
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise Invalid.field("cursor", "invalid", _("This page does not exist.")) from error
