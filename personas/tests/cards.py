"""Cards written for the tests, in the shapes that are found in the wild."""

import base64
import json
import struct
import zlib
from typing import Any

from personas.tests.factories import make_picture

V1 = {
    "name": "Mirelle",
    "description": "A lamplighter in a harbour town.",
    "personality": "patient, dry",
    "scenario": "The last ferry has gone.",
    "first_mes": "*She trims the wick.* You missed it by a minute.",
    "mes_example": "<START>\n{{user}}: Is it always this foggy?\n{{char}}: Only when somebody asks.",
    "metadata": {"tool": {"name": "card-smith", "version": "1.2"}},
}

LOREBOOK: dict[str, Any] = {
    "name": "The harbour",
    "scan_depth": 4,
    "token_budget": 512,
    "recursive_scanning": False,
    "extensions": {"smith": {"colour": "grey"}},
    "entries": [
        {
            "keys": ["ferry", "Boat"],
            "secondary_keys": ["night"],
            "selective": True,
            "content": "The ferry leaves at nine and never waits.",
            "extensions": {"depth": 3, "probability": 100},
            "enabled": True,
            "insertion_order": 10,
            "case_sensitive": False,
            "name": "ferry",
            "priority": 5,
            "id": 1,
            "comment": "timetable",
            "constant": False,
            "position": "after_char",
        },
        {
            "keys": ["(a+)+$"],
            "content": "Never shown.",
            "extensions": {},
            "enabled": True,
            "insertion_order": 20,
            "use_regex": True,
        },
    ],
}


def v2_card() -> dict[str, Any]:
    return {
        "spec": "chara_card_v2",
        "spec_version": "2.0",
        "data": {
            **{name: value for name, value in V1.items() if name != "metadata"},
            "creator_notes": "Best read slowly.\nSecond line.",
            "system_prompt": "Speak in short sentences. {{original}}",
            "post_history_instructions": "Stay in the harbour.",
            "alternate_greetings": ["Back again?", "  indented  "],
            "tags": ["Harbour", "slice of life"],
            "creator": "Ilse",
            "character_version": "3",
            "character_book": LOREBOOK,
            "extensions": {"smith": {"deep": [1, 2.5, None, True, {"x": "é漢🌊"}]}, "world": "Harbour"},
            "unknown_field": {"kept": [1, 2, 3]},
        },
        "create_date": "2025-01-02",
        "name": "Mirelle",
        "first_mes": V1["first_mes"],
    }


def v3_card() -> dict[str, Any]:
    card = v2_card()
    return {
        **card,
        "spec": "chara_card_v3",
        "spec_version": "3.0",
        "data": {
            **card["data"],
            "nickname": "Mir",
            "creator_notes_multilingual": {"de": "Langsam lesen.", "ja": "ゆっくり読んで。"},
            "source": ["https://example.com/mirelle"],
            "assets": [{"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"}],
            "group_only_greetings": ["Evening, all."],
            "creation_date": 1735689600,
            "modification_date": 1735776000,
        },
    }


def as_json(card: Any) -> bytes:
    return json.dumps(card, ensure_ascii=False).encode()


def encoded(card: Any) -> bytes:
    return base64.b64encode(as_json(card))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def text_chunk(keyword: bytes, text: bytes) -> bytes:
    return chunk(b"tEXt", keyword + b"\x00" + text)


def packed_chunk(keyword: bytes, text: bytes) -> bytes:
    return chunk(b"zTXt", keyword + b"\x00\x00" + zlib.compress(text, 9))


def international_chunk(keyword: bytes, text: bytes, *, packed: bool = False) -> bytes:
    body = zlib.compress(text) if packed else text
    return chunk(b"iTXt", keyword + b"\x00" + bytes([packed, 0]) + b"en\x00\x00" + body)


def png_with(*chunks: bytes, picture: bytes = b"") -> bytes:
    """A small PNG with `chunks` after its header."""
    plain = picture or make_picture()
    return plain[:33] + b"".join(chunks) + plain[33:]
