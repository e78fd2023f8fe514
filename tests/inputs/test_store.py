"""Input files of jobs on disk: where they are stored, and when they are removed."""

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


async def test_files_are_stored_and_claimed(tmp_path: Path) -> None:
    """receive stores small files, long base64 and form files under their names, and read_files finds them again."""
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


async def test_files_that_no_job_claims_are_removed(tmp_path: Path) -> None:
    """receive removes the files on exit if no job has claimed them, also after an error."""
    store = InputStore(tmp_path / "inputs")
    async with store.receive([SentFile("a", b"1")]) as arrived:
        assert arrived.files[0].path.read_bytes() == b"1"
    assert not list((tmp_path / "inputs").iterdir())
    with pytest.raises(ValueError, match="refused"):
        async with store.receive([SentFile("a", b"1")]):
            raise ValueError("refused")
    assert not list((tmp_path / "inputs").iterdir())


async def test_a_request_without_files_does_not_touch_the_disk(tmp_path: Path) -> None:
    """receive creates no folder for a request without files."""
    async with InputStore(tmp_path / "inputs").receive([]) as arrived:
        assert arrived.files == ()
    assert not (tmp_path / "inputs").exists()


async def test_the_last_of_two_files_with_one_name_counts(tmp_path: Path) -> None:
    """receive stores the last of two files with one name."""
    async with InputStore(tmp_path / "inputs").receive([SentFile("a", b"1"), SentFile("a", b"22")]) as arrived:
        assert [(file.size, file.path.read_bytes()) for file in arrived.files] == [(2, b"22")]


@pytest.mark.parametrize("text", [b"no base64!" * 10_000, b"data:image/png;base64," + b"=" * 80_000])
async def test_long_text_that_is_no_file_is_refused(tmp_path: Path, text: bytes) -> None:
    """receive refuses a long text that is not base64 with the name of the input, and leaves no files."""
    async with SpoolFolder(tmp_path / "bodies") as folder:
        sent = [SentFile("a.png", await long_text(folder, text))]
        with pytest.raises(InvalidInputFile, match=r"a\.png"):
            async with InputStore(tmp_path / "inputs").receive(sent):
                pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_folders_of_lost_jobs_are_stale(tmp_path: Path) -> None:
    """stale_folders returns the folders of jobs that are not in the journal."""
    for name in ("job-a", "job-b"):
        (tmp_path / "inputs" / name).mkdir(parents=True)
        (tmp_path / "inputs" / name / "x.png").write_bytes(b"x")
    assert InputStore(tmp_path / "inputs").stale_folders({"job-b"}) == [tmp_path / "inputs" / "job-a"]
    assert InputStore(tmp_path / "nothing").stale_folders({"job-b"}) == []
