"""Tests of journals that other versions of the worker wrote."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import worker
from tests.engines import EngineHandle
from worker.errors import Detail
from worker.job import JobRequest, JobState
from worker.jobs.journal import Journal
from worker.jobs.journal_rows import LaterRequestFields, StoredRequest, pack_later_fields, pack_request
from worker.prompt_changes import RandomInteger, Repair

STATE = Path(__file__).parent.parent / "data" / "state-b2bf08c"
"""Left by a worker of commit b2bf08c that was killed with jobs in every state."""
AGES_S = 1e10
"""Results of the fixture are as old as the fixture."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A copy of a stored state folder."""
    return Path(shutil.copytree(STATE, tmp_path / "state"))


@contextmanager
def rows(state: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(state / "journal.sqlite", isolation_level=None)) as connection:
        yield connection


def test_a_state_folder_of_b2bf08c_is_read(state: Path) -> None:
    """The journal of b2bf08c is read with every job's state, files and delivery."""
    with Journal(state / "journal.sqlite") as journal:
        jobs = {stored.job.id: stored.job for stored in journal.jobs()}
        assert journal.set_aside == 0
    assert len(jobs) == 8
    assert [jobs[name].state for name in ("completed", "failed", "cancelled", "running", "stock")] == [
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.QUEUED,
        JobState.QUEUED,
    ]
    [waiting] = [job for job in jobs.values() if job.request.inputs]
    assert waiting.request.inputs[0].name == "red.png"
    assert jobs["stock"].request.dialect == "vast"
    assert jobs["completed"].outputs[0].sha256


async def test_a_worker_goes_on_with_a_state_folder_of_b2bf08c(engine: EngineHandle, state: Path) -> None:
    """A worker serves the ended jobs of b2bf08c and runs the waiting ones."""
    with Journal(state / "journal.sqlite") as journal:
        stored = journal.jobs()
    async with worker(engine, state, result_ttl_s=AGES_S) as client:
        for one in stored:
            if one.ended_at is None:
                await asyncio.wait_for(
                    client.app.manager.wait_for_end(client.app.manager.find(one.job.id, one.job.token)), 15
                )
            status, body = await client.get(f"/jobs/{one.job.id}", one.job.token)
            expected = {JobState.FAILED: 422, JobState.CANCELLED: 499}.get(one.job.state, 200)
            assert status == expected, body


SPOILED = {
    "unknown version": ("version = 99", "version is 99"),
    "unknown field": ("request = json_set(CAST(request AS TEXT), '$.colour', 'red')", "colour"),
    "unknown state": ("result = json_set(CAST(result AS TEXT), '$.state', 'paused')", "state"),
    "unknown output field": ("result = json_set(CAST(result AS TEXT), '$.outputs[0].layers', 3)", "layers"),
    "missing field": ("request = json_remove(CAST(request AS TEXT), '$.prompt')", "prompt"),
    "wrong type": ("request = json_set(CAST(request AS TEXT), '$.prompt', 5)", "prompt"),
    "no JSON": ("request = 'nonsense'", "JSON"),
    "binary": ("request = x'ff00ff'", "JSON"),
    "wrong column": ("principal = x'ff'", "principal"),
    "folder of another": ("folder = '../outputs'", "folder"),
    "ended without a result": ("result = NULL", "ended_at"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_row_that_cannot_be_read_is_set_aside(name: str, state: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable row is counted and logged, and stays in the file."""
    change, reason = SPOILED[name]
    Journal(state / "journal.sqlite").__enter__().__exit__(None, None, None)  # adds the column
    with rows(state) as connection:
        connection.execute(f"UPDATE jobs SET {change} WHERE id = 'completed'")  # noqa: S608
    with caplog.at_level(logging.ERROR), Journal(state / "journal.sqlite") as journal:
        assert len(journal.jobs()) == 7
        assert journal.set_aside == 1
    assert reason in caplog.text
    with rows(state) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (8,)


async def test_a_worker_serves_beside_rows_that_are_set_aside(engine: EngineHandle, state: Path) -> None:
    """/health reports the number of unreadable rows."""
    Journal(state / "journal.sqlite").__enter__().__exit__(None, None, None)
    with rows(state) as connection:
        connection.execute("UPDATE jobs SET version = 7 WHERE id IN ('completed', 'running')")
    async with worker(engine, state, result_ttl_s=AGES_S) as client:
        _, health = await client.get("/health")
        assert health["jobs_set_aside"] == 2


def test_a_damaged_file_is_kept_and_its_readable_rows_go_on(tmp_path: Path, state: Path) -> None:
    """A damaged file is renamed, and its readable rows are copied to a new one."""
    path = state / "journal.sqlite"
    with rows(state) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(200):
            connection.execute(
                "INSERT INTO jobs SELECT ?, principal, ?, token, collectable, workload, created_at, ended_at,"
                " prompt_id, request, result FROM jobs WHERE id = 'completed'",
                (f"job-{number:032x}", f"n{number}"),
            )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    page = int.from_bytes(data[16:18], "big")
    data[2 * page :] = b"\xff" * (len(data) - 2 * page)
    path.write_bytes(data)
    with Journal(path) as journal:
        stored = journal.jobs()
        assert journal.set_aside >= 1
    assert list(state.glob("journal.damaged-*"))
    with Journal(path) as journal:
        assert len(journal.jobs()) == len(stored)


def test_what_was_changed_in_a_prompt_is_kept() -> None:
    """Repairs, warnings and seeds are restored from the fields that v0.2.0 ignores."""
    plain = JobRequest(prompt={}, former_fingerprints=("f",), fingerprint="g")
    changed = replace(
        plain,
        repairs=(Repair("it was missing", "input_missing", "3", "KSampler", "cfg", None, 8.0),),
        warnings=(Detail("a stale link", "4"),),
        seeds=(RandomInteger("3", "seed", 7),),
    )
    more = LaterRequestFields.model_validate_json(pack_later_fields(changed))
    assert StoredRequest.model_validate_json(pack_request(changed)).request((), more) == changed
    assert pack_request(plain) == pack_request(changed)
