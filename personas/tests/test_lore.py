"""D4: the entries of a lorebook come up when their keys do, in time linear in what is read."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Invalid
from personas import lore
from personas.cards.importer import read_card
from personas.lore import clean_lorebook, find_keys, matching_entries


def book(*entries: dict[str, Any], **fields: Any) -> lore.Lorebook:
    return clean_lorebook({"entries": [{"content": "It is so.", **entry} for entry in entries], **fields})


def found(lorebook: lore.Lorebook, *texts: str) -> list[int]:
    return [entry.index for entry in matching_entries(lorebook, texts)]


def test_an_entry_comes_up_with_any_of_its_keys_whatever_their_case() -> None:
    lorebook = book({"keys": ["Ferry", "quay"]}, {"keys": ["lamp"]})
    assert found(lorebook, "Is there a FERRY tonight?") == [0]
    assert found(lorebook, "the lamp on the quay") == [0, 1]
    assert found(lorebook, "nothing") == []


def test_a_case_sensitive_entry_wants_the_very_letters() -> None:
    lorebook = book({"keys": ["Hope"], "case_sensitive": True})
    assert found(lorebook, "I hope so") == []
    assert found(lorebook, "Hope waved") == [0]


def test_case_is_folded_in_every_script() -> None:
    assert found(book({"keys": ["STRASSE"]}), "in der Straße") == [0]
    assert found(book({"keys": ["ПРИСТАНЬ"]}), "на пристань") == [0]


def test_a_selective_entry_wants_a_second_key_too() -> None:
    lorebook = book({"keys": ["ferry"], "secondary_keys": ["night"], "selective": True})
    assert found(lorebook, "the ferry") == []
    assert found(lorebook, "the night") == []
    assert found(lorebook, "the ferry", "at night") == [0]


def test_second_keys_do_not_matter_without_selective_or_when_there_are_none() -> None:
    lorebook = book({"keys": ["ferry"], "secondary_keys": ["night"]}, {"keys": ["ferry"], "selective": True})
    assert found(lorebook, "the ferry") == [0, 1]


def test_a_constant_entry_is_always_there_and_a_disabled_or_empty_one_never() -> None:
    lorebook = book(
        {"keys": [], "constant": True},
        {"keys": ["ferry"], "constant": True, "enabled": False},
        {"keys": ["ferry"], "content": "  "},
    )
    assert found(lorebook, "the ferry") == [0]


def test_patterns_are_never_run_nor_found_by_their_letters() -> None:
    lorebook = book(
        {"keys": ["(a+)+$", "fer+y", "/quay/i", "\\bx\\b", "["], "use_regex": True},
        {"keys": ["ferry"], "secondary_keys": ["n.*t"], "selective": True, "use_regex": True},
    )
    assert found(lorebook, "the ferry at the quay (a+)+$ fer+y /quay/i [ x n.*t night " + "a" * 100) == []


def test_plain_keys_count_where_an_editor_marked_everything_as_patterns() -> None:
    lorebook = book(
        {"keys": ["Eldoria", "magical forest"], "use_regex": True},
        {"keys": ["St. Anne", "(x)"], "use_regex": True},
        {"keys": [], "constant": True, "use_regex": True},
    )
    assert found(lorebook, "a walk in the magical forest of st. anne") == [0, 1, 2]
    assert found(lorebook, "nothing") == [2]


def test_brackets_are_letters_in_keys_that_are_no_patterns() -> None:
    assert found(book({"keys": ["(sic)"]}), "he said so (sic)") == [0]


def test_entries_enter_by_insertion_order_then_as_they_stand() -> None:
    lorebook = book(
        {"keys": ["x"], "insertion_order": 5},
        {"keys": ["x"], "insertion_order": -1},
        {"keys": ["x"], "insertion_order": 5},
        {"keys": ["x"]},
    )
    assert found(lorebook, "x") == [1, 0, 2, 3]


def test_only_the_newest_texts_within_the_scan_depth_count() -> None:
    lorebook = book({"keys": ["ferry"]}, scan_depth=2)
    assert found(lorebook, "ferry", "two", "three") == []
    assert found(lorebook, "one", "ferry", "three") == [0]
    assert found(book({"keys": ["ferry"]}, scan_depth=0), "ferry") == []
    assert found(book({"keys": ["ferry"]}), "ferry", *"abcdefgh") == [0]


def test_whole_words_are_wanted_where_the_card_says_so() -> None:
    lorebook = book({"keys": ["art", "sea wall"], "extensions": {"match_whole_words": True}})
    assert found(lorebook, "let us start") == []
    assert found(lorebook, "an art.") == [0]
    assert found(lorebook, "the sea-wall!") == [0]


def test_blanks_around_keys_do_not_matter_and_empty_keys_match_nothing() -> None:
    assert found(book({"keys": [" ferry "]}), "ferry") == [0]
    assert found(book({"keys": ["", "  "]}), "  anything") == []


def test_decorators_are_followed_or_dropped_and_never_shown() -> None:
    lorebook = book(
        {"keys": ["x"], "content": "@@depth 4\n@@@activate\n\nShown."},
        {"keys": ["never"], "content": "@@activate\nAlways."},
        {"keys": ["x"], "content": "@@dont_activate\nNever."},
        {"keys": ["x"], "content": "Mail me@@home\n@@later stays"},
    )
    assert [entry.content for entry in matching_entries(lorebook, ["x"])] == [
        "Shown.",
        "Always.",
        "Mail me@@home\n@@later stays",
    ]


def test_an_entry_tells_what_the_prompt_needs_to_know() -> None:
    lorebook = book(
        {"keys": ["x"], "name": "Quay", "priority": 7, "position": "after_char", "insertion_order": 3},
        {"keys": ["x"], "comment": "no name", "insertion_order": 9},
    )
    first, second = matching_entries(lorebook, ["x"])
    assert first == lore.LoreEntry(0, "Quay", "It is so.", 3, 7, False, "after_char")
    assert second == lore.LoreEntry(1, "no name", "It is so.", 9, 9, False, "before_char")


def test_no_lorebook_brings_up_nothing() -> None:
    assert matching_entries(None, ["x"]) == []
    assert matching_entries({}, ["x"]) == []


words = st.text("ab ", min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.sets(words, max_size=12), st.text("ab ", max_size=60))
def test_both_ways_of_searching_find_the_same(keys: set[str], text: str) -> None:
    expected = {key for key in keys if key in text}
    assert find_keys(keys, text) == expected
    assert lore._find_by_automaton(keys, text) == expected


def test_a_hostile_lorebook_does_not_hold_the_server() -> None:
    keys = [["a" * 45 + letter + "a" * (number % 50)] for number, letter in enumerate("bcde" * 170)]
    lorebook = book(
        *({"keys": entry, "case_sensitive": number % 2 == 0} for number, entry in enumerate(keys))
    )
    started = time.perf_counter()
    assert found(lorebook, "a" * 1_000_000) == []
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        ([], "lorebook", "wrong_type"),
        ({"entries": {}}, "lorebook.entries", "wrong_type"),
        ({"entries": [1]}, "lorebook.entries.0", "wrong_type"),
        ({"entries": [{}] * 1001}, "lorebook.entries", "too_many_entries"),
        ({"entries": [{"keys": [1]}]}, "lorebook.entries.0.keys", "wrong_type"),
        ({"entries": [{"keys": ["x"] * 101}]}, "lorebook.entries.0.keys", "too_long"),
        ({"entries": [{"keys": ["x" * 201]}]}, "lorebook.entries.0.keys", "too_long"),
        ({"entries": [{"keys": ["x" * 200] * 100}] * 3}, "lorebook", "too_many_keys"),
        ({"entries": [{"content": 5}]}, "lorebook.entries.0.content", "wrong_type"),
        ({"entries": [{"content": "x" * 50_001}]}, "lorebook.entries.0.content", "too_long"),
        ({"entries": [{"enabled": "yes"}]}, "lorebook.entries.0.enabled", "wrong_type"),
        ({"entries": [{"insertion_order": True}]}, "lorebook.entries.0.insertion_order", "wrong_type"),
        ({"entries": [{"insertion_order": 10**400}]}, "lorebook.entries.0.insertion_order", "wrong_type"),
        ({"entries": [{"priority": "1"}]}, "lorebook.entries.0.priority", "wrong_type"),
        ({"entries": [{"extensions": [1]}]}, "lorebook.entries.0.extensions", "wrong_type"),
        ({"scan_depth": -1}, "lorebook.scan_depth", "out_of_range"),
        ({"token_budget": "many"}, "lorebook.token_budget", "wrong_type"),
        ({"name": 5}, "lorebook.name", "wrong_type"),
        ({"extensions": 5}, "lorebook.extensions", "wrong_type"),
    ],
)
def test_a_wrong_lorebook_is_refused_with_the_field(raw: Any, field: str, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        clean_lorebook(raw)
    assert [(error.field, error.code) for error in refusal.value.fields] == [(field, code)]


def test_what_a_lorebook_leaves_out_is_filled_in_and_what_is_unknown_is_kept() -> None:
    cleaned = clean_lorebook({"x": 1, "entries": [{"keys": None, "secondary_keys": "a, b", "y": [2]}]})
    assert cleaned == {
        "x": 1,
        "extensions": {},
        "entries": [
            {
                "keys": [],
                "secondary_keys": ["a", "b"],
                "y": [2],
                "content": "",
                "extensions": {},
                "enabled": True,
                "insertion_order": 100,
                "use_regex": False,
            }
        ],
    }


@pytest.mark.skipif("PARLOR_TEST_CARD" not in os.environ, reason="PARLOR_TEST_CARD names no card file")
def test_the_entries_of_a_real_card_come_up_by_each_of_their_keys() -> None:
    lorebook = read_card(Path(os.environ["PARLOR_TEST_CARD"]).read_bytes()).fields.lorebook
    assert lorebook is not None
    for index, entry in enumerate(lorebook["entries"]):
        for key in entry["keys"]:
            assert index in found(lorebook, f"Tell me of {key}, please.")
