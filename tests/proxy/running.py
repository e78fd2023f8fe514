"""Proxies and workers under test: in this process, or in processes of their own that a test can kill."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.conftest import bearer
from worker.proxy.app import ProxyApp, build
from worker.proxy.config.config_file import config_of_urls, read_config, with_options

START_S = 60


@dataclass
class ProxyClient:
    """A proxy in this process, and an HTTP session for it."""

    app: ProxyApp
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.app.url

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, dict]:
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, token: str = "") -> tuple[int, dict]:
        async with self.http.get(self.url + path, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def delete(self, path: str, token: str = "") -> tuple[int, dict]:
        async with self.http.delete(self.url + path, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def result(self, job: dict) -> tuple[int, dict]:
        """Wait for the result of a job that was accepted."""
        headers = bearer(job["token"]) | {"Prefer": "wait=60"}
        async with self.http.get(f"{self.url}/jobs/{job['id']}", headers=headers) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def proxy(state: Path, *urls: str, toml: str = "", **environ: str) -> AsyncIterator[ProxyClient]:
    """Run a proxy in front of backends at these URLs, or with a configuration."""
    config = read_config(toml) if toml else config_of_urls(urls)
    config = with_options(config, host="127.0.0.1", port=0, state=state)
    async with build(config, environ) as app, aiohttp.ClientSession() as http:
        yield ProxyClient(app, http)


@dataclass
class Process:
    """A process of `comfy-worker` that listens on a port, which it keeps when it is started again."""

    arguments: tuple[str, ...]
    port: int
    environ: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, path: str = "/ready") -> None:
        """Start the process, and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "worker",
                *self.arguments,
                "--port",
                str(self.port),
                env={**os.environ, **self.environ},
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as http:
            while True:
                with suppress(aiohttp.ClientError):
                    async with http.get(self.url + path) as answer:
                        if answer.status == 200:
                            return
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, and wait for the end."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        await self.process.wait()


@asynccontextmanager
async def process(folder: Path, *arguments: str, **environ: str) -> AsyncIterator[Process]:
    """Run a process of `comfy-worker` on a free port until the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    running = Process(arguments, free_port(), environ, folder / "log.txt")
    await running.start()
    try:
        yield running
    finally:
        await running.kill()


@asynccontextmanager
async def worker_process(folder: Path, **environ: str) -> AsyncIterator[Process]:
    """Run a worker with an embedded engine."""
    async with process(folder, "serve", "--state", str(folder / "state"), **environ) as running:
        yield running


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
