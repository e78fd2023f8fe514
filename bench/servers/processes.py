"""The engine and the workers that are measured, each a process of its own."""

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
KNOCK_S = 0.05


class NotStartedError(Exception):
    """What was to be measured does not run."""


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process and the file that it writes its log to."""

    process: Process
    log: Path

    def check(self) -> None:
        """Raises NotStartedError, with its last words, when it has ended."""
        if self.process.returncode is not None:
            raise NotStartedError(self.log.read_text("utf-8", "replace")[-2000:])


@dataclass(frozen=True, slots=True)
class BenchEngine:
    """A ComfyUI, and its folders where this machine has them."""

    url: str
    folder: Path | None


@dataclass(frozen=True, slots=True)
class BenchWorker:
    """A running worker in front of an engine."""

    url: str
    pid: int


@asynccontextmanager
async def embedded_engine(folder: Path) -> AsyncIterator[BenchEngine]:
    """The embedded engine, with its folders inside `folder`."""
    port = free_port()
    base = folder / "engine"
    async with running(embedded_command(base, port), folder / "engine.log") as started:
        url = f"http://127.0.0.1:{port}"
        await answering(f"{url}/prompt", started)
        yield BenchEngine(url, base)


@asynccontextmanager
async def worker(
    engine: BenchEngine,
    folder: Path,
    module: str = "worker",
    arguments: Sequence[str] = ("serve",),
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[BenchWorker]:
    """`comfy-worker serve` in front of the engine, connected; `folder` is its state and its log."""
    port = free_port()
    command = [sys.executable, "-m", module, *arguments]
    settings = {**worker_env(engine, folder, port), **(env or {})}
    async with running(command, folder / "worker.log", settings) as started:
        url = f"http://127.0.0.1:{port}"
        await answering(f"{url}/ready", started)
        yield BenchWorker(url, started.process.pid)


def worker_env(engine: BenchEngine, folder: Path, port: int) -> dict[str, str]:
    """Its settings: the engine's folders shared, as in the container."""
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
    """A process, its output in `log`; ended with the context."""
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


async def answering(url: str, started: RunningProcess) -> None:
    """Knock until the answer is 200. Raises TimeoutError, NotStartedError."""
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
        while True:
            started.check()
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(KNOCK_S)
