"""Lorebooks: what one may look like, and which of its entries a conversation brings up.

The shape is the `Lorebook` object of Character Card V3; fields beside ours are kept as they are. Keys are
plain words. Common editors mark every entry with `use_regex` whether its keys are patterns or not, so plain
keys count there too; real patterns are kept but never run, because one written by a stranger can hold a
server busy for minutes. Everything here takes time linear in the texts.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from common.errors import Invalid

Lorebook = dict[str, Any]

MAX_ENTRIES = 1_000
MAX_KEYS = 100
MAX_KEY_LENGTH = 200
MAX_ALL_KEYS_LENGTH = 50_000
MAX_CONTENT_LENGTH = 50_000
# Only the newest part of long texts is searched.
MAX_SCANNED = 16_000
DEFAULT_ORDER = 100
_NUMBER = 1_000_000_000
# Up to this many comparisons Python's own search beats building an automaton.
_PLAIN_SEARCH_WORK = 2_000_000

# Signs a plain word or phrase does not have; also the /pattern/flags of editors.
_PATTERN = re.compile(r"[\\^$|*+?()\[\]{}]|^/.+/[a-z]*$")
_DECORATOR = re.compile(r"@@@?(?P<name>[a-z_]+)(?:[ \t]+(?P<value>[^\n]*))?")


@dataclass(frozen=True, slots=True)
class LoreEntry:
    index: int
    name: str
    content: str
    insertion_order: float
    priority: float
    constant: bool
    position: str


def is_pattern(entry: dict[str, Any], key: str) -> bool:
    """Whether `key` of this entry is a regular expression, which is not looked for."""
    return entry["use_regex"] and _PATTERN.search(key) is not None


def empty_lorebook() -> Lorebook:
    return {"extensions": {}, "entries": []}


def clean_lorebook(raw: Any, field: str = "lorebook") -> Lorebook:
    """A lorebook with every field a V3 one must have; unknown fields are kept.

    Raises Invalid naming the first field that is wrong, prefixed with `field`.
    """
    if not isinstance(raw, dict):
        raise Invalid.field(field, "wrong_type", _("A lorebook is an object."))
    entries = raw.get("entries", [])
    if not isinstance(entries, list):
        raise Invalid.field(f"{field}.entries", "wrong_type", _("The entries are a list."))
    if len(entries) > MAX_ENTRIES:
        raise Invalid.field(
            f"{field}.entries",
            "too_many_entries",
            _("A lorebook holds at most %(limit)d entries.") % {"limit": MAX_ENTRIES},
        )
    book = {
        **raw,
        "extensions": _extensions(raw, field),
        "entries": [_clean_entry(entry, f"{field}.entries.{index}") for index, entry in enumerate(entries)],
    }
    for name in ("name", "description"):
        if not isinstance(raw.get(name) or "", str):
            raise Invalid.field(f"{field}.{name}", "wrong_type", _("This must be text."))
    for name in ("scan_depth", "token_budget"):
        if _number(raw, name, 0, field) < 0:
            raise Invalid.field(f"{field}.{name}", "out_of_range", _("This is not below zero."))
    if (
        sum(len(key) for entry in book["entries"] for key in entry["keys"] + _secondary(entry))
        > MAX_ALL_KEYS_LENGTH
    ):
        raise Invalid.field(field, "too_many_keys", _("The keys of this lorebook are too long together."))
    return book


def matching_entries(lorebook: Lorebook | None, texts: Sequence[str]) -> list[LoreEntry]:
    """The entries that `texts` (oldest first) bring up, in the order in which they enter the prompt.

    How many of them fit is the caller's business: the ones of the lowest `priority` go first.
    """
    if not lorebook:
        return []
    scans = _Scans(lorebook["entries"], _recent(texts, lorebook.get("scan_depth")))
    found = [
        _as_entry(index, entry)
        for index, entry in enumerate(lorebook["entries"])
        if _is_live(entry) and _comes_up(entry, scans)
    ]
    return sorted(found, key=lambda entry: (entry.insertion_order, entry.index))


def find_keys(keys: Iterable[str], text: str) -> set[str]:
    """Which of `keys` occur in `text`, in time linear in both."""
    wanted = {key for key in keys if key}
    if sum(map(len, wanted)) * len(text) <= _PLAIN_SEARCH_WORK:
        return {key for key in wanted if key in text}
    return _find_by_automaton(wanted, text)


def split_decorators(content: str) -> tuple[dict[str, str], str]:
    """The `@@name value` lines at the head of an entry's content, and what stands below them."""
    decorators: dict[str, str] = {}
    lines = content.split("\n")
    for number, line in enumerate(lines):
        match = _DECORATOR.fullmatch(line.rstrip())
        if match is None:
            return decorators, "\n".join(lines[number:]).strip("\n") if decorators else content
        decorators.setdefault(match["name"], (match["value"] or "").strip())
    return decorators, ""


class _Scans:
    """The keys found in the text, for each way of looking; each way is scanned once, when first asked for."""

    def __init__(self, entries: list[dict[str, Any]], text: str) -> None:
        self._entries = entries
        self._text = text
        self._found: dict[tuple[bool, bool], set[str]] = {}

    def has_any(self, entry: dict[str, Any], keys: list[str]) -> bool:
        case_sensitive = entry.get("case_sensitive") is True
        whole_words = entry["extensions"].get("match_whole_words") is True
        way = (case_sensitive, whole_words)
        if way not in self._found:
            every_key = {
                _view(key.strip(), *way)
                for other in self._entries
                for key in other["keys"] + _secondary(other)
            }
            self._found[way] = find_keys(every_key, _view(self._text, *way))
        return any(_view(key.strip(), *way) in self._found[way] for key in keys if not is_pattern(entry, key))


def _comes_up(entry: dict[str, Any], scans: _Scans) -> bool:
    decorators, _content = split_decorators(entry["content"])
    if "dont_activate" in decorators:
        return False
    if entry.get("constant") is True or "activate" in decorators:
        return True
    if not scans.has_any(entry, entry["keys"]):
        return False
    second = _secondary(entry)
    return entry.get("selective") is not True or not second or scans.has_any(entry, second)


def _is_live(entry: dict[str, Any]) -> bool:
    return entry["enabled"] and bool(entry["content"].strip())


def _recent(texts: Sequence[str], depth: Any) -> str:
    if isinstance(depth, (int, float)):
        texts = texts[max(0, len(texts) - int(depth)) :]
    return "\n".join(texts)[-MAX_SCANNED:]


def _as_entry(index: int, entry: dict[str, Any]) -> LoreEntry:
    order = entry["insertion_order"]
    priority = entry.get("priority")
    return LoreEntry(
        index=index,
        name=str(entry.get("name") or entry.get("comment") or ""),
        content=split_decorators(entry["content"])[1],
        insertion_order=order,
        priority=order if priority is None else priority,
        constant=entry.get("constant") is True,
        position="after_char" if entry.get("position") == "after_char" else "before_char",
    )


def _view(text: str, case_sensitive: bool, whole_words: bool) -> str:
    seen = text if case_sensitive else text.casefold()
    if not whole_words:
        return seen
    words = re.sub(r"\W+", " ", seen).strip()
    return f" {words} " if words else ""


def _find_by_automaton(keys: set[str], text: str) -> set[str]:
    """Aho and Corasick's search: one pass over the text for all keys together."""
    children: list[dict[str, int]] = [{}]
    key_at: list[str | None] = [None]
    for key in keys:
        node = 0
        for char in key:
            if char not in children[node]:
                children[node][char] = len(children)
                children.append({})
                key_at.append(None)
            node = children[node][char]
        key_at[node] = key
    fail, shorter = _failure_links(children, key_at)
    visited = set()
    node = 0
    for char in text:
        while node and char not in children[node]:
            node = fail[node]
        node = children[node].get(char, 0)
        visited.add(node)
    found: set[str] = set()
    for start in visited:
        node = start if key_at[start] is not None else shorter[start]
        while node and key_at[node] not in found:
            found.add(str(key_at[node]))
            node = shorter[node]
    return found


def _failure_links(children: list[dict[str, int]], key_at: list[str | None]) -> tuple[list[int], list[int]]:
    """For each node the longest proper suffix in the tree, and the longest one that is a key."""
    fail = [0] * len(children)
    shorter = [0] * len(children)
    queue = deque(children[0].values())
    while queue:
        node = queue.popleft()
        for char, child in children[node].items():
            queue.append(child)
            link = fail[node]
            while link and char not in children[link]:
                link = fail[link]
            fail[child] = children[link].get(char, 0)
            shorter[child] = fail[child] if key_at[fail[child]] is not None else shorter[fail[child]]
    return fail, shorter


def _clean_entry(raw: Any, field: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Invalid.field(field, "wrong_type", _("An entry is an object."))
    content = raw.get("content", "")
    if not isinstance(content, str):
        raise Invalid.field(f"{field}.content", "wrong_type", _("The content is text."))
    if len(content) > MAX_CONTENT_LENGTH:
        raise Invalid.field(f"{field}.content", "too_long", _("The content is too long."))
    entry = {
        **raw,
        "keys": _keys(raw, "keys", field),
        "content": content,
        "extensions": _extensions(raw, field),
        "enabled": _flag(raw, "enabled", True, field),
        "insertion_order": _number(raw, "insertion_order", DEFAULT_ORDER, field),
        "use_regex": _flag(raw, "use_regex", False, field),
    }
    if "secondary_keys" in raw:
        entry["secondary_keys"] = _keys(raw, "secondary_keys", field)
    for name in ("constant", "selective", "case_sensitive"):
        _flag(raw, name, False, field)
    _number(raw, "priority", 0, field)
    return entry


def _keys(raw: dict[str, Any], name: str, field: str) -> list[str]:
    keys = raw.get(name) or []
    if isinstance(keys, str):
        keys = [key.strip() for key in keys.split(",") if key.strip()]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Invalid.field(f"{field}.{name}", "wrong_type", _("The keys are a list of words."))
    if len(keys) > MAX_KEYS or any(len(key) > MAX_KEY_LENGTH for key in keys):
        raise Invalid.field(f"{field}.{name}", "too_long", _("These are too many keys, or too long ones."))
    return keys


def _secondary(entry: dict[str, Any]) -> list[str]:
    return entry.get("secondary_keys") or []


def _extensions(raw: dict[str, Any], field: str) -> dict[str, Any]:
    extensions = raw.get("extensions") or {}
    if not isinstance(extensions, dict):
        raise Invalid.field(f"{field}.extensions", "wrong_type", _("Extensions are an object."))
    return extensions


def _flag(raw: dict[str, Any], name: str, default: bool, field: str) -> bool:
    value = raw.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise Invalid.field(f"{field}.{name}", "wrong_type", _("This is either true or false."))
    return value


def _number(raw: dict[str, Any], name: str, default: float, field: str) -> float:
    value = raw.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_NUMBER <= value <= _NUMBER:
        raise Invalid.field(f"{field}.{name}", "wrong_type", _("This is a number."))
    return value
