"""The placeholders of character cards: `{{char}}` and `{{user}}`, and their older forms."""

import re

_MACRO = re.compile(r"\{\{\s*(?P<name>char|user)\s*\}\}|<(?P<old>BOT|USER|CHAR)>", re.IGNORECASE)


def fill_in(text: str, *, char: str, user: str) -> str:
    """`text` with both names in their places; one pass, so that a name holding a macro stays as it is."""

    def name(match: re.Match[str]) -> str:
        return user if (match["name"] or match["old"]).lower() == "user" else char

    return _MACRO.sub(name, text)
