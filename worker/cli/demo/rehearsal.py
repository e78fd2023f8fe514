"""The demo's story: a fleet is started, Vast's own client sends it work, and the autoscaler is told of it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from worker.cli.demo.scene import DemoRequest, EngineFacts, fresh
from worker.cli.hosting.environment import without_settings
from worker.cli.output.failure import Failure
from worker.cli.output.saving import Saved, save
from worker.errors import StartupError
from worker.load.workload import workload
from worker.outputs.kinds import kind_of, mime_of
from worker.outputs.media_facts import media_facts
from worker.platforms.vast.client import EndpointResponse, VastEndpoint
from worker.settings import environment
from worker.simulators.vast_router import ReportLog
from worker.simulators.vast_router.local_fleet import LocalFleet, start_fleet
from worker.workflow.prompt import Prompt

READY_S, ANSWER_S, TOLD_S = 120.0, 300.0, 15.0
BENCHMARK = "benchmark.json"


@dataclass(frozen=True, slots=True)
class Played:
    """One request that came back: by which worker, in how many seconds, with what."""

    request: DemoRequest
    worker: int
    round_trip: float
    stages: Mapping[str, float]
    saved: Sequence[Saved]


@dataclass(frozen=True, slots=True)
class DemoCast:
    """How many workers, each on engines of its own or all on the ComfyUI at `url`, and the workflows they get.

    `gpus` is how many engines each has; `kill_one` has one of them killed when half of the answers are there.
    """

    workers: int
    engine: EngineFacts
    prompts: Mapping[str, Prompt]
    url: str | None = None
    gpus: int = 1
    kill_one: bool = False

    @property
    def benchmark(self) -> Prompt | None:
        """The heaviest workflow; None, which is the packaged one without models, where that would take minutes."""
        return None if self.engine.slow else max(self.prompts.values(), key=workload)

    @property
    def counted(self) -> str:
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return workers if self.gpus == 1 else f"{workers} with {self.gpus} engines each"

    def commands(self, folder: Path) -> list[list[str]]:
        """Arguments of `comfy-worker`, one worker a row, each with a state folder of its own."""
        common = [
            "serve",
            "--platform",
            "vast",
            "--comfyui",
            self.url or "embedded",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
        ]
        return [[*common, "--state", str(folder / f"worker-{number}")] for number in range(1, self.workers + 1)]


@asynccontextmanager
async def raised(cast: DemoCast, folder: Path) -> AsyncIterator[LocalFleet]:
    """The fleet, once the autoscaler counts every worker as loaded. Raises Failure with a worker's last words."""
    env = {**without_settings(environment()), "WORKER_BENCHMARK_RUNS": "1"}
    if cast.url is None:
        env |= {"WORKER_COMFYUI_ARGS": "--speed 1", "WORKER_GPUS": str(cast.gpus)}
    if (benchmark := cast.benchmark) is not None:
        await asyncio.to_thread((folder / BENCHMARK).write_bytes, orjson.dumps(fresh(benchmark)))
        env["WORKER_BENCHMARK"] = str(folder / BENCHMARK)
    async with start_fleet(cast.commands(folder), env, logs=folder) as found:
        try:
            await found.ready(READY_S)
        except StartupError as error:
            raise Failure("not_started", str(error)) from error
        yield found


async def play(
    found: LocalFleet, requests: Sequence[DemoRequest], out: Path, halfway: asyncio.Event | None = None
) -> list[Played]:
    """Send all at once through Vast's own client, and save their outputs in `out`. Raises the first Failure.

    `halfway` is set when half of the answers are there.
    """
    vast, answered = found.vast, itertools.count(1)

    async def counted(playing: Awaitable[Played]) -> Played:
        played = await playing
        if halfway is not None and next(answered) >= len(requests) / 2:
            halfway.set()
        return played

    async with vast.client() as client:
        endpoint = VastEndpoint(client, await client.get_endpoint(vast.endpoint))
        playing = (counted(_play(endpoint, vast.record, request, out)) for request in requests)
        results = await asyncio.gather(*playing, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Played)]


async def told(record: ReportLog, count: int) -> None:
    """Wait until the autoscaler has heard that `count` requests are over and nothing is left. Raises Failure."""

    def settled(record: ReportLog) -> bool:
        last = {status.id: status.cur_load for status in record.statuses}
        return len(record.deletions) >= count and not any(last.values())

    try:
        await record.until(settled, TOLD_S)
    except TimeoutError:
        over = f"{len(record.deletions)} of {count} requests are told to be over"
        raise Failure("not_told", f"the autoscaler was not told of everything: {over}") from None


async def _play(endpoint: VastEndpoint, record: ReportLog, request: DemoRequest, out: Path) -> Played:
    started = time.monotonic()
    try:
        answer = await endpoint.generate(request.payload, request.workload, ANSWER_S)
    except (RuntimeError, TimeoutError) as error:
        raise Failure("unreachable", f"Vast's client: {error}") from error
    seconds = time.monotonic() - started
    if answer.status != 200:
        why = Failure.read(answer.body)
        raise Failure(why.code, f"{request.workflow}, in the {request.shape} shape: {why.message}", why.details)
    saved = await save(outputs(answer.body), out, _no_url)
    files = [measured(file) for file in saved]
    return Played(request, _worker(record, answer), seconds, stages(answer.body), files)


def outputs(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of either shape, as native ones; the stock template's don't say what is in them."""
    if "outputs" in body:
        return list(body["outputs"])
    return [{**row, "kind": kind_of(row["filename"]), "mime": mime_of(row["filename"])} for row in body["output"]]


def stages(body: Mapping[str, Any]) -> dict[str, float]:
    """Seconds before, in and after ComfyUI, from either shape."""
    if "metadata" in body:
        timings = body["metadata"]["timings"]
        before = sum(timings[f"{state}_ms"] for state in ("queued", "preparing", "waiting"))
        times = (before, timings["generating_ms"], timings["delivering_ms"])
    else:
        timings = body["timings"]
        times = (timings["preprocess_ms"], timings["generation_ms"], timings["postprocess_ms"])
    return dict(zip(("before", "generate", "deliver"), (milliseconds / 1000 for milliseconds in times), strict=True))


def measured(file: Saved) -> Saved:
    """As the file itself says, whatever the answer said."""
    facts = media_facts(file.path, file.path.read_bytes())
    return replace(file, width=facts.width, height=facts.height)


def _worker(record: ReportLog, answer: EndpointResponse) -> int:
    """By port: the stand-in's public address has https in front of the one that the worker reports."""
    port = urlsplit(answer.worker).port
    return next((status.id for status in record.statuses if urlsplit(status.url).port == port), 0)


async def _no_url(url: str, target: Path) -> None:
    raise Failure("bad_answer", f"an output came as the URL {url}, which nobody outside can open")
