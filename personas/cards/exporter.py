"""From a persona's fields and the card it came from to a card of the wanted version."""

import base64
import copy
from dataclasses import dataclass
from typing import Any

from personas.cards import png
from personas.cards.document import V1_FIELDS, Document, Spec, content_of, dump_document, spec_of
from personas.cards.fields import EXTENSION, OWN_FIELDS, TEXT_FIELDS, CardFields, changed_fields, read_fields

_HEADS = {
    "v2": {"spec": "chara_card_v2", "spec_version": "2.0"},
    "v3": {"spec": "chara_card_v3", "spec_version": "3.0"},
}
_V2_DEFAULTS: Document = {
    **dict.fromkeys(V1_FIELDS, ""),
    "creator_notes": "",
    "system_prompt": "",
    "post_history_instructions": "",
    "alternate_greetings": [],
    "tags": [],
    "creator": "",
    "character_version": "",
    "extensions": {},
}
_V3_DEFAULTS: Document = {**_V2_DEFAULTS, "group_only_greetings": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made the persona and when (Unix seconds), for cards that don't say so themselves."""

    creator: str
    created: int
    modified: int


def build_card(ours: CardFields, original: Document | None, spec: Spec, provenance: Provenance) -> Document:
    """A card with the values of `ours`, and with everything else as `original` has it."""
    content, around = _parts_of(original)
    changed = changed_fields(ours, read_fields(original) if original else None)
    updates = _as_card_fields(changed)
    if original is None:
        updates |= {"creator": provenance.creator, "creator_notes": ours.tagline}
    content.update(updates)
    around.update({name: value for name, value in updates.items() if name in around})
    if "lorebook" in changed and ours.lorebook is None:
        content.pop("character_book", None)
    own = {name: changed[name] for name in OWN_FIELDS if name in changed}
    if original is None:
        # The notes above say it already.
        own.pop("tagline", None)
    if own:
        _add_extension(content, own)
    if spec == "v1":
        return {**around, **{name: content.get(name, "") for name in V1_FIELDS}}
    if spec == "v3":
        _add_dates(content, provenance, is_new=original is None, is_changed=bool(changed))
    defaults = _V3_DEFAULTS if spec == "v3" else _V2_DEFAULTS
    missing = {name: copy.copy(value) for name, value in defaults.items() if name not in content}
    head = _head(original, spec)
    # Starting from the original keeps the order of its keys.
    return {**(original or head), **around, **head, "data": {**content, **missing}}


def as_json(document: Document) -> bytes:
    return dump_document(document)


def as_png(picture: bytes, *, chara: Document, ccv3: Document | None) -> bytes:
    """`picture` (a PNG) carrying the card for readers of version 2 and, where given, of version 3."""
    texts = {"chara": base64.b64encode(dump_document(chara))}
    if ccv3 is not None:
        texts["ccv3"] = base64.b64encode(dump_document(ccv3))
    return png.write_card_texts(picture, texts)


def _parts_of(original: Document | None) -> tuple[Document, Document]:
    """The description of the character, and what stands around it, both free to change."""
    if original is None:
        return {}, {}
    original = copy.deepcopy(original)
    if spec_of(original) == "v1":
        known = {*V1_FIELDS, *_V3_DEFAULTS, "character_book"}
        content = {name: value for name, value in original.items() if name in known}
        return content, original
    around = {name: value for name, value in original.items() if name not in ("spec", "spec_version", "data")}
    return content_of(original), around


def _as_card_fields(changed: dict[str, Any]) -> Document:
    updates: Document = {theirs: changed[ours] for ours, theirs in TEXT_FIELDS.items() if ours in changed}
    if "name" in changed:
        updates["name"] = changed["name"]
    for name in ("tags", "alternate_greetings"):
        if name in changed:
            updates[name] = list(changed[name])
    if changed.get("lorebook") is not None:
        updates["character_book"] = changed["lorebook"]
    return updates


def _add_extension(content: Document, own: dict[str, str]) -> None:
    extensions = content.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    before = extensions.get(EXTENSION)
    content["extensions"] = {**extensions, EXTENSION: {**(before if isinstance(before, dict) else {}), **own}}


def _add_dates(content: Document, provenance: Provenance, *, is_new: bool, is_changed: bool) -> None:
    if is_new:
        content.setdefault("creation_date", provenance.created)
    if is_new or (is_changed and "modification_date" in content):
        content["modification_date"] = provenance.modified


def _head(original: Document | None, spec: Spec) -> Document:
    """Keeps the exact `spec_version` of a card that is of the wanted version already."""
    head = dict(_HEADS[spec])
    if original is not None and spec_of(original) == spec and isinstance(original.get("spec_version"), str):
        head["spec_version"] = original["spec_version"]
    return head
