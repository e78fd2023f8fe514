"""Files in the current folder that have the name of a package: no process of the worker imports them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.cli.terminal import environment
from worker.engine.process.gpu import PROBE

COMMAND = Path(sysconfig.get_path("scripts"), "comfy-worker")
HOSTILE = "raise SystemExit('imported from the current folder')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("worker", "aiohttp", "orjson", "typer", "torch"):
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    return tmp_path


def test_a_template_runs_in_such_a_folder(folder: Path) -> None:
    """`comfy-worker run` and the embedded engine that it starts import the installed packages."""
    command = [COMMAND, "run", "smoke-resize"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list((folder / "out").glob("*.png"))


async def test_a_worker_serves_in_such_a_folder(folder: Path) -> None:
    """The parent process, the worker that it starts and the engine below that all import the installed packages."""
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "serve", "--port", "0", "--restarts", "1"),
        cwd=folder,
        env=environment(),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    said = []
    try:
        async with asyncio.timeout(20):
            while line := await process.stderr.readline():
                said.append(line.decode())
                if "engine is ready" in said[-1]:
                    break
    finally:
        process.terminate()
        await process.communicate()
    assert "engine is ready" in said[-1], "".join(said)


def test_the_probe_of_the_gpu_takes_the_installed_torch(folder: Path) -> None:
    """It fails here for want of a GPU or of torch, and not with the file in the current folder."""
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=folder, capture_output=True, text=True, check=False)
    assert HOSTILE not in done.stderr
    assert "imported from the current folder" not in done.stderr
