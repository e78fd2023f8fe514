"""Files in the current folder that have the name of a package. No process of the worker imports them."""

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


def test_run_ignores_modules_of_the_current_folder(folder: Path) -> None:
    """`run` and its engine import the installed packages, and not files of the current folder."""
    command = [COMMAND, "run", "smoke-resize"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list((folder / "out").glob("*.png"))


async def test_serve_ignores_modules_of_the_current_folder(folder: Path) -> None:
    """The parent process, the worker and the engine import the installed packages."""
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "serve", "--port", "0", "--restarts", "1"),
        cwd=folder,
        env=environment(),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    lines = []
    try:
        async with asyncio.timeout(60):
            while line := await process.stderr.readline():
                lines.append(line.decode())
                if "engine is ready" in lines[-1]:
                    break
    finally:
        process.terminate()
        await process.communicate()
    assert "engine is ready" in lines[-1], "".join(lines)


def test_the_gpu_probe_ignores_modules_of_the_current_folder(folder: Path) -> None:
    """The probe imports the installed torch. It may fail without a GPU, but not with the file of the current folder."""
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=folder, capture_output=True, text=True, check=False)
    assert HOSTILE not in done.stderr
    assert "imported from the current folder" not in done.stderr
