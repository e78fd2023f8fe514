"""RunPod's own programs as processes: the worker SDK and the clients, each version in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.npm import MODULES
from worker.simulators.runpod import LocalRunpod

SDKS = Path(os.environ.get("RUNPOD_SDKS", ROOT / ".venv" / "runpod"))
"""Folder with a virtual environment for each version: `1.11/` and `1.12/`. `make runpod-sdks` builds them."""
VERSIONS = ("1.11", "1.12")
HERE = Path(__file__).parent
LIMIT_S = 90


def sdk_python(version: str) -> Path:
    """Return the Python with this version of the SDK. It need not exist."""
    return SDKS / version / "bin" / "python"


def has_sdk(version: str) -> bool:
    """Return whether this version of the SDK is installed."""
    return any((SDKS / version).glob(f"lib/python3*/site-packages/runpod-{version}.*.dist-info"))


def sdk_versions(*versions: str) -> list[Any]:
    """Return parameters for a test that needs the SDK, by default in all versions."""
    return [
        pytest.param(
            version,
            marks=pytest.mark.skipif(not has_sdk(version), reason=f"no runpod {version} in {SDKS}: `make runpod-sdks`"),
        )
        for version in versions or VERSIONS
    ]


@asynccontextmanager
async def sdk_worker(
    version: str,
    runpod: LocalRunpod,
    folder: Path,
    program: str = "plain_handler.py",
    *arguments: str,
    worker_id: str = "pod0",
    **environ: str,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker with RunPod's SDK, whose output is in the file `log`. All its processes are killed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = {"PATH": os.defpath, "HOME": str(folder), **runpod.worker_environ(worker_id), **environ}
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(sdk_python(version)), str(HERE / program), *arguments),
            env=variables,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its process for pings
        await process.wait()


async def run_python_client(version: str, runpod: LocalRunpod, program: str, folder: Path) -> Any:
    """Run a program with RunPod's Python client, and return the JSON that it prints."""
    environ = {"PATH": os.defpath, "HOME": str(folder), **runpod.client_environ()}
    command = [str(sdk_python(version)), str(HERE / program), runpod.state.endpoint]
    return await run_program(command, environ, folder)


async def run_npm_client(runpod: LocalRunpod, folder: Path) -> Any:
    """Run the program with RunPod's npm client, and return the JSON that it prints."""
    (folder / "node_modules").symlink_to(MODULES)
    shutil.copy(HERE / "js_client.mjs", folder)
    command = ["node", "js_client.mjs", runpod.base_url, runpod.api_key, runpod.state.endpoint]
    return await run_program(command, {"PATH": os.environ["PATH"], "HOME": str(folder)}, folder)


async def run_program(command: list[str], environ: dict[str, str], folder: Path) -> Any:
    """Run a command to its end, and return the JSON in the last line that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode(errors="replace")
    return json.loads(output.splitlines()[-1])
