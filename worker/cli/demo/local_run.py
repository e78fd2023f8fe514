"""The run of the demo: a local fleet, requests through Vast's own client, and reports to the autoscaler."""

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

from worker.cli.demo.demo_workflows import DemoRequest, EngineFacts, with_new_seeds
from worker.cli.hosting.environment import without_settings
from worker.cli.output.failure import Failure
from worker.cli.output.saving import SavedOutput, save
from worker.errors import StartupError
from worker.load.workload import workload
from worker.media_facts import media_facts
from worker.outputs.kinds import kind_of, mime_of
from worker.platforms.vast.client import EndpointResponse, VastEndpoint
from worker.settings import environment
from worker.simulators.vast_router import ReportLog
from worker.simulators.vast_router.local_fleet import LocalFleet, start_fleet
from worker.workflow.prompt import Prompt

READY_TIMEOUT_S, RESPONSE_TIMEOUT_S, REPORT_TIMEOUT_S = 120.0, 300.0, 15.0
BENCHMARK = "benchmark.json"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """One successful request: its worker, and its times in seconds."""

    request: DemoRequest
    worker: int
    round_trip: float
    stages: Mapping[str, float]
    saved: Sequence[SavedOutput]


@dataclass(frozen=True, slots=True)
class DemoSetup:
    """The workers and the workflows of a demo.

    Each worker has `gpus` engines, or all of them share the ComfyUI at `url`. With `kill_one` an engine is killed when
    half of the responses have arrived.
    """

    workers: int
    engine: EngineFacts
    prompts: Mapping[str, Prompt]
    url: str | None = None
    gpus: int = 1
    kill_one: bool = False

    @property
    def benchmark(self) -> Prompt | None:
        """The benchmark of the workers: the heaviest workflow, or None for the packaged benchmark.

        The packaged one is for a slow engine, on which the heaviest workflow would take minutes.
        """
        return None if self.engine.slow else max(self.prompts.values(), key=workload)

    @property
    def description(self) -> str:
        """The numbers of workers and engines, such as `2 workers with 4 engines each`."""
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return workers if self.gpus == 1 else f"{workers} with {self.gpus} engines each"

    def commands(self, folder: Path) -> list[list[str]]:
        """Return the arguments of `comfy-worker` for each worker. Each has a state folder of its own."""
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
async def start_demo_fleet(setup: DemoSetup, folder: Path) -> AsyncIterator[LocalFleet]:
    """Yield the fleet once the autoscaler lists every worker as loaded.

    Raises Failure with the last log lines of a worker that does not start.
    """
    env = {**without_settings(environment()), "WORKER_BENCHMARK_RUNS": "1"}
    if setup.url is None:
        env |= {"WORKER_COMFYUI_ARGS": "--speed 1", "WORKER_GPUS": str(setup.gpus)}
    if (benchmark := setup.benchmark) is not None:
        await asyncio.to_thread((folder / BENCHMARK).write_bytes, orjson.dumps(with_new_seeds(benchmark)))
        env["WORKER_BENCHMARK"] = str(folder / BENCHMARK)
    async with start_fleet(setup.commands(folder), env, logs=folder) as local_fleet:
        try:
            await local_fleet.wait_until_ready(READY_TIMEOUT_S)
        except StartupError as error:
            raise Failure("not_started", str(error)) from error
        yield local_fleet


async def send_requests(
    local_fleet: LocalFleet, requests: Sequence[DemoRequest], out: Path, halfway: asyncio.Event | None = None
) -> list[DemoResult]:
    """Send all requests at once through Vast's own client, save their outputs in `out`, and return the results.

    `halfway` is set when half of the responses have arrived. Raises the first Failure.
    """
    vast, response_numbers = local_fleet.vast, itertools.count(1)

    async def counted(pending: Awaitable[DemoResult]) -> DemoResult:
        """Wait for the result and return it. Set `halfway` if half of the responses have arrived."""
        result = await pending
        if halfway is not None and next(response_numbers) >= len(requests) / 2:
            halfway.set()
        return result

    async with vast.client() as client:
        endpoint = VastEndpoint(client, await client.get_endpoint(vast.endpoint))
        pending = (counted(_send(endpoint, vast.record, request, out)) for request in requests)
        ended = await asyncio.gather(*pending, return_exceptions=True)  # so that no request is left running
    results = []
    for result in ended:
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results


async def wait_for_reports(record: ReportLog, count: int) -> None:
    """Wait until the workers have reported the end of `count` requests, and no load. Raises Failure after a timeout."""

    def all_reported(record: ReportLog) -> bool:
        """Return whether the workers have reported the end of all requests, and no load."""
        loads = {status.id: status.cur_load for status in record.statuses}
        return len(record.deletions) >= count and not any(loads.values())

    try:
        await record.until(all_reported, REPORT_TIMEOUT_S)
    except TimeoutError:
        message = f"the workers reported the end of only {len(record.deletions)} of {count} requests to the autoscaler"
        raise Failure("not_reported", message) from None


async def _send(endpoint: VastEndpoint, record: ReportLog, request: DemoRequest, out: Path) -> DemoResult:
    """Send one request, save its outputs in `out`, and return its result. Raises Failure for an error response."""
    started = time.monotonic()
    try:
        answer = await endpoint.generate(request.payload, request.workload, RESPONSE_TIMEOUT_S)
    except (RuntimeError, TimeoutError) as error:
        raise Failure("unreachable", f"Vast's client failed: {error}") from error
    seconds = time.monotonic() - started
    if answer.status != 200:
        failure = Failure.read(answer.body)
        message = f"{request.workflow}, in the {request.shape} shape: {failure.message}"
        raise Failure(failure.code, message, failure.details)
    saved = await save(outputs(answer.body), out, _reject_url)
    files = [with_size_of_file(file) for file in saved]
    return DemoResult(request, _worker(record, answer), seconds, stage_times(answer.body), files)


def outputs(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the outputs of a response in the native shape.

    Those of a stock response have no kind and no type: both are derived from the file's name.
    """
    if "outputs" in body:
        return list(body["outputs"])
    return [{**row, "kind": kind_of(row["filename"]), "mime": mime_of(row["filename"])} for row in body["output"]]


def stage_times(body: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds before, in and after ComfyUI, by the names in STAGES, from a response in either shape."""
    if "metadata" in body:
        timings = body["metadata"]["timings"]
        before = sum(timings[f"{state}_ms"] for state in ("queued", "preparing", "waiting"))
        times = (before, timings["generating_ms"], timings["delivering_ms"])
    else:
        timings = body["timings"]
        times = (timings["preprocess_ms"], timings["generation_ms"], timings["postprocess_ms"])
    return dict(zip(("before", "generate", "deliver"), (milliseconds / 1000 for milliseconds in times), strict=True))


def with_size_of_file(file: SavedOutput) -> SavedOutput:
    """Return the output with the width and height that its file has, as a stock response does not have them."""
    facts = media_facts(file.path, file.path.read_bytes())
    return replace(file, width=facts.width, height=facts.height)


def _worker(record: ReportLog, answer: EndpointResponse) -> int:
    """Return the id of the worker that responded, found by its port, or 0 if no worker has that port.

    The rest of the address differs: the local router shows it with https, and the worker reports it without.
    """
    port = urlsplit(answer.worker).port
    return next((status.id for status in record.statuses if urlsplit(status.url).port == port), 0)


async def _reject_url(url: str, target: Path) -> None:
    """Raise Failure. `save` calls this for an output by URL, which the demo's workers must not send."""
    raise Failure("bad_answer", f"an output came as the URL {url}, which cannot be opened from outside")
