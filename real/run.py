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
from real.passes import EngineInventory, JobResult, PassContext, RequestMode, repeated_nodes, send_job
from real.sending import ANSWER_S, DirectSender, VastSender
from real.verdicts.comparison import PromptValidators, VerdictComparison, compare
from real.verdicts.corpus import cases, put_files
from real.workers import RESULT_LIFE_S, RealComfyUI, RunningWorker
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.file_check import LocalFiles

Told = Callable[[JobResult], None]
EXPIRED_S, SWEPT_S = RESULT_LIFE_S + 1.0, 45.0
REPEATS, MORE = "repeats", 2
"""Jobs with this tag are sent again so often, beyond inline and by URL."""
CATALOG = "object_info.json"


@dataclass(slots=True)
class SuiteResult:
    """Everything that a run found. `left` are files in ComfyUI's folders after the last result had expired."""

    results: list[JobResult] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    routed: int = 0
    """Requests that Vast's router gave to the worker."""
    sent: int = 0
    """Requests that were made through Vast's client."""
    diverging: list[tuple[RealJob, str]] = field(default_factory=list)
    """What the embedded engine did otherwise than the real one."""
    classes: dict[str, str] = field(default_factory=dict)
    """Class -> Python module, of all that is installed."""
    version: str = ""
    """ComfyUI's."""
    verdicts: VerdictComparison = field(default_factory=VerdictComparison)
    seconds: float = 0.0


class Suite:
    """`told` hears of each result as soon as it is known; `folder` is for everything that the workers write.

    `prompts` is a folder of shared prompts, as files in folders `truth`, that are judged but not run.
    """

    def __init__(
        self, packs: Sequence[PackJobs], comfyui: RealComfyUI, folder: Path, told: Told, prompts: Path | None = None
    ) -> None:
        self._jobs = [job for pack in packs for job in pack.jobs]
        self._comfyui = comfyui
        self._folder = folder
        self._told = told
        self._prompts = prompts
        self.found = SuiteResult()

    async def run(self, *, vast: bool = True, twin: bool = True) -> SuiteResult:
        """Raises NotStarted, and StartupError from the worker behind Vast's router."""
        started = time.monotonic()
        await self._directly()
        if vast:
            await self._through_vast()
        if twin:
            await self._on_the_embedded_engine()
        self.found.seconds = time.monotonic() - started
        return self.found

    async def _directly(self) -> None:
        async with workers.direct(self._comfyui, self._folder) as worker, session() as http:
            context = PassContext(DirectSender(http, worker.url), worker, await self._repertoire(worker, http))
            for job in self._jobs:
                first = await self._ask(job, RequestMode.INLINE, context)
                await self._ask(job, RequestMode.URL, context, first)
                for _ in range(MORE if REPEATS in job.tags else 0):
                    await asyncio.sleep(EXPIRED_S)
                    await self._ask(job, RequestMode.AGAIN, context, first)
            await asyncio.sleep(EXPIRED_S)
            self.found.left = await _left(worker)
            self.found.verdicts = await self._verdicts(worker, http)

    async def _verdicts(self, worker: RunningWorker, http: aiohttp.ClientSession) -> VerdictComparison:
        folders = {"input": worker.output.parent / "input", "output": worker.output, "temp": worker.temp}
        put_files(folders)
        url = f"http://127.0.0.1:{worker.log.port}"
        async with http.get(f"{url}/object_info") as answer:
            catalog = Catalog.from_object_info(orjson.loads(await answer.read()))
        judges = PromptValidators(url, catalog, LocalFiles(folders, Path()), worker.url)
        return await compare(cases(catalog, self._prompts), judges, http)

    async def _through_vast(self) -> None:
        async with workers.behind_vast(self._comfyui, self._folder) as (worker, endpoint, record), session() as http:
            context = PassContext(VastSender(endpoint), worker, await self._repertoire(worker, http))
            before = len(record.routed)
            for job in self._jobs:
                first = await self._ask(job, RequestMode.VAST, context)
                for _ in range(MORE if REPEATS in job.tags else 0):
                    await self._ask(job, RequestMode.VAST_AGAIN, context, first)
            ways = (RequestMode.VAST, RequestMode.VAST_AGAIN)
            self.found.sent = sum(result.mode in ways and not result.skipped for result in self.found.results)
            self.found.routed = len(record.routed) - before

    async def _on_the_embedded_engine(self) -> None:
        """Its log is compared with that of the real one; the delivered bytes with its own, as everywhere."""
        content = (self._folder / CATALOG).read_bytes()
        real = {result.job.title: result for result in self.found.results if result.mode is RequestMode.INLINE}
        async with workers.embedded(self._folder / CATALOG, self._folder) as worker, session() as http:
            context = PassContext(DirectSender(http, worker.url), worker, EngineInventory(*parse_catalog(content)))
            for job in self._jobs:
                result = await self._ask(job, RequestMode.EMBEDDED, context)
                before = real[job.title]
                if not (before.skipped or result.skipped):
                    found = divergences(Recording.of(before), Recording.of(result))
                    self.found.diverging += [(job, sentence) for sentence in found]

    async def _ask(
        self, job: RealJob, mode: RequestMode, context: PassContext, before: JobResult | None = None
    ) -> JobResult:
        """`before` is of the same request, which ComfyUI ran last."""
        result = await send_job(job, mode, context)
        if before is not None:
            more = repeated_nodes(before, result, context.inventory)
            result = replace(result, differences=[*result.differences, *more])
        self.found.results.append(result)
        self._told(result)
        return result

    async def _repertoire(self, worker: RunningWorker, http: aiohttp.ClientSession) -> EngineInventory:
        """The catalog of the engine that runs now, kept for the embedded one."""
        worker.log.take()
        url = f"http://127.0.0.1:{worker.log.port}"
        async with http.get(f"{url}/system_stats") as answer:
            self.found.version = (await answer.json())["system"]["comfyui_version"]
        async with http.get(f"{url}/object_info") as answer:
            content = await answer.read()
        await asyncio.to_thread((self._folder / CATALOG).write_bytes, content)
        catalog, text = parse_catalog(content)
        self.found.classes = {name: str(spec["python_module"]) for name, spec in catalog.items()}
        return EngineInventory(catalog, text)


def parse_catalog(content: bytes) -> tuple[dict[str, dict[str, object]], str]:
    """The catalog, and its text, in which a model file is looked for by its name."""
    return orjson.loads(content), content.decode()


async def _left(worker: RunningWorker) -> list[str]:
    """Files that lie in ComfyUI's folders for longer than the worker may take to find that they are nobody's."""
    until = time.monotonic() + SWEPT_S
    while (left := worker.left()) and time.monotonic() < until:
        await asyncio.sleep(1.0)
    return left


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
