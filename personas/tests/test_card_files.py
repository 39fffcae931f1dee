"""X43: cards of every version are read, and hostile files are refused quickly with stable codes."""

import json
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DomainError
from personas.cards import png
from personas.cards.errors import CardTooLarge, InvalidCard, NotACard
from personas.cards.importer import read_card
from personas.cards.limits import MAX_FILE_BYTES, MAX_JSON_BYTES
from personas.lore import MAX_ENTRIES
from personas.tests.cards import (
    LOREBOOK,
    V1,
    as_json,
    chunk,
    encoded,
    international_chunk,
    packed_chunk,
    png_with,
    text_chunk,
    v2_card,
    v3_card,
)
from personas.tests.factories import make_picture


def refusal_of(data: bytes) -> str:
    with pytest.raises(DomainError) as refusal:
        read_card(data)
    assert refusal.value.status in (413, 415, 422)
    return refusal.value.fields[0].code


@pytest.mark.parametrize("card", [V1, v2_card(), v3_card()], ids=["v1", "v2", "v3"])
def test_a_json_card_of_each_version_is_read_and_kept_whole(card: dict[str, Any]) -> None:
    read = read_card(as_json(card))
    assert read.document == card
    assert read.picture is None
    assert (read.fields.name, read.fields.greeting, read.fields.scenario) == (
        "Mirelle",
        "*She trims the wick.* You missed it by a minute.",
        "The last ferry has gone.",
    )


def test_the_fields_of_a_version_2_card_are_found() -> None:
    fields = read_card(as_json(v2_card())).fields
    assert fields.tagline == "Best read slowly."
    assert fields.alternate_greetings == ("Back again?", "  indented  ")
    assert fields.tags == ("harbour", "slice of life")
    assert fields.system_prompt == "Speak in short sentences. {{original}}"
    assert fields.post_history_instructions == "Stay in the harbour."
    assert fields.lorebook is not None
    assert [entry["use_regex"] for entry in fields.lorebook["entries"]] == [False, True]


@pytest.mark.parametrize(
    "make", [text_chunk, packed_chunk, international_chunk], ids=["tEXt", "zTXt", "iTXt"]
)
def test_a_card_is_found_in_every_kind_of_text_chunk(make: Any) -> None:
    data = png_with(make(b"chara", encoded(v2_card())))
    assert read_card(data).document == v2_card()


def test_a_compressed_international_chunk_is_read() -> None:
    data = png_with(international_chunk(b"ccv3", encoded(v3_card()), packed=True))
    assert read_card(data).document == v3_card()


@pytest.mark.parametrize("order", [1, -1])
def test_version_3_is_preferred_wherever_it_stands(order: int) -> None:
    both = [text_chunk(b"chara", encoded(v2_card())), text_chunk(b"ccv3", encoded(v3_card()))]
    assert read_card(png_with(*both[::order])).document == v3_card()


def test_other_text_in_the_picture_does_not_matter() -> None:
    data = png_with(text_chunk(b"Comment", b"hello"), text_chunk(b"chara", encoded(V1)))
    assert read_card(data).document == V1


def test_a_byte_order_mark_before_the_text_is_skipped() -> None:
    assert read_card(b"\xef\xbb\xbf" + as_json(V1)).document == V1


def test_a_text_bomb_is_refused_without_being_inflated() -> None:
    bomb = packed_chunk(b"chara", b"A" * 64 * 1024 * 1024)
    started = time.perf_counter()
    assert refusal_of(png_with(bomb)) == "card_too_large"
    assert time.perf_counter() - started < 0.5


def test_a_bomb_under_another_keyword_is_not_looked_at() -> None:
    bomb = packed_chunk(b"Comment", b"A" * 64 * 1024 * 1024)
    data = png_with(bomb, text_chunk(b"chara", encoded(V1)))
    assert read_card(data).document == V1
    assert bomb not in png.without_texts(data)


def test_a_hundred_thousand_lore_entries_are_refused() -> None:
    card = v2_card()
    card["data"]["character_book"] = {**LOREBOOK, "entries": [{"keys": [], "content": ""}] * 100_000}
    assert refusal_of(as_json(card)) == "card_too_large"
    small = json.dumps({"spec": "chara_card_v2", "data": {"name": "x", "character_book": {"entries": [0]}}})
    many = small.replace("[0]", "[" + ",".join(["{}"] * (MAX_ENTRIES + 1)) + "]")
    assert refusal_of(many.encode()) == "too_many_entries"


@pytest.mark.parametrize("keyword", [b"chara", b"ccv3"])
def test_a_keyword_that_comes_twice_is_refused(keyword: bytes) -> None:
    twice = [text_chunk(keyword, encoded(V1)), packed_chunk(keyword, encoded(v2_card()))]
    assert refusal_of(png_with(*twice)) == "card_duplicate_chunk"


def test_patterns_in_lore_keys_are_kept_and_not_compiled() -> None:
    card = v3_card()
    card["data"]["character_book"]["entries"][1]["keys"] = ["(", "(a+)+$"]
    fields = read_card(as_json(card)).fields
    assert fields.lorebook is not None
    assert fields.lorebook["entries"][1]["keys"] == ["(", "(a+)+$"]


def _nested(depth: int) -> bytes:
    return b'{"name":"x","description":"","x":' + b"[" * depth + b"]" * depth + b"}"


def test_nesting_is_read_down_to_32_levels() -> None:
    assert read_card(_nested(31)).fields.name == "x"
    assert refusal_of(_nested(32)) == "card_too_deep"
    assert refusal_of(_nested(100_000)) == "card_too_deep"


def test_text_is_read_up_to_256_kilobytes() -> None:
    frame = len(as_json({**V1, "metadata": ""}))
    largest = as_json({**V1, "metadata": "x" * (MAX_JSON_BYTES - frame)})
    assert len(largest) == MAX_JSON_BYTES
    assert read_card(largest).fields.name == "Mirelle"
    assert refusal_of(largest + b" ") == "card_too_large"
    assert refusal_of(b"{" + b" " * MAX_FILE_BYTES) == "card_too_large"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "card_unknown_format"),
        (b"GIF89a", "card_unknown_format"),
        (b"PK\x03\x04", "card_unknown_format"),
        (b"<svg/>", "card_unknown_format"),
        (b"[1]", "card_unknown_format"),
        (b"{", "card_not_json"),
        (b'{"name": NaN}', "card_not_json"),
        (b'{"name": 1e999}', "card_not_json"),
        (b'{"name": ' + b"1" * 5000 + b"}", "card_not_json"),
        (b'{"name": "\xff"}', "card_not_utf8"),
        (b'{"name": "x\\u0000", "description": ""}', "card_bad_text"),
        (b'{"name": "\\ud800", "description": ""}', "card_bad_text"),
        (b'{"name": "x", "description": "", "\\udfff": 1}', "card_bad_text"),
        (b"{}", "card_unknown_spec"),
        (b'{"name": "x"}', "card_unknown_spec"),
        (b'{"spec": "chara_card_v9", "data": {"name": "x"}}', "card_unknown_spec"),
        (b'{"spec": ["chara_card_v2"], "data": {"name": "x"}}', "card_unknown_spec"),
        (b'{"spec": "chara_card_v2"}', "card_incomplete"),
        (b'{"spec": "chara_card_v2", "data": []}', "card_incomplete"),
        (b'{"spec": "chara_card_v2", "data": {}}', "card_without_name"),
        (b'{"name": "  ", "description": ""}', "card_without_name"),
        (b'{"name": 5, "description": ""}', "card_wrong_type"),
        (b'{"name": "x", "description": {"a": 1}}', "card_wrong_type"),
        (b'{"name": "x", "first_mes": "", "tags": "a,b"}', "card_wrong_type"),
        (b'{"name": "x", "first_mes": "", "alternate_greetings": [1]}', "card_wrong_type"),
        (b'{"name": "x", "first_mes": "", "character_book": []}', "wrong_type"),
        (b'{"name": "x", "first_mes": "", "character_book": {"entries": {}}}', "wrong_type"),
        (b'{"name": "x", "first_mes": "", "character_book": {"entries": [{"keys": [1]}]}}', "wrong_type"),
        (b'{"name": "x", "description": "' + b"a" * 50_001 + b'"}', "card_field_too_long"),
    ],
)
def test_unusable_json_is_refused_with_its_reason(data: bytes, code: str) -> None:
    assert refusal_of(data) == code


def _damage(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (make_picture(), "card_missing"),
        (png.SIGNATURE, "card_damaged"),
        (png_with(text_chunk(b"chara", encoded(V1)))[:60], "card_damaged"),
        (_damage(png_with(text_chunk(b"chara", encoded(V1))), 60), "card_damaged"),
        (png.SIGNATURE + chunk(b"IDAT", b""), "card_damaged"),
        (png_with(text_chunk(b"chara", b"")), "card_not_json"),
        (png_with(text_chunk(b"ccv3", b"")), "card_not_json"),
        (png_with(text_chunk(b"chara", b"!!!!")), "card_not_base64"),
        (png_with(text_chunk(b"chara", b"e30")), "card_not_base64"),
        (png_with(text_chunk(b"chara", b"e30=")), "card_unknown_spec"),
        (png_with(chunk(b"zTXt", b"chara\x00\x00garbage")), "card_damaged"),
        (png_with(chunk(b"zTXt", b"chara\x00\x05" + zlib.compress(b"e30="))), "card_damaged"),
        (png_with(chunk(b"zTXt", b"chara\x00\x00" + zlib.compress(b"e30=" * 9)[:-6])), "card_damaged"),
        (png_with(chunk(b"iTXt", b"chara\x00\x02\x00\x00\x00e30=")), "card_damaged"),
        (png_with(chunk(b"iTXt", b"chara\x00\x00\x00en")), "card_damaged"),
        (png_with(text_chunk(b"chara", b"A" * 400_000)), "card_too_large"),
        (png_with(*[chunk(b"tIME", b"")] * 20_001), "card_too_many_chunks"),
    ],
)
def test_unusable_pictures_are_refused_with_their_reason(data: bytes, code: str) -> None:
    assert refusal_of(data) == code


@pytest.mark.parametrize(
    ("width", "height", "code"),
    [
        (50_000, 50_000, "image_too_many_pixels"),
        (40_000_001, 1, "image_too_many_pixels"),
        (0, 10, "card_damaged"),
    ],
)
def test_the_size_of_the_picture_is_checked_before_anything_is_decoded(
    width: int, height: int, code: str
) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = png.SIGNATURE + header + text_chunk(b"chara", encoded(V1)) + chunk(b"IEND", b"")
    assert refusal_of(data) == code


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"tEXt", b"zTXt", b"iTXt"]))
def test_no_bytes_make_the_reader_fall_over(noise: bytes, kind: bytes) -> None:
    for data in (
        noise,
        b"{" + noise,
        png.SIGNATURE + noise,
        png_with(chunk(kind, b"chara\x00" + noise)),
    ):
        try:
            read_card(data)
        except (InvalidCard, CardTooLarge, NotACard):
            pass


@pytest.mark.skipif("PARLOR_TEST_CARD" not in os.environ, reason="PARLOR_TEST_CARD names no card file")
def test_a_real_card_is_read_whole() -> None:
    data = Path(os.environ["PARLOR_TEST_CARD"]).read_bytes()
    read = read_card(data)
    assert read.fields.name
    assert read.fields.greeting
    assert read.picture == data
