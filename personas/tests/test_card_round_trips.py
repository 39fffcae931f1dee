"""Cards leave as they came, with the owner's edits and nothing else changed."""

import copy
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personas.cards import exporter, png
from personas.cards.document import parse_document
from personas.cards.exporter import Provenance, build_card
from personas.cards.fields import CardFields, read_fields
from personas.cards.importer import read_card
from personas.lore import clean_lorebook
from personas.tests.cards import LOREBOOK, V1, as_json, encoded, png_with, text_chunk, v2_card, v3_card
from personas.tests.factories import make_picture

WHO = Provenance(creator="Ilse", created=1_700_000_000, modified=1_700_000_500)

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=12,
)
names = text.filter(lambda name: bool(name.strip()))
entries = st.fixed_dictionaries(
    {"keys": st.lists(text, max_size=3), "content": text},
    optional={
        "extensions": st.dictionaries(text, json_values, max_size=2),
        "enabled": st.booleans(),
        "insertion_order": st.integers(-100, 100),
        "secondary_keys": st.lists(text, max_size=2),
        "use_regex": st.booleans(),
        "x_unknown": json_values,
    },
)
contents = st.fixed_dictionaries(
    {"name": names, "first_mes": text},
    optional={
        "description": text,
        "tags": st.lists(text, max_size=30),
        "creator_notes": text,
        "alternate_greetings": st.lists(text, max_size=3),
        "extensions": st.dictionaries(text, json_values, max_size=3),
        "character_book": st.fixed_dictionaries({"entries": st.lists(entries, max_size=3)}),
        "assets": st.lists(st.dictionaries(text, text, max_size=2), max_size=2),
        "creator_notes_multilingual": st.dictionaries(text, text, max_size=2),
        "x_unknown": json_values,
    },
)
extras = st.dictionaries(text.filter(lambda key: key not in ("spec", "data")), json_values, max_size=3)
SPECS = {"v2": ("chara_card_v2", "2.0"), "v3": ("chara_card_v3", "3.0")}


def wrapped(content: dict[str, Any], spec: str, around: dict[str, Any] | None = None) -> dict[str, Any]:
    name, version = SPECS[spec]
    return {**(around or {}), "spec": name, "spec_version": version, "data": content}


def is_within(small: Any, large: Any) -> bool:
    """Whether everything `small` says is in `large` unchanged; `large` may say more."""
    if isinstance(small, dict):
        return isinstance(large, dict) and all(
            key in large and is_within(value, large[key]) for key, value in small.items()
        )
    return bool(small == large)


@pytest.mark.parametrize(
    ("card", "spec"), [(v2_card(), "v2"), (v3_card(), "v3")], ids=["version 2", "version 3"]
)
def test_an_unchanged_card_leaves_letter_for_letter(card: dict[str, Any], spec: Literal["v2", "v3"]) -> None:
    written = build_card(read_fields(card), card, spec, WHO)
    assert exporter.as_json(written) == json.dumps(card, ensure_ascii=False, separators=(",", ":")).encode()


def test_an_unchanged_card_of_version_1_leaves_as_it_came() -> None:
    assert build_card(read_fields(V1), V1, "v1", WHO) == V1


@settings(max_examples=150, deadline=None)
@given(contents, extras, st.sampled_from(["v2", "v3"]))
def test_whatever_a_card_says_comes_out_again(
    content: dict[str, Any], around: dict[str, Any], spec: Literal["v2", "v3"]
) -> None:
    card = wrapped(content, spec, around)
    before = copy.deepcopy(card)
    written = json.loads(exporter.as_json(build_card(read_fields(card), card, spec, WHO)))
    assert is_within(before, written)
    assert card == before
    assert read_fields(written) == read_fields(card)


@settings(max_examples=100, deadline=None)
@given(contents, st.sampled_from(["v2", "v3"]), st.sampled_from(["v2", "v3"]), names, text)
def test_edits_come_out_and_everything_else_stays(
    content: dict[str, Any],
    source: Literal["v2", "v3"],
    target: Literal["v2", "v3"],
    name: str,
    greeting: str,
) -> None:
    card = wrapped(content, source)
    edited = replace(
        read_fields(card), name=" ".join(name.split()) or "x", greeting=greeting, tagline="Now ours"
    )
    written = build_card(edited, card, target, WHO)
    assert read_fields(written) == edited
    kept = {key: value for key, value in content.items() if key not in ("name", "first_mes", "extensions")}
    assert is_within(kept, written["data"])
    assert is_within(content.get("extensions", {}), written["data"]["extensions"])


@settings(max_examples=100, deadline=None)
@given(
    st.builds(
        CardFields,
        name=names.map(lambda name: " ".join(name.split()) or "x"),
        description=text,
        greeting=text,
        alternate_greetings=st.lists(text, max_size=3).map(tuple),
        personality=text,
        system_prompt=text,
        tags=st.lists(st.sampled_from(["harbour", "slow burn", "漢字"]), unique=True).map(tuple),
        lorebook=st.none()
        | st.fixed_dictionaries({"entries": st.lists(entries, max_size=3)}).map(clean_lorebook),
        tagline=st.sampled_from(["", "One line."]),
        rating=st.sampled_from(["everyone", "teen"]),
        temperature=st.sampled_from(["", "0.7"]),
    ),
    st.sampled_from(["v2", "v3"]),
)
def test_a_persona_made_here_travels_whole(ours: CardFields, spec: Literal["v2", "v3"]) -> None:
    written = build_card(ours, None, spec, WHO)
    assert read_fields(parse_document(exporter.as_json(written))) == ours


def test_an_edited_field_is_changed_in_its_copy_at_the_root_too() -> None:
    edited = replace(read_fields(v2_card()), greeting="You again.")
    written = build_card(edited, v2_card(), "v2", WHO)
    assert (written["first_mes"], written["data"]["first_mes"]) == ("You again.", "You again.")
    assert written["create_date"] == "2025-01-02"


def test_what_cards_have_no_field_for_travels_in_our_extension() -> None:
    edited = replace(read_fields(v2_card()), category="mystery", rating="teen", temperature="0.7")
    written = build_card(edited, v2_card(), "v2", WHO)
    assert written["data"]["extensions"]["parlor"] == {
        "category": "mystery",
        "rating": "teen",
        "temperature": "0.7",
    }
    assert written["data"]["extensions"]["smith"] == v2_card()["data"]["extensions"]["smith"]
    assert written["data"]["creator_notes"] == "Best read slowly.\nSecond line."


def test_a_card_made_here_names_its_maker_and_its_days() -> None:
    data = build_card(CardFields(name="Ada", tagline="Numbers."), None, "v3", WHO)["data"]
    assert (data["creator"], data["creator_notes"], data["creation_date"], data["modification_date"]) == (
        "Ilse",
        "Numbers.",
        1_700_000_000,
        1_700_000_500,
    )
    assert data["group_only_greetings"] == []
    assert "parlor" not in data["extensions"]


def test_an_edit_moves_the_modification_date_and_never_the_creation_date() -> None:
    edited = replace(read_fields(v3_card()), greeting="New")
    data = build_card(edited, v3_card(), "v3", WHO)["data"]
    assert (data["creation_date"], data["modification_date"]) == (1735689600, 1_700_000_500)


def test_a_removed_lorebook_is_gone_and_an_edited_one_comes_out() -> None:
    without = build_card(replace(read_fields(v2_card()), lorebook=None), v2_card(), "v2", WHO)
    assert "character_book" not in without["data"]
    book = clean_lorebook({**LOREBOOK, "name": "The quay"})
    edited = build_card(replace(read_fields(v2_card()), lorebook=book), v2_card(), "v2", WHO)
    assert edited["data"]["character_book"]["name"] == "The quay"
    assert edited["data"]["character_book"]["extensions"] == {"smith": {"colour": "grey"}}


def test_a_version_1_card_grows_into_2_and_3_with_every_required_field() -> None:
    for spec, required in (("v2", 14), ("v3", 15)):
        written = build_card(read_fields(V1), V1, spec, WHO)  # type: ignore[arg-type]
        assert written["metadata"] == V1["metadata"]
        assert len(written["data"]) == required + (1 if spec == "v3" and "creation_date" in written else 0)
        assert read_fields(written) == read_fields(V1)


def test_a_picture_carries_both_cards_and_no_others() -> None:
    old = png_with(text_chunk(b"chara", encoded(V1)), text_chunk(b"Title", b"kept"), picture=make_picture())
    data = exporter.as_png(old, chara=v2_card(), ccv3=v3_card())
    assert png.read_card_texts(data).keys() == {"chara", "ccv3"}
    assert read_card(data).document == v3_card()
    assert b"Title\x00kept" in data
    only_v2 = exporter.as_png(data, chara=v2_card(), ccv3=None)
    assert read_card(only_v2).document == v2_card()


@pytest.mark.skipif("PARLOR_TEST_CARD" not in os.environ, reason="PARLOR_TEST_CARD names no card file")
def test_a_real_card_leaves_as_it_came() -> None:
    data = Path(os.environ["PARLOR_TEST_CARD"]).read_bytes()
    card = read_card(data)
    spec: Literal["v2", "v3"] = "v3" if card.document["spec"] == "chara_card_v3" else "v2"
    written = build_card(card.fields, card.document, spec, WHO)
    assert as_json(written) == as_json(card.document)
