"""Search for one member in the beginning of a body."""

from __future__ import annotations

import pytest

from worker.bodies import MemberSearch

SEARCH = MemberSearch("auth_data")


@pytest.mark.parametrize(
    "text",
    [
        b'{"auth_data": {"a": [1, "}"]}, "payload": ',
        b'{"payload": {"auth_data": 5, "x": "\\"auth_data\\": 1"}, "auth_data": {"a": [1, "}"]}',
        b' \r\n\t{ "session_id" : null , "auth_data"\n:\t{"a":[1,"}"]} ',
        b'{"auth\\u005Fdata":{"a":[1,"}"]}',
        b'{"\\u0061uth_data":{"a":[1,"}"]}, "auth_data": {"other": 1}}',
        b'{"x": "auth_data", "y": ["auth_data"], "\\\\": "{[", "auth_data": {"a": [1, "}"]}',
    ],
)
def test_it_is_found_where_it_stands(text: bytes) -> None:
    """A member is found at the top level, with escapes and spaces, before the text has ended."""
    assert SEARCH.find(text) == ({"a": [1, "}"]},)


@pytest.mark.parametrize(
    "text",
    [
        b'{"auth_data": {"a": [1, "}"',
        b'{"auth_data',
        b'{"auth_data"',
        b'{"auth_data": 12',
        b'{"x": {"auth_data": {}}, "auth_data',
        b'{"x": [{"auth_data": {}}]',
        b'{"x": "\\"auth_data\\": {}"',
        b'["auth_data", {}]',
        b'"auth_data": {}',
        b'{"auth\\\\u005fdata": {}}',
        b'{"x"auth_data": {}}',
        b'{"auth_data": ' + b"[" * 60_000,
        b'{"auth_data": ' + b'{"a":' * 12_000,
        b"\xff\xfe{",
        b"",
    ],
)
def test_it_is_not_found_elsewhere(text: bytes) -> None:
    """A member is not found below the top level, in a string, incomplete, or in text that is not JSON."""
    assert SEARCH.find(text) is None
