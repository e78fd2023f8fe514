"""Runs the benchmark: jobs that are sent to the gateway like a client's, on all engines at the same time."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass

import aiohttp
import orjson

from worker.errors import StartupError
from worker.platforms.vast.benchmark.choice import CURE
from worker.platforms.vast.benchmark.workflow import BenchmarkWorkflow

log = logging.getLogger(__name__)


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

    async def run(self, url: str, count: int) -> None:
        """Run the workflow `count` times at the same time, once on each engine. Raises StartupError when a run fails.

        `url` is the gateway's. The outputs are not fetched.
        """
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._run_once(session, url) for _ in range(count)))

    async def _run_once(self, session: aiohttp.ClientSession, url: str) -> None:
        """Run the workflow once and wait for the whole response. Raises StartupError."""
        what = f"the benchmark workflow ({self.workflow.name})"
        try:
            body = await asyncio.to_thread(self.workflow.payload)
            async with asyncio.timeout(self.timeout_s):
                async with session.post(f"{url}/generate/sync", json=body) as response:
                    answer = await response.read()
        except TimeoutError:
            limit = f"within {self.timeout_s:g} s (WORKER_BENCHMARK_TIMEOUT)"
            raise StartupError(f"{what} was not finished {limit}") from None
        except aiohttp.ClientError as error:
            raise StartupError(f"{what} could not be sent: {error}") from error
        if response.status != 200:
            raise StartupError(f"{what} failed ({response.status}): {_reason(answer)}; {CURE}")


def _reason(body: bytes) -> str:
    """Return the message of the error in a response, or the start of the body if it has none."""
    try:
        error = orjson.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
