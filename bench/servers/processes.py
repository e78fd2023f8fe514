"""The engine and the workers that are measured, each in its own process."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from worker.engine.process.free_port import free_port
from worker.engine.process.launch import embedded_command

START_S = 60.0
POLL_S = 0.05


class NotStartedError(Exception):
    """A process of the benchmark did not start."""


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process and its log file."""

    process: Process
    log: Path

    def check(self) -> None:
        """Raise NotStartedError with the end of the log when the process has ended."""
        if self.process.returncode is not None:
            raise NotStartedError(self.log.read_text("utf-8", "replace")[-2000:])


@dataclass(frozen=True, slots=True)
class BenchEngine:
    """A ComfyUI, and the folder with its input and output folders if this machine has it."""

    url: str
    folder: Path | None


@dataclass(frozen=True, slots=True)
class BenchWorker:
    """A running worker in front of an engine."""

    url: str
    pid: int


@asynccontextmanager
async def embedded_engine(folder: Path, *options: str) -> AsyncIterator[BenchEngine]:
    """Run the embedded engine with these options, and with its folders inside `folder`."""
    port = free_port()
    base = folder / "engine"
    async with running([*embedded_command(base, port), *options], folder / "engine.log") as started:
        url = f"http://127.0.0.1:{port}"
        await wait_until_ready(f"{url}/prompt", started)
        yield BenchEngine(url, base)


@asynccontextmanager
async def worker(
    engine: BenchEngine,
    folder: Path,
    module: str = "worker",
    arguments: Sequence[str] = ("serve",),
    env: Mapping[str, str] | None = None,
    start_s: float = START_S,
) -> AsyncIterator[BenchWorker]:
    """Run `comfy-worker serve` in front of the engine until the context ends. `folder` has its state and log."""
    port = free_port()
    command = [sys.executable, "-m", module, *arguments]
    settings = {**worker_env(engine, folder, port), **(env or {})}
    async with running(command, folder / "worker.log", settings) as started:
        url = f"http://127.0.0.1:{port}"
        await wait_until_ready(f"{url}/ready", started, start_s)
        yield BenchWorker(url, started.process.pid)


def worker_env(engine: BenchEngine, folder: Path, port: int) -> dict[str, str]:
    """Return the worker's settings. Engine and worker share the engine's folders, as in the image."""
    shared = (
        {}
        if engine.folder is None
        else {
            "WORKER_COMFYUI_INPUT": str(engine.folder / "input"),
            "WORKER_COMFYUI_OUTPUT": str(engine.folder / "output"),
        }
    )
    return {
        "WORKER_COMFYUI": engine.url,
        "WORKER_GATEWAY_PORT": str(port),
        "WORKER_STATE": str(folder / "state"),
        "WORKER_INPUT_FOLDERS": "input",
        **shared,
    }


@asynccontextmanager
async def running(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[RunningProcess]:
    """Run a process until the context ends, with its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=sink, stderr=sink, env={**os.environ, **(env or {})}
        )
    try:
        yield RunningProcess(process, log)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def wait_until_ready(url: str, started: RunningProcess, start_s: float = START_S) -> None:
    """Wait until a URL returns 200. Raises TimeoutError and NotStartedError."""
    async with asyncio.timeout(start_s), aiohttp.ClientSession() as session:
        while True:
            started.check()
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(POLL_S)
