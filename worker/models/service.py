"""A worker's models: those of its templates before it is ready, those of a job before it is queued."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from worker.backoff import Backoff
from worker.errors import Detail, ModelsDownloading, ModelsMissing, StartupError, WorkerError
from worker.events import CacheHit, CacheKind, Handlers, JobAccepted, ModelFetched, Notify, ignore_event
from worker.jobs.job_index import JobIndex
from worker.models.fetcher import ModelFetcher
from worker.models.folder import ModelRecord
from worker.settings import ModelSettings
from worker.supervision import Tasks
from worker.workflow.json_value import Json
from worker.workflow.model_needs import Downloads, ModelNeed, downloads_by_file
from worker.workflow.prompt import Prompt
from worker.workflow.templates.template import Library, ModelFile

log = logging.getLogger(__name__)

AGAIN = Backoff(30.0, 30.0)
"""After this long what could not be fetched at the start is tried again."""
RETRY_AFTER_S = 20.0


Flight = asyncio.Task[BaseException | None]
"""The download of one file, however many wait for it. It returns the error that it failed with."""


@dataclass(frozen=True, slots=True)
class TemplateModels:
    """Model files of the templates, by folder and name."""

    pinned: Mapping[tuple[str, str], ModelFile]
    """Fetched before the worker is ready, and never deleted."""
    downloads: Downloads
    """Those that can be fetched for a job."""
    on_demand: bool
    """Whether they are."""

    @classmethod
    def of(cls, settings: ModelSettings, library: Library) -> TemplateModels:
        """Raises StartupError for a template of the settings that isn't there."""
        return cls(
            {(file.folder, file.file): file for file in pinned(settings, library)},
            downloads_by_file(file for template in library.values() for file in template.models),
            settings.on_demand,
        )


class Models:
    """Also an observer: a new job marks its models as used. What a job that has not ended names is never deleted.

    `arrived` is called when files have come that the engine's catalog does not list yet.
    """

    def __init__(
        self,
        templates: TemplateModels,
        fetcher: ModelFetcher | None,
        jobs: JobIndex,
        arrived: Callable[[], None],
        tasks: Tasks,
        observed: Notify = ignore_event,
    ) -> None:
        """Raises StartupError for settings that can't be read."""
        self._observed = observed
        self._tasks = tasks
        self._pinned = templates.pinned
        self.downloads = templates.downloads
        self.on_demand = templates.on_demand
        self._arrived = arrived
        self._jobs = jobs
        self._brought: dict[str, ModelRecord] = {}
        """The files that we brought, by their names."""
        self._wanted: Counter[str] = Counter()
        """Names that a request waits for, which has become no job yet."""
        self._flights: dict[ModelFile, Flight] = {}
        self._ready = asyncio.Event()
        self.trouble: str | None = None
        """Why the templates' models could not be fetched, the last time it was tried."""
        self._fetcher = fetcher
        self._folder = fetcher.folder if fetcher else None
        if self._folder is not None:
            self._folder.needed = self._needed
        if self._folder is None and (self._pinned or self.on_demand):
            raise StartupError("WORKER_MODELS_FOLDER has to say where the models of that ComfyUI lie")
        self._preparing: asyncio.Task[None] | None = None
        self._again: set[ModelFile] = set()
        """Files that were set aside, while they are fetched again."""

    @property
    def fetches_models(self) -> bool:
        """True where this worker fetches models. Only then it needs to know when each of them was used."""
        return self._fetcher is not None and bool(self._pinned or self.on_demand)

    async def __aenter__(self) -> Self:
        if self._fetcher and self.fetches_models:
            await self._fetcher.open()
            self._look()
            self._preparing = self._tasks.start("models", self._prepare)
        else:
            self._ready.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._preparing, *self._flights.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._fetcher:
            await self._fetcher.__aexit__(kind, error, tb)

    def check_ready(self) -> None:
        """Raises ModelsDownloading while the templates' models are not all here."""
        if not self._ready.is_set():
            here = sum(self._here(file) for file in self._pinned.values())
            why = f": {self.trouble}" if self.trouble else ""
            message = f"{here} of {len(self._pinned)} model files of its templates are here{why}"
            raise ModelsDownloading(message, retry_after_s=RETRY_AFTER_S)

    async def wait_until_ready(self) -> None:
        """Wait until they are. Raises StartupError as soon as one can't be had."""
        while not self._ready.is_set():
            if self.trouble:
                raise StartupError(f"the models of WORKER_MODELS could not be fetched: {self.trouble}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), 0.2)

    def is_present(self, need: ModelNeed) -> bool:
        """Listed by the engine, or in its folder."""
        if need.listed or self._folder is None:
            return need.listed
        return any(self._folder.size(folder, need.file) is not None for folder in need.folders)

    def is_fetching(self, needs: Iterable[ModelNeed]) -> bool:
        """True where at least one of these is on its way for the templates, or because its file was damaged."""
        if not self.on_demand and any(need.source in self._again for need in needs):
            return True
        return not self._ready.is_set() and any((need.folder, need.file) in self._pinned for need in needs)

    @contextmanager
    def protect(self, needs: Iterable[ModelNeed]) -> Iterator[None]:
        """What a request needs stays until it has become a job."""
        names = [need.file for need in needs]
        self._wanted.update(names)
        try:
            yield
        finally:
            self._wanted.subtract(names)
            self._wanted += Counter()

    def count_present(self, count: int) -> None:
        """Report that so many models of a job did not have to be fetched."""
        if count:
            self._observed(CacheHit(CacheKind.MODELS, count))

    async def fetch(self, needs: Sequence[ModelNeed], patience_s: float | None = None) -> None:
        """Fetch what has a source. Goes on in the background when the caller leaves, or has waited for `patience_s`.

        Raises ModelsDownloading, ModelsMissing.
        """
        files = [need.source for need in needs if need.source is not None]
        tasks = [self._flight(file) for file in files]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=patience_s)
        if late:
            message = f"{len(late)} model files are on their way to this worker"
            raise ModelsDownloading(message, retry_after_s=RETRY_AFTER_S)
        failed = [(file, task.result()) for file, task in zip(files, tasks, strict=True)]
        details = [_detail(file, error) for file, error in failed if error is not None]
        if details:
            raise ModelsMissing("; ".join(detail.message for detail in details), details)

    async def fetch_again(self, file: ModelFile | None) -> bool:
        """Fetch a file that was set aside, in the background; False for one that this worker can't fetch."""
        self._arrived()
        if file is None or not file.url or self._fetcher is None:
            return False
        try:
            await self._fetcher.open()
        except StartupError as error:
            log.error("models/%s/%s can't be fetched again: %s", file.folder, file.file, error)
            return False
        self._again.add(file)
        self._flight(file)
        return True

    @property
    def handlers(self) -> Handlers:
        return {JobAccepted: self._job_accepted}

    def _job_accepted(self, event: JobAccepted) -> None:
        """Mark the models of a new job as used."""
        if self._brought and (job := self._jobs.get(event.job)) is not None:
            for name in self._brought.keys() & set(texts_of(job.request.prompt)):
                self._touch(self._brought[name])

    def _here(self, file: ModelFile) -> bool:
        return self._folder is not None and self._folder.has(file)

    def _needed(self, record: ModelRecord) -> bool:
        if (record.folder, record.file) in self._pinned or self._wanted[record.file]:
            return True
        return any(record.file in texts_of(job.request.prompt) for job in self._jobs.under_way())

    def _touch(self, record: ModelRecord) -> None:
        with suppress(OSError):  # deleted meanwhile
            if self._folder is not None:
                self._folder.touch(record)

    def _look(self) -> None:
        if self._folder is not None:
            self._brought = {record.file: record for record in self._folder.brought()}

    def _flight(self, file: ModelFile) -> Flight:
        """One download of a file, however many wait for it."""
        task = self._flights.get(file)
        if task is None:
            task = self._flights[file] = self._tasks.start_shared(f"model {file.file}", self._fetch(file))
            task.add_done_callback(lambda done: self._landed(file, done))
        return task

    async def _fetch(self, file: ModelFile) -> None:
        if self._fetcher is None or self._here(file):
            return
        began, code = time.monotonic(), None
        try:
            await self._fetcher.fetch(file)
        except WorkerError as error:
            code = error.code
            raise
        finally:
            size = file.size if code is None else 0
            self._observed(ModelFetched(file.folder, file.file, size or 0, time.monotonic() - began, code))

    def _landed(self, file: ModelFile, task: Flight) -> None:
        del self._flights[file]
        self._again.discard(file)
        if task.cancelled():
            return
        if (error := task.result()) is None:
            log.info("models/%s/%s is here", file.folder, file.file)
            self._look()
            self._arrived()
        else:
            log.error("models/%s/%s could not be fetched: %s", file.folder, file.file, error)

    async def _prepare(self) -> None:
        while True:
            tasks = [self._flight(file) for file in self._pinned.values()]
            errors = [error for error in await asyncio.gather(*map(asyncio.shield, tasks)) if error is not None]
            if not errors:
                self.trouble = None
                self._ready.set()
                return
            self.trouble = "; ".join(str(error) for error in errors)
            await asyncio.sleep(AGAIN.pause(1))


def pinned(settings: ModelSettings, library: Library) -> Iterator[ModelFile]:
    """The models of the templates that WORKER_MODELS names. Raises StartupError for a template that isn't there."""
    for name in filter(None, map(str.strip, settings.templates.split(","))):
        if name not in library:
            raise StartupError(
                f"WORKER_MODELS: there is no template {name!r}; there are {', '.join(library) or 'none'}"
            )
        yield from library[name].models


def texts_of(prompt: Prompt) -> Iterator[str]:
    """Every text in the inputs of a prompt: a file that is needed is among them."""
    waiting: list[Json] = [value for node in prompt.values() for value in node["inputs"].values()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            waiting.extend(value.values() if isinstance(value, dict) else value)


def _detail(file: ModelFile, error: BaseException) -> Detail:
    place = f"models/{file.folder}/{file.file}"
    told = error.details if isinstance(error, WorkerError) else ()
    return Detail(f"{place}: {error}", suggestion=told[0].suggestion if told else None)
