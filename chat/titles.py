"""Names for conversations that nobody named."""

import re

MAX_TITLE = 60
# Signs of Markdown that mean nothing on one line.
_MARKS = re.compile(r"[*_`#>]+")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s")


def title_from(text: str) -> str:
    """The first sentence of what was said first, cut at a word."""
    line = next((line.strip() for line in text.splitlines() if line.strip(" #*>-_`")), "")
    line = _MARKS.sub("", line).strip()
    sentence = _SENTENCE_END.split(line, maxsplit=1)[0]
    return shorten(sentence, MAX_TITLE)


def preview_of(text: str) -> str:
    """The beginning of a message on one line, for lists."""
    return shorten(" ".join(_MARKS.sub("", text[:800]).split()), 160)


def shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    word = cut.rsplit(" ", 1)[0] if " " in cut[limit // 2 :] else cut
    return word.rstrip(" ,;:.-") + "…"
