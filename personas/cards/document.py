"""Character cards as JSON: parsed strictly, and recognised by their version."""

import json
import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, Literal, NoReturn

from django.utils.translation import gettext_lazy as _

from personas.cards.errors import CardTooLarge, InvalidCard
from personas.cards.limits import MAX_DEPTH, MAX_JSON_BYTES

Spec = Literal["v1", "v2", "v3"]
Document = dict[str, Any]

SPECS: dict[str, Spec] = {"chara_card_v2": "v2", "chara_card_v3": "v3"}
V1_FIELDS = ("name", "description", "personality", "scenario", "first_mes", "mes_example")


def parse_document(data: bytes) -> Document:
    """The JSON object in `data`.

    Raises CardTooLarge over 256 KB, InvalidCard for text that is not UTF-8 or not JSON, for anything but an
    object, for nesting deeper than 32, numbers no computer holds and characters no database stores.
    """
    if len(data) > MAX_JSON_BYTES:
        raise CardTooLarge(_("A card may hold at most 256 KB of text."))
    try:
        # Editors on Windows put a byte order mark before the text.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidCard("card_not_utf8", _("The card's text is not valid UTF-8.")) from error
    try:
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise InvalidCard("card_not_json", _("The card is not valid JSON.")) from error
    if not isinstance(document, dict):
        raise InvalidCard("card_not_json", _("The card is not a JSON object."))
    check_tree(document)
    return document


def check_tree(value: Any) -> None:
    """Raises InvalidCard where parsed JSON is nested too deep or holds text that can't be stored."""
    level: list[Any] = [value]
    for _depth in range(MAX_DEPTH + 1):
        containers = [node for node in level if isinstance(node, (dict, list))]
        for node in level:
            if isinstance(node, str):
                _check_text(node)
        if not containers:
            return
        level = [child for node in containers for child in _children(node)]
    raise _too_deep()


def spec_of(document: Document) -> Spec:
    """Which version of the card format this is; raises InvalidCard for none of them."""
    spec = document.get("spec")
    if isinstance(spec, str) and spec in SPECS:
        if not isinstance(document.get("data"), dict):
            raise InvalidCard("card_incomplete", _("The card has no data."))
        return SPECS[spec]
    if spec is None and "name" in document and any(field in document for field in V1_FIELDS[1:]):
        return "v1"
    raise InvalidCard("card_unknown_spec", _("This is not a character card of version 1, 2 or 3."))


def content_of(document: Document) -> Document:
    """The part of the card that describes the character."""
    return document if spec_of(document) == "v1" else document["data"]


def dump_document(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return chain(node.keys(), node.values()) if isinstance(node, dict) else node


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise InvalidCard("card_bad_text", _("The card holds characters that can't be stored."))
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidCard("card_bad_text", _("The card holds characters that can't be stored.")) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text[:40])
    return number


def _too_deep() -> InvalidCard:
    return InvalidCard("card_too_deep", _("The card is nested too deep."))
