"""Runs the benchmark: jobs like those of clients, on all engines at the same time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from worker.app import App
from worker.errors import StartupError, WorkerError
from worker.intake import Caller
from worker.platforms.vast.benchmark.choice import CURE
from worker.platforms.vast.benchmark.workflow import BenchmarkWorkflow

PRINCIPAL = "benchmark"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A workflow, the number of its measured runs, and the time limit of a run in seconds.

    It replaces the SDK's own benchmark, which takes the best run, stops the clock at the response's headers, retries
    forever, and when it fails leaves a worker that counts as loaded. The SDK gets the score of this one.
    """

    workflow: BenchmarkWorkflow
    runs: int
    timeout_s: float

    def key(self, *conditions: str) -> str:
        """Return a hash of the workflow and the conditions (image, GPU, driver) that a speed is valid for."""
        parts = [self.workflow.identity, *(text.encode() for text in conditions)]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    async def run(self, app: App, count: int) -> None:
        """Run the workflow `count` times at the same time, once on each engine. Raises StartupError when a run fails.

        The outputs are not fetched.
        """
        await asyncio.gather(*(self._run_once(app) for _ in range(count)))

    async def _run_once(self, app: App) -> None:
        """Run the workflow once. Raises StartupError.

        It passes the intake like a client's, but needs no token, and gets no response before its end.
        """
        what = f"the benchmark workflow ({self.workflow.name})"
        try:
            body = orjson.dumps(await asyncio.to_thread(self.workflow.payload))
            async with asyncio.timeout(self.timeout_s):
                async with app.intake.body(_in_one_piece(body)) as scanned:
                    job = await app.intake.submit(scanned, Caller(PRINCIPAL))
                async with app.manager.count_waiter(job):
                    await app.manager.wait_for_end(job)
        except TimeoutError:
            limit = f"within {self.timeout_s:g} s (WORKER_BENCHMARK_TIMEOUT)"
            raise StartupError(f"{what} was not finished {limit}") from None
        except WorkerError as error:
            raise StartupError(f"{what} was rejected: {error}; {CURE}") from error
        if job.error is not None:
            raise StartupError(f"{what} failed: {job.error}; {CURE}")


async def _in_one_piece(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body."""
    yield body
