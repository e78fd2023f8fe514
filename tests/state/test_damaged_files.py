"""Tests of damaged files in the state folder: the worker starts, serves the rest and reports the damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.engine.recovery import CrashHistory
from worker.job import JobRequest
from worker.jobs.journal import MOST_ENDED, Journal
from worker.jobs.state_folder import repair_state
from worker.load.throughput import DoneWork, Throughput
from worker.platforms.vast.reporting.speed_file import SpeedFile

KNOWN = {"workflow": picture(color=77), "id": "known", "output_format": "url"}
FOLDERS = ("inputs", "outputs", "fetched", "fetched/partial", "fetched/contents", "bodies")
FILES = ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "suspects.json", "suspects.new")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def left(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a worker that ran a job and was killed."""
    state, copy = tmp_path_factory.mktemp("lived") / "state", tmp_path_factory.mktemp("left") / "state"
    async with worker(engine, state) as client:
        assert (await client.post("/generate/sync", KNOWN))[0] == 200
        shutil.copytree(state, copy, symlinks=True)
    return copy


@pytest.fixture
def state(left: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left, tmp_path / "state", symlinks=True))


def removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def spoiled() -> Iterator[tuple[str, str, Callable[[Path], object]]]:
    """Yield the name of a file, the kind of damage and a function that does it."""
    for name in FOLDERS:
        yield name, "file", lambda path: path.write_bytes(b"x")
        yield name, "broken link", lambda path: path.symlink_to("nowhere")
    for name in FILES:
        yield name, "folder", lambda path: (path / "inside").mkdir(parents=True)
        yield name, "broken link", lambda path: path.symlink_to("nowhere")
    yield "fetched/partial/left", "folder", lambda path: (path / "inside").mkdir(parents=True)
    yield "fetched/contents/" + "a" * 64, "folder", lambda path: (path / "inside").mkdir(parents=True)
    for content in (b"", b"[1,", b"nonsense" * 1000, b"SQLite format 3\0" + b"\xff" * 5000):
        yield "journal.sqlite", f"{content[:8]!r}", lambda path, content=content: path.write_bytes(content)
    for content in (b"[1]", b"{}", b"5", b'{"x": 5}', b'{"x": {"crashes": [1], "at": "z"}}', b"\xff", b"[" * 9999):
        yield "suspects.json", f"{content[:20]!r}", lambda path, content=content: path.write_bytes(content)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "what", "change"), [pytest.param(*case, id="-".join(case[:2])) for case in spoiled()])
async def test_the_worker_starts_and_serves(
    engine: EngineHandle, state: Path, name: str, what: str, change: Callable[[Path], object]
) -> None:
    """A worker starts with a damaged file, runs a new job, and finds or repeats the earlier one."""
    path = state / name
    if what != "folder" or not path.is_dir():
        removed(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        change(path)
    async with worker(engine, state) as client:
        body = {"workflow": picture(), "id": "new", "output_format": "url"}
        status, answer = await client.post("/generate/sync", body)
        assert status == 200, answer
        assert (await client.post("/generate/sync", KNOWN))[0] == 200
        health = (await client.get("/health"))[1]
        assert health["status"] == "ok"
        if what in {"file", "folder", "broken link"}:
            assert name in health["state_set_aside"]
            assert list(state.glob("*.damaged-*"))


ROWS = {
    "ended_at is a text": "ended_at = 'soon'",
    "ended_at is infinite": "ended_at = 9e999",
    "workload is infinite": "workload = 9e999",
    "workload is negative": "workload = -1.0",
    "id is a path": "id = '../../x'",
    "id is bytes that are no text": "id = CAST(x'ff' AS TEXT)",
    "principal is a number": "principal = x'00'",
    "a node is a number": "request = json_set(CAST(request AS TEXT), '$.prompt', json('{\"1\": 5}')), "
    "ended_at = NULL, result = NULL",
    "a node without inputs": "request = json_set(CAST(request AS TEXT), '$.prompt', json('{\"1\": "
    '{"class_type": "X"}}\')), ended_at = NULL, result = NULL',
    "later fields of another type": "more_request = '5'",
    "later fields are no JSON": "more_request = '{'",
    "a later result of another type": "more_result = '[]'",
    "a state of a later release": "result = json_set(CAST(result AS TEXT), '$.state', 'archived')",
    "a code of a later release": "result = json_set(CAST(result AS TEXT), '$.state', 'failed', '$.error', "
    'json(\'{"code": "quux", "message": "m", "fault": "job", "retryable": false, '
    '"retryable_elsewhere": false, "details": []}\'))',
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ROWS)
async def test_one_row_in_another_form(engine: EngineHandle, state: Path, name: str) -> None:
    """A worker starts with an invalid row, and new jobs run."""
    with closing(sqlite3.connect(state / "journal.sqlite", isolation_level=None)) as rows:
        rows.execute(f"UPDATE jobs SET {ROWS[name]}")  # noqa: S608
    async with worker(engine, state) as client:
        assert (await client.post("/generate/sync", {"workflow": picture(), "id": "new"}))[0] == 200
        assert (await client.get("/health"))[0] == 200


def test_later_fields_of_a_later_release_are_ignored(state: Path) -> None:
    """Unknown fields beside those of v0.2.0 are ignored."""
    with closing(sqlite3.connect(state / "journal.sqlite", isolation_level=None)) as rows:
        rows.execute("ALTER TABLE jobs ADD COLUMN colour TEXT")
        rows.execute("UPDATE jobs SET more_request = json_set(CAST(more_request AS TEXT), '$.colour', 1)")
    with Journal(state / "journal.sqlite") as journal:
        assert (len(journal.jobs()), journal.set_aside) == (1, 0)


def test_a_column_that_each_row_needs_is_of_another_version(tmp_path: Path) -> None:
    """A journal with an unknown required column is renamed."""
    with Journal(tmp_path / "journal.sqlite"):
        pass
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as rows:
        [(schema,)] = rows.execute("SELECT sql FROM sqlite_master WHERE name = 'jobs'").fetchall()
        rows.execute("DROP TABLE jobs")
        rows.execute(schema.replace("engine TEXT", "engine TEXT, owner TEXT NOT NULL"))
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.set_aside == 1


def test_of_two_jobs_under_one_id_the_later_one_counts(left: Path, tmp_path: Path) -> None:
    """The later one of two stored jobs with one id is restored."""
    from worker.jobs.restored import RestoredJobs

    state = Path(shutil.copytree(left, tmp_path / "state"))
    with closing(sqlite3.connect(state / "journal.sqlite", isolation_level=None)) as rows:
        names = "principal, id, token, collectable, workload, created_at, prompt_id, request, version"
        rows.execute(f"INSERT INTO jobs (folder, {names}) SELECT 'job-{'0' * 32}', {names} FROM jobs")  # noqa: S608
    with Journal(state / "journal.sqlite") as journal:
        restored = RestoredJobs.of(journal.jobs())
    assert (len(restored.ended), len(restored.unfinished), len(restored.dropped)) == (0, 1, 1)


def test_more_results_than_are_kept_are_dropped_at_once(left: Path, tmp_path: Path) -> None:
    """The latest 10,000 ended jobs are read, and the rows of the others are deleted."""
    state = Path(shutil.copytree(left, tmp_path / "state"))
    with closing(sqlite3.connect(state / "journal.sqlite", isolation_level=None)) as rows:
        columns = [name for _, name, *_ in rows.execute("PRAGMA table_info(jobs)") if name not in {"folder", "id"}]
        others = ", ".join(columns)
        numbers = "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)"
        copies = f"SELECT printf('job-%032x', n), 'n' || n, {others} FROM jobs, number"  # noqa: S608
        rows.execute(f"{numbers} INSERT INTO jobs (folder, id, {others}) {copies}", (MOST_ENDED + 500,))
    with Journal(state / "journal.sqlite") as journal:
        assert len(journal.jobs()) == MOST_ENDED
    with closing(sqlite3.connect(state / "journal.sqlite")) as rows:
        assert rows.execute("SELECT count(*) FROM jobs").fetchone() == (MOST_ENDED,)


def test_one_record_of_another_form_costs_no_other_one(tmp_path: Path) -> None:
    """An invalid crash record does not affect the others."""
    path, request = tmp_path / "suspects.json", JobRequest({"1": {"class_type": "X", "inputs": {}}})
    history = CrashHistory(path, 60)
    history.add(request, "p", "death", observed=True)
    path.write_bytes(path.read_bytes()[:-1] + b', "x": {"crashes": [1], "at": "z"}, "y": 5}')
    assert CrashHistory(path, 60).find(request) is not None


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"key": "k", "score": 1}',
        '{"key": "k", "engines": []}',
        '{"key": "k", "engines": {}}',
        '{"key": "k", "engines": {"engine-0": {"start": 1, "speed": -1, "runs": []}}}',
        "NaN",
    ],
)
def test_speeds_of_another_form_are_measured_again(tmp_path: Path, text: str) -> None:
    """Invalid speeds, and those of another release, are measured again."""
    (tmp_path / "benchmark.json").write_text(text)
    assert not SpeedFile(tmp_path, "k").restore(Throughput(), 0.0)


def test_speeds_that_can_not_be_kept_stop_nothing(tmp_path: Path) -> None:
    """A worker starts when its speeds cannot be stored."""
    measured, restored, file = Throughput(), Throughput(), SpeedFile(tmp_path, "k")
    measured.start("engine-0", [DoneWork(2.0, 1.0)], 0.0)
    (tmp_path / "benchmark.json.new").mkdir()
    file.write(measured, 0.0)
    os.rmdir(tmp_path / "benchmark.json.new")  # noqa: PTH106
    file.write(measured, 0.0)
    assert file.restore(restored, 0.0)
    assert restored.units_per_s("engine-0", 0.0) == 2.0


def test_what_is_in_its_place_stays(tmp_path: Path) -> None:
    """Files and folders of several engines are no damage."""
    for name in ("engine.log", "engine-1.log", "engine-1.log.1", "load.json", "machine.json"):
        (tmp_path / name).write_text("x")
    for name in ("engine", "engine-1", "comfyui", "inputs"):
        (tmp_path / name).mkdir()
    assert repair_state(tmp_path) == []
    (tmp_path / "engine-2").write_text("x")
    (tmp_path / "engine-2.log").mkdir()
    assert repair_state(tmp_path) == ["engine-2", "engine-2.log"]
