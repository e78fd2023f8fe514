"""JSON responses with large files are equal to JSON that is written at once."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from worker.intake.response_body import LARGEST_CACHED, PIECE, LargeFiles, ResponseBody


def value_with(large: LargeFiles, *files: Path) -> dict[str, Any]:
    """Return a value with placeholders for these files."""
    data = [large.add(path, path.stat().st_size) for path in files]
    return {"image": data[0], "outputs": [{"data": text} for text in data], "é": "ü"}


@pytest.mark.parametrize("sizes", [[0], [1, 2, 3], [PIECE + 1, 5], [LARGEST_CACHED + 1], [LARGEST_CACHED], [PIECE]])
async def test_the_answer_is_what_it_would_be_at_once(tmp_path: Path, sizes: list[int]) -> None:
    """Each file replaces its placeholder, and the length is known before a file is read."""
    files = [tmp_path / str(number) for number in range(len(sizes))]
    for path, size in zip(files, sizes, strict=True):
        path.write_bytes(os.urandom(size))
    large = LargeFiles()
    body = ResponseBody(value_with(large, *files), large.files)
    texts = [base64.b64encode(path.read_bytes()).decode() for path in files]
    expected = orjson.dumps({"image": texts[0], "outputs": [{"data": text} for text in texts], "é": "ü"})
    assert body.size == len(expected)
    for _ in range(2):
        assert await body.json() == expected
    assert max([len(piece) async for piece in body.pieces()]) <= max(PIECE // 3 * 4, 100)


async def test_an_answer_without_files_is_json(tmp_path: Path) -> None:
    """A response without files is plain JSON."""
    body = ResponseBody({"a": 1})
    assert (body.size, await body.json()) == (7, b'{"a":1}')


async def test_a_result_that_expires_while_it_is_sent_arrives_whole(tmp_path: Path) -> None:
    """A file that is removed after the first piece is sent completely."""
    path, large = tmp_path / "file", LargeFiles()
    path.write_bytes(os.urandom(LARGEST_CACHED + PIECE))
    body = ResponseBody(value_with(large, path), large.files)
    expected = await body.json()
    pieces = body.pieces()
    sent = [await anext(pieces)]
    path.unlink()
    sent += [piece async for piece in pieces]
    assert b"".join(sent) == expected


async def test_a_file_that_is_gone_or_changed_is_no_answer(tmp_path: Path) -> None:
    """A missing file raises an error before anything is sent, and a changed one aborts the response."""
    with pytest.raises(FileNotFoundError):
        LargeFiles().add(tmp_path / "gone", 5)
    path, large = tmp_path / "file", LargeFiles()
    path.write_bytes(b"x" * 10)
    body = ResponseBody(value_with(large, path), large.files)
    path.write_bytes(b"x" * 9)
    with pytest.raises(OSError, match="has changed"):
        await body.json()
