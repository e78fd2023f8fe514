"""Workers as child processes, because the SDK keeps its state (environment, logging, folder) per process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_asyncio

from tests.engines import EngineHandle
from worker.simulators.vast_router import LocalVast, ReportLog

HERE = Path(__file__).parent
KEPT_OF_ENV = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")

ALWAYS = {"PYTHONPATH": str(HERE.parents[1]), "PYTHONWARNINGS": "ignore", "WORKER_PLATFORM": "vast"}

Spawn = Callable[[str, Mapping[str, str]], Awaitable[asyncio.subprocess.Process]]


@asynccontextmanager
async def processes(cwd: Path) -> AsyncIterator[Spawn]:
    """Yield `spawn(script, env)`, and stop all processes at the end. Their output goes to files in `cwd`."""
    running: list[asyncio.subprocess.Process] = []

    async def spawn(script: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
        kept = {name: os.environ[name] for name in KEPT_OF_ENV if name in os.environ}
        with (cwd / f"{Path(script).stem}-{len(running)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(HERE / script),
                cwd=cwd,
                env={**kept, **ALWAYS, **env},
                stdout=log,
                stderr=log,
            )
        running.append(process)
        return process

    try:
        yield spawn
    finally:
        for process in running:
            if process.returncode is None:
                process.terminate()
        for process in running:
            try:
                async with asyncio.timeout(60):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def start_worker(
    spawn: Spawn, vast: LocalVast, engine: EngineHandle, worker_id: int, state: Path, **env: str
) -> asyncio.subprocess.Process:
    """Start a whole worker behind the SDK, on an engine with shared folders."""
    fixed = {
        "WORKER_COMFYUI": engine.url,
        "WORKER_COMFYUI_OUTPUT": str(engine.output),
        "WORKER_COMFYUI_INPUT": str(engine.input),
        "WORKER_STATE": str(state),
        "WORKER_VAST_HOST": "127.0.0.1",
        "WORKER_BENCHMARK_RUNS": "1",
    }
    return await spawn("comfy_worker.py", {**await vast.worker_env(worker_id), **fixed, **env})


def loaded(worker_id: int) -> Callable[[ReportLog], bool]:
    """Return a condition that is true once the worker has reported its speed."""
    return lambda record: any(status.max_perf > 0 for status in record.reports_of(worker_id))


def deleted(request_idx: object) -> Callable[[ReportLog], bool]:
    """Return a condition that is true once the request was reported as done."""
    return lambda record: any(gone.request_idx == request_idx for gone in record.deletions)


@pytest_asyncio.fixture(loop_scope="module")
async def spawn(tmp_path: Path) -> AsyncIterator[Spawn]:
    async with processes(tmp_path) as spawn:
        yield spawn
