"""The scene of a run: an engine, a relay, and a worker, each with folders, address and log of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from chaos.testbed.child import Child
from chaos.testbed.kept import kept_engines
from chaos.testbed.relay import Relay
from worker.engine.process.free_port import free_port

TOKEN = "chaos-operator-token-4b1d"  # noqa: S105 - it opens nothing but the run's own worker
START_S, KNOCK_S, DEAD_S = 200.0, 0.05, 0.3
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

    @property
    def input(self) -> Path:
        """The engine's input folder."""
        return self.engine.base / "input"

    def engine_urls(self) -> list[str]:
        return [self.engine.url]

    async def kill_engine(self, _: int = 0) -> None:
        """Kill it, and start it again a little later."""
        await self.engine.kill()
        await asyncio.sleep(DEAD_S)
        await self.engine.start()

    def drop_sockets(self) -> None:
        self.relay.drop()


@dataclass(frozen=True, slots=True)
class KeptStage:
    """A worker that keeps its engines itself, as it does in the container; nothing stands between them."""

    folder: Path
    worker: StageWorker

    @property
    def logs(self) -> list[Path]:
        return [self.worker.child.log, *sorted(self.worker.state.glob("engine*.log"))]

    @property
    def input(self) -> Path:
        """The input folder, which the engines share."""
        return self.worker.state / "engine" / "input"

    def engine_urls(self) -> list[str]:
        return [engine.url for engine in kept_engines(self.worker.child.pid)]

    async def kill_engine(self, number: int = 0) -> None:
        """Kill one of them. Returns when the worker has started it again."""
        kept = kept_engines(self.worker.child.pid)
        killed = kept[number % len(kept)]
        os.kill(killed.pid, signal.SIGKILL)
        await asyncio.sleep(DEAD_S)
        await answering(self.worker.child, f"{killed.url}/prompt")

    def drop_sockets(self) -> None:
        raise NotImplementedError("no relay stands between the worker and its own engines")


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


@asynccontextmanager
async def kept_stage(folder: Path, env: Mapping[str, str], engines: int) -> AsyncIterator[KeptStage]:
    """With everything started; the worker has as many embedded engines as that."""
    worker = worker_in(folder, engine_in(folder), "embedded", {})
    shared = {"WORKER_COMFYUI_INPUT", "WORKER_COMFYUI_OUTPUT"}
    own = {name: value for name, value in worker.child.env.items() if name not in shared}
    worker.child.env = {**own, "WORKER_GPUS": str(engines), **env}
    scene = KeptStage(folder, worker)
    try:
        await worker.start()
        async with asyncio.timeout(START_S):
            while len(scene.engine_urls()) < engines:
                await asyncio.sleep(KNOCK_S)
        yield scene
    finally:
        await worker.child.end()


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
