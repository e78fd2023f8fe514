"""The scene of a run: an engine, a relay, and a worker, each with folders, address and log of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from chaos.testbed.child import Child
from chaos.testbed.relay import Relay
from worker.engine.process.free_port import free_port

TOKEN = "chaos-operator-token-4b1d"  # noqa: S105 - it opens nothing but the run's own worker
START_S, KNOCK_S = 200.0, 0.05
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(slots=True)
class StageEngine:
    """The embedded engine as a process; after a kill it comes back at its address with its folders."""

    child: Child
    port: int
    base: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        await self.child.start()
        await answering(self.child, f"{self.url}/prompt")

    async def kill(self) -> None:
        await self.child.end(signal.SIGKILL)


@dataclass(slots=True)
class StageWorker:
    """`comfy-worker serve` as a process; after a kill it comes back at its address with its state."""

    child: Child
    port: int
    state: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        await self.child.start()
        await answering(self.child, f"{self.url}/ready")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything lies in `folder`: logs, the engine's `base`, the worker's `state`, and homes for both."""

    folder: Path
    engine: StageEngine
    relay: Relay
    worker: StageWorker

    @property
    def logs(self) -> list[Path]:
        return [self.worker.child.log, self.engine.child.log]


def engine_in(folder: Path, *options: str) -> StageEngine:
    """Not yet started."""
    port, base = free_port(), folder / "engine"
    command = ["worker", "engine", "--port", str(port), "--base", str(base), *options]
    return StageEngine(Child(command, folder, folder / "engine.log"), port, base)


def worker_in(folder: Path, engine: StageEngine, url: str, env: Mapping[str, str]) -> StageWorker:
    """Not yet started; `url` is where it finds the engine, whose folders it shares."""
    port, state = free_port(), folder / "state"
    settings = {
        "WORKER_COMFYUI": url,
        "WORKER_COMFYUI_INPUT": str(engine.base / "input"),
        "WORKER_COMFYUI_OUTPUT": str(engine.base / "output"),
        "WORKER_GATEWAY_PORT": str(port),
        "WORKER_STATE": str(state),
        "WORKER_TOKENS": f"chaos={TOKEN}",
    }
    return StageWorker(Child(("worker", "serve"), folder, folder / "worker.log", settings | dict(env)), port, state)


@asynccontextmanager
async def stage(folder: Path, env: Mapping[str, str]) -> AsyncIterator[Stage]:
    """With everything started; `env` are the worker's settings."""
    engine = engine_in(folder)
    async with Relay(engine.port) as relay:
        worker = worker_in(folder, engine, relay.url, env)
        try:
            await engine.start()
            await worker.start()
            yield Stage(folder, engine, relay, worker)
        finally:
            await worker.child.end()
            await engine.child.end()


async def answering(child: Child, url: str) -> None:
    """Knock until the answer is 200. Raises TimeoutError, and RuntimeError where the process has ended."""
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
        while child.pid:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientConnectionError, ConnectionError):
                pass
            await asyncio.sleep(KNOCK_S)
