"""The input files of jobs: where they lie, and when they go."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from worker.bodies import BodyLimits, SpooledText, SpoolFolder, read_json, spool_file
from worker.errors import InvalidInputFile
from worker.inputs import InputStore, SentFile

DATA = os.urandom(100_000)


async def chunks(data: bytes, size: int = 30_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def long_text(folder: SpoolFolder, text: bytes) -> SpooledText:
    body = await read_json(chunks(b'["%b"]' % text), folder, BodyLimits(10_000_000))
    assert isinstance(body.value[0], SpooledText)
    return body.value[0]


async def test_files_are_described_and_taken(tmp_path: Path) -> None:
    """Small ones, long base64 and files of a form lie under their names, and a restart finds them the same."""
    store = InputStore(tmp_path / "inputs")
    async with SpoolFolder(tmp_path / "bodies") as folder:
        text = await long_text(folder, b"data:image/png;base64," + base64.b64encode(DATA))
        sent = [
            SentFile("small", b"1"),
            SentFile("text", text),
            SentFile("form", await spool_file(chunks(DATA), folder)),
        ]
        async with store.receive(sent) as arrived:
            arrived.claimed = True
    digest = hashlib.sha256(DATA).hexdigest()
    assert [(file.name, file.size, file.sha256) for file in arrived.files[1:]] == [
        ("text", len(DATA), digest),
        ("form", len(DATA), digest),
    ]
    assert {file.path.read_bytes() for file in arrived.files} == {b"1", DATA}
    assert {file.path.parent for file in arrived.files} == {tmp_path / "inputs" / arrived.folder}
    assert store.read_files(arrived.folder) == tuple(sorted(arrived.files, key=lambda file: file.name))
    assert not list((tmp_path / "bodies").iterdir())


async def test_files_that_no_job_takes_are_removed(tmp_path: Path) -> None:
    """A job that was found, not made, needs none of them, and neither does one that was refused."""
    store = InputStore(tmp_path / "inputs")
    async with store.receive([SentFile("a", b"1")]) as arrived:
        assert arrived.files[0].path.read_bytes() == b"1"
    assert not list((tmp_path / "inputs").iterdir())
    with pytest.raises(ValueError, match="refused"):
        async with store.receive([SentFile("a", b"1")]):
            raise ValueError("refused")
    assert not list((tmp_path / "inputs").iterdir())


async def test_a_request_without_files_does_not_touch_the_disk(tmp_path: Path) -> None:
    """It gets the name of a folder and no folder."""
    async with InputStore(tmp_path / "inputs").receive([]) as arrived:
        assert arrived.files == ()
    assert not (tmp_path / "inputs").exists()


async def test_the_last_of_two_files_with_one_name_counts(tmp_path: Path) -> None:
    """As in the part of a form that has the name of one in the JSON."""
    async with InputStore(tmp_path / "inputs").receive([SentFile("a", b"1"), SentFile("a", b"22")]) as arrived:
        assert [(file.size, file.path.read_bytes()) for file in arrived.files] == [(2, b"22")]


@pytest.mark.parametrize("text", [b"no base64!" * 10_000, b"data:image/png;base64," + b"=" * 80_000])
async def test_long_text_that_is_no_file_is_refused(tmp_path: Path, text: bytes) -> None:
    """By the name of the input, and nothing is left."""
    async with SpoolFolder(tmp_path / "bodies") as folder:
        sent = [SentFile("a.png", await long_text(folder, text))]
        with pytest.raises(InvalidInputFile, match=r"a\.png"):
            async with InputStore(tmp_path / "inputs").receive(sent):
                pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_files_of_jobs_that_died_are_removed_at_the_start(tmp_path: Path) -> None:
    """A job without a row in the journal died with its process: its folder is a stray, and no other is."""
    for name in ("job-a", "job-b"):
        (tmp_path / "inputs" / name).mkdir(parents=True)
        (tmp_path / "inputs" / name / "x.png").write_bytes(b"x")
    assert InputStore(tmp_path / "inputs").stale_folders({"job-b"}) == [tmp_path / "inputs" / "job-a"]
    assert InputStore(tmp_path / "nothing").stale_folders({"job-b"}) == []
