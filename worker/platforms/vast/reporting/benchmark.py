"""Measures the worker's speed in workload units per second, from which the autoscaler derives how many to rent."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from worker.errors import CannotConvert, StartupError
from worker.platforms.vast.settings import VastSettings
from worker.workflow.embedded_metadata import extract_workflow

log = logging.getLogger(__name__)

SCORE = "benchmark.json"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One workflow that is run through the gateway like a client's, several times. Its outputs are not fetched.

    It replaces the SDK's own benchmark, which takes the best run, stops the clock at the response's headers, retries
    forever, and when it fails leaves a worker that counts as loaded. The SDK gets the score of this one.
    """

    workflow: Mapping[str, Any]
    runs: int
    timeout_s: float

    @classmethod
    def read(cls, settings: VastSettings) -> Benchmark:
        """Return the benchmark with the operator's workflow, or else the packaged one, which needs no model.

        Raises StartupError when the workflow cannot be read.
        """
        path = settings.benchmark
        try:
            text = path.read_bytes() if path else files(__package__).joinpath("benchmark.json").read_bytes()
            workflow = extract_workflow(text)
        except (OSError, CannotConvert) as error:
            raise StartupError(f"WORKER_BENCHMARK: cannot read {path}: {error}") from error
        if not isinstance(workflow, dict):
            raise StartupError(f"WORKER_BENCHMARK: {path} is not a workflow in API format")
        if not path:
            log.warning("WORKER_BENCHMARK is not set: the score of a workflow without models means little for a GPU")
        return cls(workflow, max(1, settings.benchmark_runs), settings.benchmark_timeout_s)

    @property
    def payload(self) -> dict[str, object]:
        """The request body, in the form of Vast's stock template, which can leave out all outputs."""
        return {"input": {"workflow_json": self.workflow}}

    def key(self, *conditions: str) -> str:
        """Return a hash of the workflow and the conditions (image, GPU) that a score is valid for."""
        parts = [orjson.dumps(self.workflow, option=orjson.OPT_SORT_KEYS), *(text.encode() for text in conditions)]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    async def score(
        self, url: str, workload: float, read_score: Callable[[], float | None], engines: int = 1, share: float = 1.0
    ) -> float:
        """Run once to load the models, then measure the speed of all engines, and return it in units per second.

        `url` is the gateway's, and `workload` is the workload of one run. `engines` is the number of engines that run.
        They run one request each at the same time, and their speeds are added. `share` is the part of the worker's
        engines that runs, from 0 to 1. The sum is divided by it, as if the missing engines were as fast. Nothing is
        measured if `read_score` returns the score of an earlier start. Raises StartupError when a run fails.
        """
        async with aiohttp.ClientSession() as session:
            await self._run_parallel(session, url, engines)
            earlier_score = read_score()
            if earlier_score is not None:
                log.info("benchmark: %.1f units/s, measured by an earlier start", earlier_score)
                return earlier_score
            rounds = [await self._run_parallel(session, url, engines) for _ in range(self.runs)]
        speeds = [sum(workload / seconds for seconds in round_seconds) for round_seconds in rounds]
        score = statistics.median(speeds) / share
        all_seconds = ", ".join(f"{seconds:.2f}" for round_seconds in rounds for seconds in round_seconds)
        log.info("benchmark: %.1f units/s (%s s)", score, all_seconds)
        return score

    async def _run_parallel(self, session: aiohttp.ClientSession, url: str, count: int) -> list[float]:
        """Run the workflow `count` times at the same time, and return the seconds of each run."""
        return await asyncio.gather(*(self._run(session, url) for _ in range(count)))

    async def _run(self, session: aiohttp.ClientSession, url: str) -> float:
        """Run the workflow once and return the seconds until its whole response arrived. Raises StartupError."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.timeout_s):
                async with session.post(f"{url}/generate/sync", json=self.payload) as response:
                    body = await response.read()
        except TimeoutError:
            raise StartupError(f"the benchmark workflow was not finished within {self.timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise StartupError(f"the benchmark workflow could not be sent: {error}") from error
        if response.status != 200:
            raise StartupError(f"the benchmark workflow failed ({response.status}): {_reason(body)}")
        return time.monotonic() - started


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """The score of an earlier start, in the state folder. `key` is `Benchmark.key` of the present conditions."""

    folder: Path
    key: str

    def read(self) -> float | None:
        """Return the stored score, or None when there is none for the present image, GPU and workflow."""
        try:
            content = orjson.loads((self.folder / SCORE).read_bytes())
            score = float(content["score"]) if content["key"] == self.key else 0.0
            return score if score > 0 and math.isfinite(score) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, score: float) -> None:
        """Store the score. If that fails, log it; the next start measures again."""
        text = orjson.dumps({"key": self.key, "score": score})
        new = self.folder / f"{SCORE}.new"
        try:
            new.write_bytes(text)
            new.replace(self.folder / SCORE)
        except OSError as error:
            log.warning("the score cannot be stored: %s", error)


def _reason(body: bytes) -> str:
    """Return the message of the error in a response, or the start of the body if it has none."""
    try:
        error = orjson.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
