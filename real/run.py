"""The suite: every job directly, inline and by URL, then through Vast's own client, then on the embedded engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import orjson

from real import stage
from real.jobs import Pack, RealJob
from real.passes import JobResult, Place, Repertoire, Way, play, ran_again
from real.sending import ANSWER_S, DirectSender, VastSender
from real.stage import RESULT_LIFE_S, RealComfyUI, Stage
from real.twin import Recording, divergences
from real.verdicts.comparison import Judges, Verdicts, compare
from real.verdicts.corpus import cases, put_files
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
    verdicts: Verdicts = field(default_factory=Verdicts)
    seconds: float = 0.0


class Suite:
    """`told` hears of each result as soon as it is known; `folder` is for everything that the workers write.

    `prompts` is a folder of shared prompts, as files in folders `truth`, that are judged but not run.
    """

    def __init__(
        self, packs: Sequence[Pack], comfyui: RealComfyUI, folder: Path, told: Told, prompts: Path | None = None
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
        async with stage.direct(self._comfyui, self._folder) as scene, session() as http:
            place = Place(DirectSender(http, scene.url), scene, await self._repertoire(scene, http))
            for job in self._jobs:
                first = await self._ask(job, Way.INLINE, place)
                await self._ask(job, Way.URL, place, first)
                for _ in range(MORE if REPEATS in job.tags else 0):
                    await asyncio.sleep(EXPIRED_S)
                    await self._ask(job, Way.AGAIN, place, first)
            await asyncio.sleep(EXPIRED_S)
            self.found.left = await _left(scene)
            self.found.verdicts = await self._verdicts(scene, http)

    async def _verdicts(self, scene: Stage, http: aiohttp.ClientSession) -> Verdicts:
        folders = {"input": scene.output.parent / "input", "output": scene.output, "temp": scene.temp}
        put_files(folders)
        url = f"http://127.0.0.1:{scene.log.port}"
        async with http.get(f"{url}/object_info") as answer:
            catalog = Catalog.from_object_info(orjson.loads(await answer.read()))
        judges = Judges(url, catalog, LocalFiles(folders, Path()), scene.url)
        return await compare(cases(catalog, self._prompts), judges, http)

    async def _through_vast(self) -> None:
        async with stage.behind_vast(self._comfyui, self._folder) as (scene, endpoint, record), session() as http:
            place = Place(VastSender(endpoint), scene, await self._repertoire(scene, http))
            before = len(record.routed)
            for job in self._jobs:
                first = await self._ask(job, Way.VAST, place)
                for _ in range(MORE if REPEATS in job.tags else 0):
                    await self._ask(job, Way.VAST_AGAIN, place, first)
            ways = (Way.VAST, Way.VAST_AGAIN)
            self.found.sent = sum(result.way in ways and not result.skipped for result in self.found.results)
            self.found.routed = len(record.routed) - before

    async def _on_the_embedded_engine(self) -> None:
        """Its log is compared with that of the real one; the delivered bytes with its own, as everywhere."""
        content = (self._folder / CATALOG).read_bytes()
        real = {result.job.title: result for result in self.found.results if result.way is Way.INLINE}
        async with stage.embedded(self._folder / CATALOG, self._folder) as scene, session() as http:
            place = Place(DirectSender(http, scene.url), scene, Repertoire(*read_catalog(content)))
            for job in self._jobs:
                result = await self._ask(job, Way.EMBEDDED, place)
                before = real[job.title]
                if not (before.skipped or result.skipped):
                    found = divergences(Recording.of(before), Recording.of(result))
                    self.found.diverging += [(job, sentence) for sentence in found]

    async def _ask(self, job: RealJob, way: Way, place: Place, before: JobResult | None = None) -> JobResult:
        """`before` is of the same request, which ComfyUI ran last."""
        result = await play(job, way, place)
        if before is not None:
            more = ran_again(before, result, place.repertoire)
            result = replace(result, differences=[*result.differences, *more])
        self.found.results.append(result)
        self._told(result)
        return result

    async def _repertoire(self, scene: Stage, http: aiohttp.ClientSession) -> Repertoire:
        """The catalog of the engine that runs now, kept for the embedded one."""
        scene.log.take()
        url = f"http://127.0.0.1:{scene.log.port}"
        async with http.get(f"{url}/system_stats") as answer:
            self.found.version = (await answer.json())["system"]["comfyui_version"]
        async with http.get(f"{url}/object_info") as answer:
            content = await answer.read()
        await asyncio.to_thread((self._folder / CATALOG).write_bytes, content)
        catalog, text = read_catalog(content)
        self.found.classes = {name: str(spec["python_module"]) for name, spec in catalog.items()}
        return Repertoire(catalog, text)


def read_catalog(content: bytes) -> tuple[dict[str, dict[str, object]], str]:
    """The catalog, and its text, in which a model file is looked for by its name."""
    return orjson.loads(content), content.decode()


async def _left(scene: Stage) -> list[str]:
    """Files that lie in ComfyUI's folders for longer than the worker may take to find that they are nobody's."""
    until = time.monotonic() + SWEPT_S
    while (left := scene.left()) and time.monotonic() < until:
        await asyncio.sleep(1.0)
    return left


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
