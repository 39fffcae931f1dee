"""Primary keys: UUID version 7, so that ids sort by the time they were made."""

import uuid

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> uuid.UUID:
    return _uuid7()


def parse_uuid(value: object) -> uuid.UUID | None:
    """The UUID a stranger's text names, or None; never raises."""
    if isinstance(value, uuid.UUID):
        return value
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
