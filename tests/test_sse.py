"""Tests of the parser for Server-Sent Events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sse import EventParser, ServerSentEvent

STREAM = (
    b': hello\n\nid: 1\nevent: state\ndata: {"a":1}\n\n: keep-alive\n\n'
    b"id: 2\nevent: node\ndata: a: b\ndata:\ndata:  two\n\ndata:x\n\nevent: nothing\n\nid: 3\n\nretry: 10\nfoo\n"
    b"data: end\n\ndata: cut"
)
EVENTS = [
    ServerSentEvent(b'{"a":1}', "state", "1"),
    ServerSentEvent(b"a: b\n\n two", "node", "2"),
    ServerSentEvent(b"x", "message", "2"),
    ServerSentEvent(b"end", "message", "3"),
]


def parsed(stream: bytes, *cuts: int) -> list[ServerSentEvent]:
    parser, places = EventParser(), [0, *sorted(cuts), len(stream)]
    return [event for start, end in pairwise(places) for event in parser.feed(stream[start:end])]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
@given(cuts=st.lists(st.integers(0, len(STREAM) + 20), max_size=40))
def test_events_are_the_same_however_they_are_cut(line_end: bytes, cuts: list[int]) -> None:
    """The events do not depend on how the stream is split, for every kind of line end."""
    stream = STREAM.replace(b"\n", line_end)
    assert parsed(stream, *(min(cut, len(stream)) for cut in cuts)) == EVENTS


def test_every_single_byte_may_come_alone() -> None:
    """The stream can be split between CR and LF."""
    stream = STREAM.replace(b"\n", b"\r\n")
    assert parsed(stream, *range(len(stream))) == EVENTS


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    """A byte order mark is removed at the start of the stream only."""
    assert parsed(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [ServerSentEvent(b"a")]


def test_an_id_with_a_nul_is_ignored() -> None:
    """An id with a NUL character is ignored, as in the standard."""
    assert parsed(b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n")[1] == ServerSentEvent(b"b", "message", "1")


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    """A line of 8 MiB in pieces of 1 KiB is parsed in linear time."""
    parser, piece = EventParser(), b"x" * 1024
    parser.feed(b"data: ")
    for _ in range(8 * 1024):
        assert parser.feed(piece) == []
    (event,) = parser.feed(b"\n\n")
    assert len(event.data) == 8 * 1024 * 1024
