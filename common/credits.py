"""Credits are whole microcredits inside and decimal strings of credits outside."""

import re

MICRO = 1_000_000
_CREDITS = re.compile(r"(?P<whole>[0-9]{1,12})(?:\.(?P<fraction>[0-9]{1,6}))?", re.ASCII)


class InvalidCredits(ValueError):
    """The text is not a plain decimal number of credits with at most six places."""


def format_credits(microcredits: int) -> str:
    """`23400` -> `"0.0234"`: no trailing zeros, no exponent."""
    sign = "-" if microcredits < 0 else ""
    whole, fraction = divmod(abs(microcredits), MICRO)
    digits = f"{fraction:06d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def parse_credits(text: str) -> int:
    """`"0.0234"` -> `23400` microcredits.

    Raises InvalidCredits for signs, exponents, non-ASCII digits and more than six decimal places.
    """
    match = _CREDITS.fullmatch(text)
    if match is None:
        raise InvalidCredits(text[:40])
    return int(match["whole"]) * MICRO + int((match["fraction"] or "").ljust(6, "0"))
