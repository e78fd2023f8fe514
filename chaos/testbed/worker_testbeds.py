"""Testbeds with one worker: with an external engine behind a relay, or with engines that the worker manages.

Every process has its own folders, port and log.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from chaos.testbed.child_process import ChildProcess
from chaos.testbed.managed_engines import managed_engines
from chaos.testbed.tcp_relay import TcpRelay
from worker.engine.process.free_port import free_port

TOKEN = "chaos-operator-token-4b1d"  # noqa: S105 - valid only for the worker of this run
START_S, POLL_S, DOWNTIME_S = 200.0, 0.05, 0.3
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(slots=True)
class EngineProcess:
    """The embedded engine as a process of its own. A restart keeps its port and folders."""

    child: ChildProcess
    port: int
    base: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the engine and wait until it answers."""
        await self.child.start()
        await wait_until_ok(self.child, f"{self.url}/prompt")

    async def kill(self) -> None:
        await self.child.stop(signal.SIGKILL)


@dataclass(slots=True)
class WorkerProcess:
    """`comfy-worker serve` as a process. A restart keeps its port and state folder."""

    child: ChildProcess
    port: int
    state: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the worker and wait until it is ready."""
        await self.child.start()
        await wait_until_ok(self.child, f"{self.url}/ready")


@dataclass(frozen=True, slots=True)
class ExternalEngineTestbed:
    """A worker with an external engine behind a relay. All files are below `folder`."""

    folder: Path
    engine: EngineProcess
    relay: TcpRelay
    worker: WorkerProcess

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
        """Kill the engine, and start it again after DOWNTIME_S."""
        await self.engine.kill()
        await asyncio.sleep(DOWNTIME_S)
        await self.engine.start()

    def drop_websockets(self) -> None:
        """Abort the worker's WebSocket connections to the engine."""
        self.relay.drop_websockets()


@dataclass(frozen=True, slots=True)
class ManagedEngineTestbed:
    """A worker that manages its own engines, as in the container. No relay is between them."""

    folder: Path
    worker: WorkerProcess

    @property
    def logs(self) -> list[Path]:
        return [self.worker.child.log, *sorted(self.worker.state.glob("engine*.log"))]

    @property
    def input(self) -> Path:
        """The input folder, which the engines share."""
        return self.worker.state / "engine" / "input"

    def engine_urls(self) -> list[str]:
        return [engine.url for engine in managed_engines(self.worker.child.pid)]

    async def kill_engine(self, number: int = 0) -> None:
        """Kill one engine and wait until the worker has started it again."""
        engines = managed_engines(self.worker.child.pid)
        killed = engines[number % len(engines)]
        os.kill(killed.pid, signal.SIGKILL)
        await asyncio.sleep(DOWNTIME_S)
        await wait_until_ok(self.worker.child, f"{killed.url}/prompt")

    def drop_websockets(self) -> None:
        """Raise NotImplementedError, because no relay is between the worker and its engines."""
        raise NotImplementedError("no relay is between the worker and its own engines")


def engine_process(folder: Path, *options: str) -> EngineProcess:
    """Return an embedded engine that has not been started."""
    port, base = free_port(), folder / "engine"
    command = ["worker", "engine", "--port", str(port), "--base", str(base), *options]
    return EngineProcess(ChildProcess(command, folder, folder / "engine.log"), port, base)


def worker_process(folder: Path, engine: EngineProcess, url: str, env: Mapping[str, str]) -> WorkerProcess:
    """Return a worker that has not been started. It shares the engine's folders. `url` is its WORKER_COMFYUI."""
    port, state = free_port(), folder / "state"
    settings = {
        "WORKER_COMFYUI": url,
        "WORKER_COMFYUI_INPUT": str(engine.base / "input"),
        "WORKER_COMFYUI_OUTPUT": str(engine.base / "output"),
        "WORKER_GATEWAY_PORT": str(port),
        "WORKER_STATE": str(state),
        "WORKER_TOKENS": f"chaos={TOKEN}",
    }
    child = ChildProcess(("worker", "serve"), folder, folder / "worker.log", settings | dict(env))
    return WorkerProcess(child, port, state)


@asynccontextmanager
async def external_engine_testbed(folder: Path, env: Mapping[str, str]) -> AsyncIterator[ExternalEngineTestbed]:
    """Start a worker with an external engine behind a relay. `env` has the worker's settings."""
    engine = engine_process(folder)
    async with TcpRelay(engine.port) as relay:
        worker = worker_process(folder, engine, relay.url, env)
        try:
            await engine.start()
            await worker.start()
            yield ExternalEngineTestbed(folder, engine, relay, worker)
        finally:
            await worker.child.stop()
            await engine.child.stop()


@asynccontextmanager
async def managed_engine_testbed(
    folder: Path, env: Mapping[str, str], engines: int
) -> AsyncIterator[ManagedEngineTestbed]:
    """Start a worker with this number of embedded engines of its own. `env` has the worker's settings."""
    worker = worker_process(folder, engine_process(folder), "embedded", {})
    shared_folders = {"WORKER_COMFYUI_INPUT", "WORKER_COMFYUI_OUTPUT"}
    base_env = {name: value for name, value in worker.child.env.items() if name not in shared_folders}
    worker.child.env = {**base_env, "WORKER_GPUS": str(engines), **env}
    testbed = ManagedEngineTestbed(folder, worker)
    try:
        await worker.start()
        async with asyncio.timeout(START_S):
            while len(testbed.engine_urls()) < engines:
                await asyncio.sleep(POLL_S)
        yield testbed
    finally:
        await worker.child.stop()


async def wait_until_ok(child: ChildProcess, url: str) -> None:
    """Request a URL until the status is 200. Raises TimeoutError, or RuntimeError when the process has ended."""
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
        while child.pid:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientConnectionError, ConnectionError):
                pass
            await asyncio.sleep(POLL_S)
