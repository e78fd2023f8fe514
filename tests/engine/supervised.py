"""A worker with its own engine in its own process, which tests may kill, stop and break."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.conftest import Client
from worker.app import build
from worker.engine.process.names import FIRST_ENGINE, per_engine
from worker.events import Observer
from worker.settings import Settings

COVERED = {"sandbox_write": str(Path.cwd())} if any(name.startswith("COVERAGE_PROCESS") for name in os.environ) else {}
"""An engine whose coverage is measured writes that into the current folder."""


@dataclass(frozen=True)
class Supervised(Client):
    """A worker, and the engine that it manages."""

    folder: Path

    def signal(self, number: signal.Signals, engine: str = FIRST_ENGINE) -> None:
        [pid] = engine_pids(self.folder, engine)
        os.kill(pid, number)

    def engine_of(self, job: dict) -> str | None:
        """The name of the engine that has a job, or had it last."""
        return self.app.manager.find(job["id"], job["token"]).engine

    async def job(self, workflow: object, **more: object) -> dict:
        status, job = await self.post("/generate", {"workflow": workflow, **more})
        assert status == 202, job
        return job

    async def result(self, job: dict) -> tuple[int, dict]:
        """The job's end, waited for by its events."""
        url = f"{self.app.url}/jobs/{job['id']}/events?token={job['token']}"
        async with asyncio.timeout(60), self.http.get(url) as stream:
            await stream.read()
        return await self.get(f"/jobs/{job['id']}", job["token"])

    async def inside(self, job: dict | None = None, class_type: str = "EmbeddedSleep") -> None:
        """Wait until a node has begun that is not interrupted: the engine logs that after its last check.

        A job that is "generating" may still be interrupted before its node begins. Without a job, any prompt of the
        first engine counts.
        """
        found = None if job is None else self.app.manager.find(job["id"], job["token"])
        async with asyncio.timeout(60):
            while True:
                engine = FIRST_ENGINE if found is None else found.engine
                sign = f"{class_type} of the prompt {'' if found is None else found.prompt_id}"
                lines = (await self.engine_says("/internal/logs/raw", engine or FIRST_ENGINE))["entries"]
                if any(sign in line["m"] for line in lines):
                    return
                await asyncio.sleep(0.02)

    async def engine_says(self, path: str, engine: str = FIRST_ENGINE) -> dict:
        """What an engine answers; one that is being started again is waited for."""
        [api] = [one.api for one in self.app.engines.engines if one.name == engine]
        async with asyncio.timeout(60):
            while True:
                try:
                    async with self.http.get(api.base_url + path) as answer:
                        return await answer.json()
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)

    async def runs(self) -> list[dict]:
        """Return the history of the engine's current run, once everything that was submitted has ended.

        The last message of a run comes before its history entry, so a job may have its result first.
        """
        return await runs(self.engine_says)

    async def successes(self) -> int:
        """How many runs of the engine's life went well."""
        return sum(run["status"]["completed"] for run in await self.runs())


async def runs(engine_says: Callable[[str], Awaitable[dict]]) -> list[dict]:
    """The engine's history of its present life, once all that it was sent has ended.

    A run's last message comes before its history, so that the job may have its result first.
    """
    async with asyncio.timeout(60):
        while (await engine_says("/prompt"))["exec_info"]["queue_remaining"]:
            await asyncio.sleep(0.02)
    return list((await engine_says("/history")).values())


def engine_pids(state: Path, engine: str = FIRST_ENGINE) -> list[int]:
    """Return the processes of an engine with folders in this state folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if str(state / per_engine("engine", engine)).encode() in words:
                found.append(int(path.parent.name))
    return found


@asynccontextmanager
async def supervised(state: Path, *observers: Observer, **given: object) -> AsyncIterator[Supervised]:
    """Run a worker with short deadlines.

    A test of an engine that does not respond sets `engine_silence_s`. A busy machine would exceed a short one
    otherwise.
    """
    short = {"silence_s": 0.3, **COVERED}
    settings = Settings.of(**{"comfyui": "embedded", "port": 0, "state": state, **short, **given})
    async with build(settings, observers) as app, aiohttp.ClientSession() as http:
        await app.ready()
        yield Supervised(app, http, state)
