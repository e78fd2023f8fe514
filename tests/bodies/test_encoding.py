"""JSON in other encodings is converted to UTF-8 while it arrives."""

from __future__ import annotations

import pytest

from worker.bodies import utf8_text
from worker.bodies.encoding import Utf8Text
from worker.errors import InvalidJson

TEXT = '{"inputs": {"Müller – é 😀.png": "AAAA"}}'


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_chunks_may_end_anywhere(encoding: str, size: int) -> None:
    """The text is the same for any chunks."""
    data = (TEXT + "\n\0").encode(encoding)
    text = Utf8Text()
    parts = [text.feed(data[start : start + size]) for start in range(0, len(data), size)]
    assert b"".join([*parts, text.finish()]) == TEXT.encode()


@pytest.mark.parametrize("data", [b"", b"1", b"{}", b"[1]", b" {}\n", b"\0", b"\n\n\n\n\n"])
def test_short_texts_stay(data: bytes) -> None:
    """A text that is shorter than a byte order mark passes."""
    assert utf8_text(data).strip() == data.strip(b"\0").strip()


def test_half_a_character_of_utf_16_is_refused() -> None:
    """A surrogate without its other half is rejected."""
    with pytest.raises(InvalidJson, match="encoding"):
        utf8_text(b'{\0"\0a\0\0\xd8"\0')
