"""Tests of the lock of the state folder."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.terminal import cli, command
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.workflows import picture, slow
from worker.errors import StateInUse
from worker.jobs.state_lock import LOCK, state_lock


async def test_a_second_worker_exits_and_changes_nothing(engine: EngineHandle, tmp_path: Path) -> None:
    """A second worker exits with code 69 and changes nothing."""
    state = tmp_path / "state"
    async with worker(engine, state) as first:
        _, job = await first.post("/generate", {"workflow": slow(1.0, steps=4), "id": "mine"})
        await first.state(job, "generating")
        half = state / "bodies" / "body-half"
        half.mkdir(parents=True)
        with closing(sqlite3.connect(state / "journal.sqlite")) as rows:
            before = rows.execute("SELECT folder, id, token, request FROM jobs").fetchall()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        arguments = ("serve", "--port", port, "--state", state, "--comfyui", engine.url)
        done = await asyncio.to_thread(command, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (StateInUse.exit_code, "")
        [sentence, _] = done.stderr.splitlines()
        assert str(state) in sentence
        assert half.is_dir()
        with closing(sqlite3.connect(state / "journal.sqlite")) as rows:
            assert rows.execute("SELECT folder, id, token, request FROM jobs").fetchall() == before
        async with asyncio.timeout(60):
            await first.app.manager.wait_for_end(first.app.manager.find("mine", job["token"]))
        assert (await first.get("/jobs/mine", job["token"]))[0] == 200


async def test_a_parent_does_not_start_a_second_worker_again(engine: EngineHandle, tmp_path: Path) -> None:
    """A second worker with --restarts exits with code 69 at once."""
    with state_lock(tmp_path):
        arguments = ("serve", "--port", 0, "--state", tmp_path, "--comfyui", engine.url, "--restarts", 5)
        done = await asyncio.to_thread(command, *arguments, cwd=tmp_path)
    assert done.returncode == StateInUse.exit_code
    assert "starting it again" not in done.stderr


async def test_a_second_worker_reports_nothing_to_vast(tmp_path: Path) -> None:
    """A second worker on Vast reports nothing."""
    with socket.create_server(("127.0.0.1", 0)) as autoscaler, state_lock(tmp_path):
        autoscaler.settimeout(0.2)
        env = {
            "CONTAINER_ID": "7",
            "PUBLIC_IPADDR": "127.0.0.1",
            "WORKER_PORT": "3000",
            "VAST_TCP_PORT_3000": "3000",
            "REPORT_ADDR": f"http://127.0.0.1:{autoscaler.getsockname()[1]}",
            "MASTER_TOKEN": "m",
        }
        arguments = ("serve", "--platform", "vast", "--port", 0, "--state", tmp_path)
        done = await asyncio.to_thread(command, *arguments, cwd=tmp_path, **env)
        assert done.returncode == StateInUse.exit_code, done.stderr
        with pytest.raises(TimeoutError):
            autoscaler.accept()


def test_the_lock_of_a_process_that_ended_is_no_obstacle(tmp_path: Path) -> None:
    """A worker starts after the lock's holder has ended, whatever is in the file's place."""
    (tmp_path / LOCK).write_text("12345\n")
    for _ in range(2):
        with state_lock(tmp_path), pytest.raises(StateInUse), state_lock(tmp_path):
            pass
    (tmp_path / LOCK).unlink()
    (tmp_path / LOCK).mkdir()
    with state_lock(tmp_path), pytest.raises(StateInUse), state_lock(tmp_path):
        pass
    with (tmp_path / "other").open("w") as file:  # a lock of another file is nobody's business
        fcntl.flock(file, fcntl.LOCK_EX)
        with state_lock(tmp_path):
            pass


async def test_a_worker_that_was_killed_leaves_no_lock(engine: EngineHandle, tmp_path: Path) -> None:
    """Children of a killed worker do not hold the lock."""
    process = await asyncio.create_subprocess_exec(
        *("python3", "-c", f"import fcntl,os,time; f=open({str(tmp_path / LOCK)!r},'w'); fcntl.flock(f,2); print(1)"),
        stdout=asyncio.subprocess.PIPE,
    )
    await process.communicate()
    async with worker(engine, tmp_path) as first:
        assert (await first.post("/generate/sync", {"workflow": picture()}))[0] == 200
        inherited = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        with state_lock(tmp_path):
            pass
    finally:
        inherited.send_signal(signal.SIGKILL)
        await inherited.wait()


async def test_the_journal_is_not_rewritten_under_a_worker(engine: EngineHandle, tmp_path: Path) -> None:
    """`journal downgrade` raises StateInUse while a worker runs."""
    async with worker(engine, tmp_path):
        done = await asyncio.to_thread(cli, "journal", "downgrade", "--state", tmp_path, cwd=tmp_path)
        assert done.returncode == StateInUse.exit_code
