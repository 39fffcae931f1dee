"""What PostgreSQL can keep as text."""


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can keep the text: no NUL, and encodable as UTF-8."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
