"""The event-stream reader against the standard's rules, cut in every place."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.providers.sse import EventStreamReader, EventTooLarge

CASES = {
    "one event": (b"data: a\n\n", [b"a"]),
    "no space after the colon": (b"data:a\n\n", [b"a"]),
    "only one space is taken": (b"data:  a\n\n", [b" a"]),
    "several lines are joined": (b"data: a\ndata: b\ndata\n\n", [b"a\nb\n"]),
    "crlf": (b"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "cr": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", [b"a", b"b", b"c"]),
    "comments, ids and unknown fields": (b": hi\n\nid: 1\nretry: 2\nfoo: x\ndata: a\n\n", [b"a"]),
    "an event without data": (b"event: ping\n\ndata: a\n\n", [b"a"]),
    "a field that only begins like data": (b"database: x\ndata: a\n\n", [b"a"]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "an end without blank line is not delivered": (b"data: a\n\ndata: b\n", [b"a"]),
    "characters beyond ascii": ("data: žluťoučký 🐎\n\n".encode(), ["žluťoučký 🐎".encode()]),
    "line ends of unicode do not count": ("data: a\u2028b\x0bc\n\n".encode(), ["a\u2028b\x0bc".encode()]),
}


@pytest.mark.parametrize(("stream", "events"), CASES.values(), ids=CASES.keys())
def test_reads_the_same_events_however_the_bytes_are_cut(stream: bytes, events: list[bytes]) -> None:
    assert _read([stream]) == events
    assert _read([stream[index : index + 1] for index in range(len(stream))]) == events
    for cut in range(len(stream) + 1):
        assert _read([stream[:cut], stream[cut:]]) == events


@given(
    events=st.lists(st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]))),
    seed=st.integers(0, 2**32),
)
def test_any_text_survives_any_line_ends_and_any_cuts(events: list[str], seed: int) -> None:
    chance = random.Random(seed)
    lines = []
    for event in events:
        # A blank line made of a lone CR must not meet an LF, which would belong to it.
        end = chance.choice(["\r\n", "\n", "\r"])
        lines.append(f"data: {event}{end}{end}")
    stream = "".join(lines).encode()
    chunks = []
    while stream:
        cut = chance.randint(1, 7)
        chunks.append(stream[:cut])
        stream = stream[cut:]
    assert _read(chunks) == [event.encode() for event in events]


def test_refuses_a_line_over_the_limit_in_one_piece_or_in_many() -> None:
    with pytest.raises(EventTooLarge):
        _read([b"data: " + b"x" * 1_001 + b"\n"], limit=1_000)
    with pytest.raises(EventTooLarge):
        _read([b"data: "] + [b"x" * 100] * 11, limit=1_000)


def test_refuses_an_event_of_many_lines_over_the_limit() -> None:
    with pytest.raises(EventTooLarge):
        _read([b"data: xxxxxxxxx\n"] * 100, limit=1_000)


def test_an_event_just_below_the_limit_passes() -> None:
    assert _read([b"data: " + b"x" * 990, b"\n\n"], limit=1_000) == [b"x" * 990]


def test_the_limit_is_for_each_event_not_for_the_stream() -> None:
    assert len(_read([b"data: " + b"x" * 900 + b"\n\n"] * 50, limit=1_000)) == 50


def _read(chunks: list[bytes], limit: int = 1 << 20) -> list[bytes]:
    reader = EventStreamReader(limit)
    return [event for chunk in chunks for event in reader.feed(chunk)]
