"""The scanner accepts exactly the JSON that orjson accepts, in any chunks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bodies.chunks import SMALL, at, cut, files, scanned, whole
from worker.bodies import BodyLimits, SpoolFolder
from worker.bodies.limits import DEEPEST_JSON
from worker.errors import InvalidJson

TEXT = st.text(max_size=30) | st.text(alphabet='"\\/\b\n\x00u0dD8é😀 a', max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=7), inner, max_size=5),
    max_leaves=25,
)
FRAGMENTS = st.sampled_from(
    [
        *(b'"', b"\\", b'\\"', b"\\\\", b"\\u00e9", b"\\ud83d", b"\\ude00", b"\\u", b"\\uD8", b"\\q", b"\\/"),
        *(b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b"1", b"NaN", b"true", b"x", b'"a":', b'"abcdefghijkl"'),
        *("é".encode(), "😀".encode(), b"\xf0\x9f", b"\xc3", b"\x80", b"\xff", b"\x01", b"abcdefghi", b"\xed\xa0\x80"),
    ]
)
PLACES = st.lists(st.integers(0, 400), max_size=20)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def expected(body: bytes) -> Any:
    """Return the value of orjson, or the class of its error. A long key is an error."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return InvalidJson
    return InvalidJson if any(len(key.encode()) > SMALL.text for key in keys(body)) else value


def keys(body: bytes) -> list[str]:
    """Yield all keys, including those in values that a later equal key replaces."""
    found: list[str] = []
    json.loads(body, object_pairs_hook=lambda pairs: found.extend(key for key, _ in pairs))
    return found


async def compare(body: bytes, chunks: list[bytes], parent: Path, limits: BodyLimits = SMALL) -> None:
    theirs = expected(body)
    async with SpoolFolder(parent) as folder:
        if theirs is InvalidJson:
            with pytest.raises(InvalidJson):
                await scanned(chunks, folder, limits)
            return
        scan = await scanned(chunks, folder, limits)
        assert await whole(scan.value) == theirs
        assert len(files(parent)) == len(scan.spooled)
        assert all(text.size > limits.text for text in scan.spooled)
    assert not files(parent)


@given(VALUES, PLACES, st.booleans())
@QUICK
async def test_valid_bodies_have_the_same_value(tmp_path: Path, value: Any, places: list[int], escaped: bool) -> None:
    """Any value in any chunks has the value of orjson."""
    body = json.dumps(value, ensure_ascii=escaped).encode(errors="surrogatepass")
    await compare(body, at(body, places), tmp_path)


@given(st.lists(FRAGMENTS, max_size=25), PLACES, st.booleans())
@QUICK
async def test_any_bytes_are_refused_or_read_alike(
    tmp_path: Path, parts: list[bytes], places: list[int], inside: bool
) -> None:
    """Any bytes are accepted exactly if orjson accepts them, also inside a string."""
    body = b"".join(parts)
    body = b'["%b"]' % body.replace(b'"', b"") if inside else body
    await compare(body, at(body, places), tmp_path)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64])
@pytest.mark.parametrize("limits", [SMALL, BodyLimits(total=10_000, text=21, piece=4)], ids=["short", "long"])
async def test_chunks_may_end_inside_a_character(tmp_path: Path, size: int, limits: BodyLimits) -> None:
    """Escapes, surrogate pairs and UTF-8 in a long string are read across chunk borders."""
    text = 'a"\\/\b\f\n\r\té€😀\x00' * 3
    for body in (
        json.dumps([text]),
        json.dumps([text], ensure_ascii=False),
        '["' + '\\/\\\\\\"\\ud83d\\uDE00' * 9 + '"]',
    ):
        await compare(body.encode(), list(cut(body.encode(), size)), tmp_path, limits)


@pytest.mark.parametrize(
    "body",
    [
        b'["abcdefghij\\ud83d"]',
        b'["abcdefghij\\ud83dx"]',
        b'["abcdefghij\\ud83d\\n"]',
        b'["abcdefghij\\ude00"]',
        b'["abcdefghij\\u12"]',
        b'["abcdefghij\\x"]',
        b'["abcdefghij\x1f"]',
        b'["abcdefghij\xc3"]',
        b'["abcdefghij\xc3',
        b'["abcdefghij\\',
        b'["abcdefghij',
        b'["abcdefghij" "b"]',
        b'["abcdefghij",NaN]',
        b'["abcdefghij"]]',
        b'["abcdefghij"] x',
        b'{"abcdefghij"}',
        b'\\"abcdefghij"',
        b'{"a":"abcdefghij",}',
        b"",
    ],
)
@pytest.mark.parametrize("size", [1, 4, 100])
async def test_hostile_bodies_are_refused(tmp_path: Path, body: bytes, size: int) -> None:
    """Errors in or beside a long string are rejected, and no file remains."""
    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(InvalidJson):
            await scanned(cut(body, size), folder)
    assert not files(tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "abcdefghijklmnop", "b": nope}',
        b'{"a": "abcdefghi\\n\\u00e9jklmnop",\n "\xc3\xa9": "abcdefghijkl", "b": nope}',
        b'["abcdefghijkl", "abcdefghijkl\x01mnop"]',
        b'["abcdefghijkl",\n"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "abcdefghijkl\\q"]',
        b'["abcdefghijkl", "abcdefghijkl',
        b'["\\u0061\\u0061\\u0061", "abcdefghijkl", oh]',
    ],
)
async def test_an_error_names_the_place_in_the_body(tmp_path: Path, body: bytes) -> None:
    """Line, column and character of an error are those of orjson for the whole body."""
    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(InvalidJson) as caught:
            await scanned([body], folder)
    with pytest.raises(orjson.JSONDecodeError) as theirs:
        orjson.loads(body)
    assert caught.value.message.startswith(f"the body is not JSON: {theirs.value}")


async def test_bytes_that_are_not_utf_8_have_a_place(tmp_path: Path) -> None:
    """The error for invalid UTF-8 in a long string names the position of the first bad byte."""
    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(InvalidJson, match=r"not valid UTF-8.*line 2 column 12 \(char 13\)"):
            await scanned([b'[\n"\xc3\xa9bcdefghij\xff"]'], folder)


async def test_a_nesting_bound_holds(tmp_path: Path) -> None:
    """A long string at the maximum depth is accepted, and one level more is rejected."""
    async with SpoolFolder(tmp_path) as folder:
        deepest = DEEPEST_JSON
        scan = await scanned([b"[" * deepest + b'"abcdefghijkl"' + b"]" * deepest], folder)
        assert scan.spooled[0].location == (0,) * deepest
        with pytest.raises(InvalidJson, match="nested deeper"):
            await scanned([b"[" * (deepest + 1) + b'"abcdefghijkl"' + b"]" * (deepest + 1)], folder)


async def test_a_long_key_is_refused(tmp_path: Path) -> None:
    """A long key is rejected with its position. A short key with long escapes is accepted."""
    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(InvalidJson, match=r"a key.*line 1 column 3 \(char 2\)"):
            await scanned([b'{"abcdefghijkl" : 1}'], folder)
        assert (await scanned([b'{"\\u0061\\u0062": 1}'], folder)).value == {"ab": 1}
