"""Tests of a full disk: each write has a defined result, and free space repairs everything."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.jobs.test_journal import job
from tests.state.test_same_request import RED, form, send
from tests.workflows import picture
from worker.engine.recovery import CrashHistory
from worker.errors import JournalUnavailable, StartupError, StateInUse
from worker.job import JobRequest
from worker.jobs.journal import Journal
from worker.jobs.state_lock import state_lock
from worker.load.throughput import DoneWork, Throughput
from worker.platforms.vast.reporting.readiness import Readiness
from worker.platforms.vast.reporting.speed_file import SpeedFile

SIZE = 8 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system. Skips the test where this user cannot mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not shutil.which("mount"):
        pytest.skip("there is no `mount`")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this user can't mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Use all free space."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):  # noqa: PT012
        while file.write(b"0" * 4096):
            pass
    return ballast


async def code(client: Client, body: dict) -> tuple[int, str | None]:
    status, answer = await client.post("/generate/sync", body)
    return status, answer.get("error") and answer["error"]["code"]


async def test_a_worker_whose_disk_fills_up(engine: EngineHandle, disk: Path) -> None:
    """Requests that need disk return 503 with their codes, and existing results are served."""
    known = {"workflow": picture(color=9), "id": "known", "output_format": "url"}
    async with worker(engine, disk / "state", min_free=0) as client:
        assert (await code(client, known))[0] == 200
        ballast = fill(disk)
        long = picture() | {"9": {"class_type": "PreviewAny", "inputs": {"source": "x" * 200_000}}}
        assert await code(client, {"workflow": long}) == (503, "disk_full")
        status, answer = await send(client, form("form", [("a.png", "a.png", RED * 100)]))
        assert (status, answer["error"]["code"]) == (503, "disk_full")
        assert await code(client, known) == (200, None)
        assert (await client.get("/health"))[0] == 200
        ballast.unlink()
        assert (await code(client, {"workflow": picture(), "id": "new"}))[0] == 200
        assert (await send(client, form("form", [("a.png", "a.png", RED)])))[0] == 200
        assert "jobs_set_aside" not in (await client.get("/health"))[1]


async def test_a_journal_on_a_full_disk(disk: Path) -> None:
    """New rows raise an error, ends are written later, and the file is not taken for damaged."""
    path = disk / "journal.sqlite"
    with Journal(path, busy_s=0.05) as journal:
        first = job()
        await journal.record_accepted(first)
        ballast = fill(disk)
        refused = 0
        for number in range(200):  # what is left of the log's last page takes a few
            other = job()
            other.id = f"other-{number}"
            other.request = JobRequest({"1": {"class_type": "X", "inputs": {"text": "y" * 2000}}}, key=other.id)
            try:
                await journal.record_accepted(other)
            except JournalUnavailable:
                refused += 1
        assert refused
        assert journal.set_aside == 0
        ballast.unlink()
        last = job()
        last.id = "last"
        await journal.record_accepted(last)
    fill(disk)
    try:
        with Journal(path) as journal:
            assert {one.job.id for one in journal.jobs()} >= {first.id, "last"}
    except StartupError as error:
        assert "full" in str(error) or "I/O" in str(error) or "open" in str(error)  # noqa: PT017 - either is right
    assert not list(disk.glob("*.damaged-*"))
    ballast.unlink()
    with Journal(path) as journal:
        assert {one.job.id for one in journal.jobs()} >= {first.id, "last"}


async def test_the_small_files_on_a_full_disk(disk: Path) -> None:
    """The lock works, crashes are remembered in memory and the score is measured again."""
    fill(disk)
    with state_lock(disk), pytest.raises(StateInUse), state_lock(disk):
        pass
    request = JobRequest({"1": {"class_type": "X", "inputs": {}}})
    history = CrashHistory(disk / "suspects.json", 60)
    history.add(request, "p", "death", observed=True)
    assert history.find(request) is not None
    measured = Throughput()
    measured.start("engine-0", [DoneWork(1.0, 1.0)], 0.0)
    SpeedFile(disk, "k").write(measured, 0.0)
    assert not SpeedFile(disk, "k").restore(Throughput(), 0.0)


async def test_a_score_that_can_not_be_handed_over_ends_the_start(tmp_path: Path) -> None:
    """The worker exits with a message when it cannot pass its score to the SDK."""

    async def measured() -> float:
        return 1.0

    readiness = Readiness(measured, tmp_path / "away")
    with pytest.raises(StartupError, match="score"):
        async with readiness:
            pass
    with pytest.raises(StartupError):
        await readiness.loaded
