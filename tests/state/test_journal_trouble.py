"""A journal that is locked, damaged or gone while the worker runs: jobs without ids go on, and it recovers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.jobs.journal import Journal


def stored(state: Path) -> set[str]:
    with closing(sqlite3.connect(state / "journal.sqlite")) as rows:
        return {name for (name,) in rows.execute("SELECT id FROM jobs WHERE ended_at IS NOT NULL")}


async def done(client: Client, name: str | None) -> tuple[int, dict]:
    body = {"workflow": picture(), "output_format": "url" if name else "base64"}
    return await client.post("/generate/sync", {**body, "id": name} if name else body)


def overwrite_pages(path: Path) -> None:
    with closing(sqlite3.connect(path)) as rows:
        rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 8)


def garbage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as rows:
        rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(b"nonsense" * 2000)


def remove(path: Path) -> None:
    for file in path.parent.glob("journal.sqlite*"):
        file.unlink()


def drop_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as rows:
        rows.execute("DROP TABLE jobs")


def other_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as rows:
        rows.execute("ALTER TABLE jobs RENAME COLUMN token TO secret")


def replaced(path: Path) -> None:
    remove(path)
    path.mkdir()


HURT = (overwrite_pages, garbage, remove, drop_table, other_table, replaced)


@pytest.mark.parametrize("hurt", HURT, ids=lambda hurt: hurt.__name__)
async def test_a_journal_that_is_hurt_while_it_is_in_use(
    engine: EngineHandle, tmp_path: Path, hurt: Callable[[Path], None]
) -> None:
    """The next job is accepted, and a new file has the rows of all jobs in memory; /health counts the damage."""
    async with worker(engine, tmp_path) as client:
        tokens = [(await done(client, f"before-{number}"))[1]["id"] for number in range(3)]
        hurt(tmp_path / "journal.sqlite")
        answers = [await done(client, f"after-{number}") for number in range(3)]
        assert [status for status, _ in answers] == [200] * 3, answers
        assert (await done(client, None))[0] == 200
        assert (await client.get("/health"))[1]["jobs_set_aside"] >= 1
        assert (await client.get("/ready"))[0] == 200
    names = {f"{when}-{number}" for when in ("before", "after") for number in range(3)}
    assert stored(tmp_path) == names >= set(tokens)
    async with worker(engine, tmp_path) as client:
        assert {entry.job.id for entry in client.app.manager._job_index} == names


async def test_a_lock_of_another_process_holds_nobody_up(engine: EngineHandle, tmp_path: Path) -> None:
    """While it lasts /health answers and jobs without ids run; the job with an id waits without blocking."""
    async with worker(engine, tmp_path) as client:
        assert (await done(client, "before"))[0] == 200
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = [asyncio.create_task(done(client, f"locked-{number}")) for number in range(4)]
            for _ in range(3):
                assert (await client.get("/health"))[0] == 200
                assert (await done(client, None))[0] == 200
            other.execute("ROLLBACK")
        answers = await asyncio.gather(*waiting)  # refused where this machine took more than 5 s
        assert all(status == 200 or body["error"]["code"] == "journal_unavailable" for status, body in answers)
        assert (await done(client, "after"))[0] == 200
    assert stored(tmp_path) >= {"before", "after"}


async def test_a_lock_that_stays_has_its_own_code(tmp_path: Path, engine: EngineHandle) -> None:
    """After 5 s the job is not accepted: 503 journal_unavailable, for another try; it is not `cancelled`."""
    request = {"workflow": picture(), "id": "locked"}
    async with worker(engine, tmp_path) as client:
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            status, body = await client.post("/generate/sync", request)
            assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "journal_unavailable", True)
            other.execute("ROLLBACK")
        assert (await client.post("/generate/sync", request))[0] == 200


async def test_an_end_that_met_a_lock_is_written_without_another_job(engine: EngineHandle, tmp_path: Path) -> None:
    """The journal tries again by itself."""
    async with worker(engine, tmp_path) as client:
        accepted = (await client.post("/generate", {"workflow": picture(), "id": "mine"}))[1]
        job = client.app.manager.find("mine", accepted["token"])
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None, timeout=20)) as other:
            other.execute("BEGIN IMMEDIATE")
            await client.app.manager.wait_for_end(job)
            other.execute("ROLLBACK")
        async with asyncio.timeout(20):
            while "mine" not in stored(tmp_path):
                await asyncio.sleep(0.05)


async def test_nothing_is_lost_where_no_new_file_can_be_made(tmp_path: Path) -> None:
    """What is owed stays owed until there is room, and then the new file has all jobs."""
    from tests.jobs.test_journal import job
    from worker.errors import JournalUnavailable

    path = tmp_path / "sub" / "journal.sqlite"
    with Journal(path, busy_s=0.05) as journal:
        first, second = job(), job()
        second.id = "second"
        await journal.record_accepted(first)
        path.parent.rename(tmp_path / "away")
        with pytest.raises(JournalUnavailable):
            await journal.record_accepted(second)
        path.parent.mkdir()
        await journal.record_accepted(second)
    with Journal(path) as journal:
        assert {one.job.id for one in journal.jobs()} == {first.id, "second"}
