"""A worker that is started for a backend: its start, its death, and the end of the process that has started it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from worker.backends.local.open import LocalBackend
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings
from worker.errors import StartupError

HOLDER = """
import asyncio, sys
from pathlib import Path
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings

async def main():
    async with open_backend(BackendSettings("mine", "local:", state=Path(sys.argv[1]))) as backend:
        print(backend.child.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    """Return whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true, for a minute at most."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)


async def test_the_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Also when that process is killed, so that no worker is left."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    async with asyncio.timeout(60):
        pid = int(await holder.stdout.readline())
    assert is_running(pid)
    holder.kill()
    await holder.wait()
    await until(lambda: not is_running(pid))


async def test_the_worker_is_stopped_at_the_end_and_started_again_after_its_death(tmp_path: Path) -> None:
    """Its token is in no command line, and its log is in its state folder."""
    async with open_backend(BackendSettings("mine", "local:", state=tmp_path)) as backend:
        assert isinstance(backend, LocalBackend)
        child = backend.child
        first = child.pid
        assert first is not None
        assert child.token not in Path(f"/proc/{first}/cmdline").read_text()
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.pid != first)
        second = child.pid
        assert second is not None
        assert is_running(second)
    assert not is_running(second)
    assert "listening" in (tmp_path / "mine" / "worker.log").read_text()


async def test_a_worker_that_cannot_start(tmp_path: Path) -> None:
    """The message has the end of its log, which names the cause: here another worker uses the state folder."""
    settings = BackendSettings("mine", "local:", state=tmp_path)
    async with open_backend(settings):
        with pytest.raises(StartupError, match=r"(?s)the local worker ended with code 69.*another worker"):
            async with open_backend(settings):
                pass
