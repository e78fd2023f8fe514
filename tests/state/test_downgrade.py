"""Tests of `comfy-worker journal downgrade`, without the code of the older worker."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.cli.terminal import cli
from tests.jobs.test_journal import job
from worker.errors import Detail, OutputMissing, OutputProblem, StartupError
from worker.extra_data import ExtraData
from worker.inputs import InputStore, SentFile
from worker.job import JobState
from worker.jobs.downgrade import downgrade
from worker.jobs.journal import Journal

FIXTURE = Path(__file__).parents[1] / "data" / "state-b2bf08c" / "journal.sqlite"
"""Left by a worker of b2bf08c."""


def shape(path: Path) -> tuple[list[str], set[str], set[str]]:
    """Return the columns of a journal, and the field names of its requests and results."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as rows:
        columns = [name for _, name, *_ in rows.execute("PRAGMA table_info(jobs)")]
        values = rows.execute("SELECT request, result FROM jobs").fetchall()
    requests = {name for request, _ in values for name in orjson.loads(request)}
    return columns, requests, {name for _, result in values if result for name in orjson.loads(result)}


async def fill(state: Path) -> None:
    """Store jobs with everything that b2bf08c does not know."""
    plain, failed, foldered = job(), job(), job()
    plain.request = replace(plain.request, extra=ExtraData({"a": 1}), warnings=(Detail("w"),), deliver_models=True)
    failed.id, foldered.id = "failed", "foldered"
    store = InputStore(state / "inputs")
    async with store.receive([SentFile("frames/1.png", b"1")]) as arrived:
        foldered = replace(foldered, folder=arrived.folder)
        arrived.claimed = True
    with Journal(state / "journal.sqlite") as journal:
        for one in (plain, failed, foldered):
            await journal.record_accepted(one)
        failed.state, failed.error = JobState.FAILED, OutputMissing("m", [OutputProblem("gone", code="c", output="o")])
        failed.problems = (OutputProblem("gone", code="c"),)
        journal.record_ended(failed)


async def test_it_has_what_b2bf08c_had_and_nothing_else(tmp_path: Path) -> None:
    """`downgrade` writes the columns and fields of b2bf08c, and names the jobs it leaves out."""
    await fill(tmp_path)
    done = cli("journal", "downgrade", "--state", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'foldered': its input files are in folders" in done.stderr
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(FIXTURE.read_bytes())
    copy.with_name("copy.sqlite-wal").write_bytes(FIXTURE.with_name("journal.sqlite-wal").read_bytes())
    with closing(sqlite3.connect(copy)) as rows:
        rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert shape(tmp_path / "journal.sqlite") == shape(copy)
    [kept] = tmp_path.glob("journal.before-downgrade-*")
    with Journal(kept) as journal:
        assert {one.job.id for one in journal.jobs()} == {"k", "failed", "foldered"}
    with Journal(tmp_path / "journal.sqlite") as journal:  # and forward again
        assert {one.job.id for one in journal.jobs()} == {"k", "failed"}


async def test_the_details_of_an_error_survive(tmp_path: Path) -> None:
    """`downgrade` keeps the details of an error."""
    await fill(tmp_path)
    with Journal(tmp_path / "journal.sqlite") as journal:
        [failed] = [one.job for one in journal.jobs() if one.job.id == "failed"]
    assert failed.error is not None
    assert failed.error.details == (OutputProblem("gone", code="c", output="o"),)
    assert failed.problems == (OutputProblem("gone", code="c"),)


async def test_a_result_that_an_older_worker_wrote_counts_alone(tmp_path: Path) -> None:
    """The later fields of a row are ignored when an older worker has replaced its result."""
    await fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as rows:
        rows.execute(
            "UPDATE jobs SET result = json_set(CAST(result AS TEXT), '$.error.message', 'n') WHERE id = 'failed'"
        )
    with Journal(tmp_path / "journal.sqlite") as journal:
        [failed] = [one.job for one in journal.jobs() if one.job.id == "failed"]
    assert failed.problems == ()


def test_downgrade_without_a_journal_fails(tmp_path: Path) -> None:
    """`downgrade` raises StartupError without a journal."""
    with pytest.raises(StartupError, match="no journal"):
        downgrade(tmp_path)
