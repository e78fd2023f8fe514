"""Tests of a journal that is locked, damaged or removed while the worker runs."""

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
    """A damaged journal is replaced with the rows in memory, and /health counts the damage."""
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
        assert {entry.job.id for entry in client.app.manager.job_index} == names


async def test_a_locked_journal_delays_no_other_request(engine: EngineHandle, tmp_path: Path) -> None:
    """Other requests are served while a job waits for a locked journal."""
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


async def test_a_lasting_lock_returns_journal_unavailable(tmp_path: Path, engine: EngineHandle) -> None:
    """A job is rejected with 503 journal_unavailable after 5 s of a lock."""
    request = {"workflow": picture(), "id": "locked"}
    async with worker(engine, tmp_path) as client:
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            status, body = await client.post("/generate/sync", request)
            assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "journal_unavailable", True)
            other.execute("ROLLBACK")
        assert (await client.post("/generate/sync", request))[0] == 200


async def test_an_end_that_met_a_lock_is_written_without_another_job(engine: EngineHandle, tmp_path: Path) -> None:
    """An end that met a lock is written once the lock is released."""
    async with worker(engine, tmp_path) as client:
        accepted = (await client.post("/generate", {"workflow": picture(), "id": "mine"}))[1]
        job = client.app.manager.find("mine", accepted["token"])
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            await client.app.manager.wait_for_end(job)
            other.execute("ROLLBACK")
        async with asyncio.timeout(60):
            while "mine" not in stored(tmp_path):
                await asyncio.sleep(0.05)


async def test_nothing_is_lost_where_no_new_file_can_be_made(tmp_path: Path) -> None:
    """Pending changes are kept until a new journal can be created."""
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
