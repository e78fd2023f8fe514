"""How fast this worker is, in workload units a second: the number that the autoscaler counts machines by."""

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
    """One workflow, run through the gateway like any client's, one at a time, its outputs left where they are.

    The SDK has a benchmark too: it takes the best of its runs, stops the clock at the response's headers, never gives
    up and, failing, leaves a worker that counts as loaded. Ours is handed to it as a measured score.
    """

    workflow: Mapping[str, Any]
    runs: int
    timeout_s: float

    @classmethod
    def read(cls, settings: VastSettings) -> Benchmark:
        """The operator's workflow, else the packaged one, which needs no model. Raises StartupError."""
        path = settings.benchmark
        try:
            text = path.read_bytes() if path else files(__package__).joinpath("benchmark.json").read_bytes()
            workflow = extract_workflow(text)
        except (OSError, CannotConvert) as error:
            raise StartupError(f"WORKER_BENCHMARK: can't read {path}: {error}") from error
        if not isinstance(workflow, dict):
            raise StartupError(f"WORKER_BENCHMARK: {path} is not a workflow in API format")
        if not path:
            log.warning("WORKER_BENCHMARK is not set: the score of the model-free workflow says little about a GPU")
        return cls(workflow, max(1, settings.benchmark_runs), settings.benchmark_timeout_s)

    @property
    def payload(self) -> dict[str, object]:
        """In the stock template's shape, which can ask for no data at all."""
        return {"input": {"workflow_json": self.workflow}}

    def key(self, *conditions: str) -> str:
        """What a score is good for: this workflow under these conditions (image, GPU)."""
        parts = [orjson.dumps(self.workflow, option=orjson.OPT_SORT_KEYS), *(text.encode() for text in conditions)]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    async def score(
        self, url: str, workload: float, known: Callable[[], float | None], engines: int = 1, share: float = 1.0
    ) -> float:
        """Run once to load the models, then measure unless the score is `known`.

        One request for each of so many `engines` runs at a time, and their speeds add up; these are a `share` of all.
        Raises StartupError.
        """
        async with aiohttp.ClientSession() as session:
            await self._runs(session, url, engines)
            if (score := known()) is not None:
                log.info("benchmark: %.1f units/s, measured by an earlier start", score)
                return score
            runs = [await self._runs(session, url, engines) for _ in range(self.runs)]
        score = statistics.median(sum(workload / seconds for seconds in times) for times in runs) / share
        seconds = ", ".join(f"{seconds:.2f}" for times in runs for seconds in times)
        log.info("benchmark: %.1f units/s (%s s)", score, seconds)
        return score

    async def _runs(self, session: aiohttp.ClientSession, url: str, count: int) -> list[float]:
        return await asyncio.gather(*(self._run(session, url) for _ in range(count)))

    async def _run(self, session: aiohttp.ClientSession, url: str) -> float:
        """Seconds until the whole answer was there."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.timeout_s):
                async with session.post(f"{url}/generate/sync", json=self.payload) as response:
                    body = await response.read()
        except TimeoutError:
            raise StartupError(f"the benchmark workflow did not end within {self.timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise StartupError(f"the benchmark workflow could not be sent: {error}") from error
        if response.status != 200:
            raise StartupError(f"the benchmark workflow failed ({response.status}): {_reason(body)}")
        return time.monotonic() - started


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """The score of an earlier start, in the state folder; worth nothing for another image, GPU or workflow."""

    folder: Path
    key: str

    def known(self) -> float | None:
        try:
            found = orjson.loads((self.folder / SCORE).read_bytes())
            score = float(found["score"]) if found["key"] == self.key else 0.0
            return score if score > 0 and math.isfinite(score) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, score: float) -> None:
        """Store the score; where that fails, the next start measures again."""
        text = orjson.dumps({"key": self.key, "score": score})
        new = self.folder / f"{SCORE}.new"
        try:
            new.write_bytes(text)
            new.replace(self.folder / SCORE)
        except OSError as error:
            log.warning("the score can't be kept: %s", error)


def _reason(body: bytes) -> str:
    """Our error's message where there is one."""
    try:
        error = orjson.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
