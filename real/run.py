"""The suite: every job directly, inline and by URL, then through Vast's own client, then on the embedded engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import orjson

from real import workers
from real.embedded_engine import Recording, divergences
from real.jobs import PackJobs, RealJob
from real.load.comparison import LoadComparison
from real.load.run import compare_load
from real.passes import EngineInventory, JobResult, PassContext, RequestMode, repeated_nodes, send_job
from real.sending import ANSWER_S, DirectSender, VastSender
from real.verdicts.comparison import PromptValidators, VerdictComparison, compare
from real.verdicts.corpus import put_files, verdict_cases
from real.workers import RESULT_LIFE_S, RealComfyUI, RunningWorker
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.file_check import LocalFiles

OnResult = Callable[[JobResult], None]
EXPIRED_S = RESULT_LIFE_S + 1.0
"""Seconds after which the results of a job have expired."""
CLEANUP_S = 45.0
"""Seconds that the worker may take to remove files that belong to no job."""
REPEATS, REPEAT_COUNT = "repeats", 2
"""Jobs with this tag are sent this many more times, after the requests inline and by URL."""
CATALOG = "object_info.json"


@dataclass(slots=True)
class SuiteResult:
    """All results of one run of the suite."""

    results: list[JobResult] = field(default_factory=list)
    remaining_files: list[str] = field(default_factory=list)
    """Files in ComfyUI's folders after the last result had expired."""
    routed: int = 0
    """Requests that Vast's router assigned to the worker."""
    sent: int = 0
    """Requests that were sent through Vast's client."""
    diverging: list[tuple[RealJob, str]] = field(default_factory=list)
    """Differences of the embedded engine from the real ComfyUI: the job, and one line."""
    classes: dict[str, str] = field(default_factory=dict)
    """The Python module of each installed class."""
    version: str = ""
    """ComfyUI's version."""
    verdicts: VerdictComparison = field(default_factory=VerdictComparison)
    load: LoadComparison = field(default_factory=LoadComparison)
    seconds: float = 0.0


class Suite:
    """Runs the jobs of all packs and collects the results.

    `on_result` is called with each result. `folder` is for all files that the workers write. `prompts` is an optional
    folder of shared prompts (JSON files in folders named `truth`), which are validated but not run.
    """

    def __init__(
        self,
        packs: Sequence[PackJobs],
        comfyui: RealComfyUI,
        folder: Path,
        on_result: OnResult,
        prompts: Path | None = None,
    ) -> None:
        self._jobs = [job for pack in packs for job in pack.jobs]
        self._comfyui = comfyui
        self._folder = folder
        self._on_result = on_result
        self._prompts = prompts
        self.result = SuiteResult()

    async def run(self, *, vast: bool = True, embedded: bool = True) -> SuiteResult:
        """Run all passes, optionally without Vast's client or the embedded engine.

        Raises NotStarted, and StartupError from the worker behind Vast's router.
        """
        started = time.monotonic()
        await self._run_directly()
        if vast:
            await self._run_through_vast()
        if embedded:
            await self._run_on_embedded_engine()
        self.result.seconds = time.monotonic() - started
        return self.result

    async def _run_directly(self) -> None:
        """Send all jobs to a worker directly, then compare predicted work, check remaining files, compare verdicts."""
        async with workers.direct(self._comfyui, self._folder) as worker, session() as http:
            context = PassContext(DirectSender(http, worker.url), worker, await self._read_inventory(worker, http))
            for job in self._jobs:
                first = await self._send(job, RequestMode.INLINE, context)
                await self._send(job, RequestMode.URL, context, first)
                for _ in range(REPEAT_COUNT if REPEATS in job.tags else 0):
                    await asyncio.sleep(EXPIRED_S)
                    await self._send(job, RequestMode.AGAIN, context, first)
            catalog = Catalog.from_object_info(orjson.loads((self._folder / CATALOG).read_bytes()))
            self.result.load = await compare_load(self.result.results, context, catalog)
            await asyncio.sleep(EXPIRED_S)
            self.result.remaining_files = await _remaining_files(worker)
            self.result.verdicts = await self._compare_verdicts(worker, http)

    async def _compare_verdicts(self, worker: RunningWorker, http: aiohttp.ClientSession) -> VerdictComparison:
        """Compare the validation results of ComfyUI and of the worker for all prompts."""
        folders = {"input": worker.output.parent / "input", "output": worker.output, "temp": worker.temp}
        put_files(folders)
        url = f"http://127.0.0.1:{worker.log.port}"
        async with http.get(f"{url}/object_info") as response:
            catalog = Catalog.from_object_info(orjson.loads(await response.read()))
        validators = PromptValidators(url, catalog, LocalFiles(folders, Path()), worker.url)
        return await compare(verdict_cases(catalog, self._prompts), validators, http)

    async def _run_through_vast(self) -> None:
        """Send all jobs through Vast's client and the simulated router, and count how many reached the worker."""
        async with workers.behind_vast(self._comfyui, self._folder) as (worker, endpoint, record), session() as http:
            context = PassContext(VastSender(endpoint), worker, await self._read_inventory(worker, http))
            routed_before = len(record.routed)
            for job in self._jobs:
                first = await self._send(job, RequestMode.VAST, context)
                for _ in range(REPEAT_COUNT if REPEATS in job.tags else 0):
                    await self._send(job, RequestMode.VAST_AGAIN, context, first)
            modes = (RequestMode.VAST, RequestMode.VAST_AGAIN)
            self.result.sent = sum(result.mode in modes and not result.skipped for result in self.result.results)
            self.result.routed = len(record.routed) - routed_before

    async def _run_on_embedded_engine(self) -> None:
        """Compare the embedded engine's log with the real ComfyUI's, and delivered bytes with the engine's files."""
        content = (self._folder / CATALOG).read_bytes()
        real = {result.job.title: result for result in self.result.results if result.mode is RequestMode.INLINE}
        async with workers.embedded(self._folder / CATALOG, self._folder) as worker, session() as http:
            context = PassContext(DirectSender(http, worker.url), worker, EngineInventory(*parse_catalog(content)))
            for job in self._jobs:
                result = await self._send(job, RequestMode.EMBEDDED, context)
                real_result = real[job.title]
                if not (real_result.skipped or result.skipped):
                    lines = divergences(Recording.of(real_result), Recording.of(result))
                    self.result.diverging += [(job, line) for line in lines]

    async def _send(
        self, job: RealJob, mode: RequestMode, context: PassContext, before: JobResult | None = None
    ) -> JobResult:
        """Send a job and store its result. `before` is the result of an earlier request with the same prompt."""
        result = await send_job(job, mode, context)
        if before is not None:
            repeated = repeated_nodes(before, result, context.inventory)
            result = replace(result, differences=[*result.differences, *repeated])
        self.result.results.append(result)
        self._on_result(result)
        return result

    async def _read_inventory(self, worker: RunningWorker, http: aiohttp.ClientSession) -> EngineInventory:
        """Read the catalog of the worker's engine, and write it to a file for the embedded engine."""
        worker.log.take()
        url = f"http://127.0.0.1:{worker.log.port}"
        async with http.get(f"{url}/system_stats") as response:
            self.result.version = (await response.json())["system"]["comfyui_version"]
        async with http.get(f"{url}/object_info") as response:
            content = await response.read()
        await asyncio.to_thread((self._folder / CATALOG).write_bytes, content)
        catalog, text = parse_catalog(content)
        self.result.classes = {name: str(spec["python_module"]) for name, spec in catalog.items()}
        return EngineInventory(catalog, text)


def parse_catalog(content: bytes) -> tuple[dict[str, dict[str, object]], str]:
    """Return a catalog as an object and as text, in which model names are searched."""
    return orjson.loads(content), content.decode()


async def _remaining_files(worker: RunningWorker) -> list[str]:
    """Return the files that are still in ComfyUI's folders after the worker had time to remove them."""
    deadline = time.monotonic() + CLEANUP_S
    while worker.files() and time.monotonic() < deadline:
        await asyncio.sleep(1.0)
    return worker.files()


def session() -> aiohttp.ClientSession:
    """Return an HTTP session with the timeout of a job."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
