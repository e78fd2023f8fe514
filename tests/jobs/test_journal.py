"""Tests of the journal."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from worker.errors import Detail, JournalUnavailable, NodeFailed, OutputProblem
from worker.inputs import InputStore, SentFile
from worker.job import EngineFile, Job, JobRequest, JobState, Output
from worker.jobs.journal import Journal


def job(**given: object) -> Job:
    request = JobRequest(prompt={"1": {"class_type": "X", "inputs": {}}}, key="k", fingerprint="f")
    return Job("k", request, collectable=True, **given)  # type: ignore[arg-type]


async def test_a_job_comes_back_as_it_was(tmp_path: Path) -> None:
    """`jobs` returns a job with its state, times, outputs and error."""
    path = tmp_path / "journal.sqlite"
    found = job(workload=7.5)
    with Journal(path) as journal:
        await journal.record_accepted(found)
        found.prompt_id = "p"
        journal.record_submitted(found)
        found.advance(JobState.PREPARING)
        found.outputs = (Output(0, "9", "image", "a.png", width=3),)
        found.problems = (OutputProblem("gone", node_id="9", code="output_missing", output="b.png"),)
        found.files = (EngineFile("temp", "sub/a.png", 7, 2**62, 3),)
        found.error = NodeFailed("no", [Detail("bad", node_id="4")])
        found.advance(JobState.FAILED)
        journal.record_ended(found)
    with Journal(path) as journal:
        [kept] = journal.jobs()
    assert kept.ended_at is not None
    assert (kept.job.state, kept.job.outputs, kept.job.stages) == (JobState.FAILED, found.outputs, found.stages)
    assert (kept.job.token, kept.job.folder, kept.job.prompt_id) == (found.token, found.folder, "p")
    assert (kept.job.problems, kept.job.files) == (found.problems, found.files)
    assert isinstance(kept.job.error, NodeFailed)
    assert kept.job.error.as_dict() == found.error.as_dict()


async def test_inputs_are_kept_until_the_end(tmp_path: Path) -> None:
    """`jobs` returns the input files of a job that has to run again."""
    store = InputStore(tmp_path / "inputs")
    async with store.receive([SentFile("ä.png", b"123")]) as arrived:
        found = job(folder=arrived.folder)
        arrived.claimed = True
    found.request = JobRequest(prompt={}, inputs=arrived.files)
    with Journal(tmp_path / "journal.sqlite") as journal:
        await journal.record_accepted(found)
        [kept] = journal.jobs()
        assert kept.job.request.inputs == found.request.inputs
        await store.remove(found.folder)
        assert journal.jobs()[0].job.request.inputs == ()


async def test_a_forgotten_job_is_gone(tmp_path: Path) -> None:
    """`delete` removes a job's row."""
    found = job()
    with Journal(tmp_path / "journal.sqlite") as journal:
        await journal.record_accepted(found)
        journal.delete(found)
        assert journal.jobs() == []


async def test_what_cannot_be_written_is_written_later(tmp_path: Path) -> None:
    """An end that meets a locked file is written later."""
    path = tmp_path / "journal.sqlite"
    found, other = job(), job()
    other.folder = "another"
    with Journal(path, busy_s=0.05) as journal:
        await journal.record_accepted(found)
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        found.advance(JobState.FAILED)
        journal.record_ended(found)
        with pytest.raises(JournalUnavailable):
            await journal.record_accepted(other)
        lock.execute("ROLLBACK")
        lock.close()
        found.prompt_id = "p"
        journal.record_submitted(found)
        [kept] = journal.jobs()
    assert (kept.job.state, kept.job.prompt_id) == (JobState.FAILED, "p")


async def test_what_is_handed_back_stays_unfinished(tmp_path: Path) -> None:
    """The row of a job that is handed back stays unfinished."""
    found = job(handed_back=True)
    with Journal(tmp_path / "journal.sqlite") as journal:
        await journal.record_accepted(found)
        found.advance(JobState.FAILED)
        journal.record_ended(found)
        assert journal.jobs()[0].ended_at is None


async def test_a_file_that_is_no_journal_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A broken file, one of another version and a folder are renamed, and a new journal is created."""
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"nonsense" * 1000)
    newer = tmp_path / "newer.sqlite"
    with closing(sqlite3.connect(newer)) as rows:
        rows.execute("PRAGMA user_version=99")
    folder = tmp_path / "folder.sqlite"
    (folder / "inside").mkdir(parents=True)
    beside = tmp_path / "beside.sqlite"
    (tmp_path / "beside.sqlite-wal").mkdir()
    for path in (broken, newer, folder, beside):
        with Journal(path) as journal:
            assert journal.jobs() == []
            assert journal.set_aside == 1
            await journal.record_accepted(job())
        with Journal(path) as journal:
            assert (len(journal.jobs()), journal.set_aside) == (1, 0)
    assert "version 99" in caplog.text
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir() if "-" in path.name} >= {
        *("broken.damaged", "newer.version", "folder.damaged", "beside.damaged"),
    }
