"""Downloads of models in a worker: for its templates before it is ready, and for a job before it is queued."""

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

RETRY = Backoff(30.0, 30.0)
"""Pause before the models of the templates are fetched again after a failure."""
RETRY_AFTER_S = 20.0
"""Seconds in `Retry-After` of the error ModelsDownloading."""

SharedTask = asyncio.Task[BaseException | None]
"""The download of one file, shared by all callers that wait for it. Its result is the error, or None."""


@dataclass(frozen=True, slots=True)
class TemplateModels:
    """Model files that the templates declare, by folder and name."""

    pinned: Mapping[tuple[str, str], ModelFile]
    """Files that are fetched before the worker is ready and are never evicted."""
    downloads: Downloads
    """Files that can be fetched for a job."""
    on_demand: bool
    """Whether files are fetched for a job (WORKER_MODELS_ON_DEMAND)."""

    @classmethod
    def of(cls, settings: ModelSettings, library: Library) -> TemplateModels:
        """Return the models of a library. Raises StartupError if the settings name a template that does not exist."""
        return cls(
            {(file.folder, file.file): file for file in configured_models(settings, library)},
            downloads_by_file(file for template in library.values() for file in template.models),
            settings.on_demand,
        )


class Models:
    """Fetches models, and protects those that are in use from eviction.

    It observes new jobs to record when each model was last used. A model that an unfinished job names is never evicted.
    `on_change` is called when files have changed and the engine's catalog has to be read again.
    """

    def __init__(
        self,
        templates: TemplateModels,
        fetcher: ModelFetcher | None,
        jobs: JobIndex,
        on_change: Callable[[], None],
        tasks: Tasks,
        notify: Notify = ignore_event,
    ) -> None:
        """Raises StartupError if models have to be fetched and WORKER_MODELS_FOLDER is not set."""
        self._notify = notify
        self._tasks = tasks
        self._pinned = templates.pinned
        self.downloads = templates.downloads
        self.on_demand = templates.on_demand
        self._on_change = on_change
        self._jobs = jobs
        self._fetched_by_name: dict[str, ModelRecord] = {}
        """Files that this worker fetched, by file name."""
        self._protected_names: Counter[str] = Counter()
        """File names that requests need which are not jobs yet, with the number of these requests."""
        self._downloads: dict[ModelFile, SharedTask] = {}
        self._ready = asyncio.Event()
        self.failure: str | None = None
        """Why the last attempt to fetch the templates' models failed, or None."""
        self._fetcher = fetcher
        self._folder = fetcher.folder if fetcher else None
        if self._folder is not None:
            self._folder.is_needed = self._is_needed
        if self._folder is None and (self._pinned or self.on_demand):
            raise StartupError("set WORKER_MODELS_FOLDER to the folder of models of that ComfyUI")
        self._fetching_templates: asyncio.Task[None] | None = None
        self._refetching: set[ModelFile] = set()
        """Damaged files that were set aside and are being fetched again."""

    @property
    def fetches_models(self) -> bool:
        """Whether this worker fetches models and records when they are used."""
        return self._fetcher is not None and bool(self._pinned or self.on_demand)

    async def __aenter__(self) -> Self:
        if self._fetcher and self.fetches_models:
            await self._fetcher.open()
            self._read_records()
            self._fetching_templates = self._tasks.start("models", self._fetch_template_models)
        else:
            self._ready.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._fetching_templates, *self._downloads.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._fetcher:
            await self._fetcher.__aexit__(kind, error, tb)

    def check_ready(self) -> None:
        """Raise ModelsDownloading while a model of the templates is missing."""
        if not self._ready.is_set():
            present = sum(self._is_in_folder(file) for file in self._pinned.values())
            failure = f": {self.failure}" if self.failure else ""
            message = f"{present} of {len(self._pinned)} model files of this worker's templates are present{failure}"
            raise ModelsDownloading(message, retry_after_s=RETRY_AFTER_S)

    async def wait_until_ready(self) -> None:
        """Wait until all models of the templates are present. Raises StartupError when one cannot be fetched."""
        while not self._ready.is_set():
            if self.failure:
                raise StartupError(f"the models of WORKER_MODELS could not be fetched: {self.failure}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), 0.2)

    def is_present(self, need: ModelNeed) -> bool:
        """Return True if a model is listed by the engine, or is in its folder of models."""
        if need.listed or self._folder is None:
            return need.listed
        return any(self._folder.size(folder, need.file) is not None for folder in need.folders)

    def is_fetching(self, needs: Iterable[ModelNeed]) -> bool:
        """Return True if one of these models is being fetched for a template, or because its file was damaged."""
        if not self.on_demand and any(need.source in self._refetching for need in needs):
            return True
        return not self._ready.is_set() and any((need.folder, need.file) in self._pinned for need in needs)

    @contextmanager
    def protect(self, needs: Iterable[ModelNeed]) -> Iterator[None]:
        """Protect models from eviction inside the context, until the request that needs them is a job."""
        names = [need.file for need in needs]
        self._protected_names.update(names)
        try:
            yield
        finally:
            self._protected_names.subtract(names)
            self._protected_names += Counter()  # drops names with the count 0

    def notify_present(self, count: int) -> None:
        """Notify the observers that `count` models of a job did not have to be fetched."""
        if count:
            self._notify(CacheHit(CacheKind.MODELS, count))

    async def fetch(self, needs: Sequence[ModelNeed], patience_s: float | None = None) -> None:
        """Fetch the models that have a source. The downloads continue when the caller is cancelled.

        Raises ModelsDownloading if they take longer than `patience_s` seconds, and ModelsMissing if one fails.
        """
        files = [need.source for need in needs if need.source is not None]
        tasks = [self._shared_download(file) for file in files]
        if not tasks:
            return
        _, unfinished = await asyncio.wait(tasks, timeout=patience_s)
        if unfinished:
            message = f"this worker is still fetching {len(unfinished)} model files"
            raise ModelsDownloading(message, retry_after_s=RETRY_AFTER_S)
        results = [(file, task.result()) for file, task in zip(files, tasks, strict=True)]
        details = [_detail(file, error) for file, error in results if error is not None]
        if details:
            raise ModelsMissing("; ".join(detail.message for detail in details), details)

    async def fetch_again(self, file: ModelFile | None) -> bool:
        """Report that a file was set aside as a change, and start to fetch it. Return False if it cannot be fetched."""
        self._on_change()
        if file is None or not file.url or self._fetcher is None:
            return False
        try:
            await self._fetcher.open()
        except StartupError as error:
            log.error("models/%s/%s cannot be fetched again: %s", file.folder, file.file, error)
            return False
        self._refetching.add(file)
        self._shared_download(file)
        return True

    @property
    def handlers(self) -> Handlers:
        return {JobAccepted: self._job_accepted}

    def _job_accepted(self, event: JobAccepted) -> None:
        """Record that the models of a new job are used."""
        if self._fetched_by_name and (job := self._jobs.get(event.job)) is not None:
            for name in self._fetched_by_name.keys() & set(texts_of(job.request.prompt)):
                self._record_use(self._fetched_by_name[name])

    def _is_in_folder(self, file: ModelFile) -> bool:
        return self._folder is not None and self._folder.has(file)

    def _is_needed(self, record: ModelRecord) -> bool:
        """Return True if a template, a request or an unfinished job needs a file."""
        if (record.folder, record.file) in self._pinned or self._protected_names[record.file]:
            return True
        return any(record.file in texts_of(job.request.prompt) for job in self._jobs.unfinished())

    def _record_use(self, record: ModelRecord) -> None:
        with suppress(OSError):  # the record may have been deleted
            if self._folder is not None:
                self._folder.record_use(record)

    def _read_records(self) -> None:
        if self._folder is not None:
            self._fetched_by_name = {record.file: record for record in self._folder.fetched_records()}

    def _shared_download(self, file: ModelFile) -> SharedTask:
        """Return the running download of a file, or start one."""
        task = self._downloads.get(file)
        if task is None:
            task = self._downloads[file] = self._tasks.start_shared(f"model {file.file}", self._fetch(file))
            task.add_done_callback(lambda done: self._on_download_end(file, done))
        return task

    async def _fetch(self, file: ModelFile) -> None:
        """Fetch a file unless it is present, and notify the observers of the result."""
        if self._fetcher is None or self._is_in_folder(file):
            return
        began, code = time.monotonic(), None
        try:
            await self._fetcher.fetch(file)
        except WorkerError as error:
            code = error.code
            raise
        finally:
            size = file.size if code is None else 0
            self._notify(ModelFetched(file.folder, file.file, size or 0, time.monotonic() - began, code))

    def _on_download_end(self, file: ModelFile, task: SharedTask) -> None:
        del self._downloads[file]
        self._refetching.discard(file)
        if task.cancelled():
            return
        if (error := task.result()) is None:
            log.info("models/%s/%s is fetched", file.folder, file.file)
            self._read_records()
            self._on_change()
        else:
            log.error("models/%s/%s could not be fetched: %s", file.folder, file.file, error)

    async def _fetch_template_models(self) -> None:
        """Fetch the models of the templates, and retry until all are present."""
        while True:
            tasks = [self._shared_download(file) for file in self._pinned.values()]
            errors = [error for error in await asyncio.gather(*map(asyncio.shield, tasks)) if error is not None]
            if not errors:
                self.failure = None
                self._ready.set()
                return
            self.failure = "; ".join(str(error) for error in errors)
            await asyncio.sleep(RETRY.pause(1))


def configured_models(settings: ModelSettings, library: Library) -> Iterator[ModelFile]:
    """Yield the models of the templates in WORKER_MODELS. Raises StartupError if a template does not exist."""
    for name in filter(None, map(str.strip, settings.templates.split(","))):
        if name not in library:
            raise StartupError(
                f"WORKER_MODELS: there is no template {name!r}; the templates are {', '.join(library) or 'none'}"
            )
        yield from library[name].models


def texts_of(prompt: Prompt) -> Iterator[str]:
    """Yield every text in the inputs of a prompt. The names of the files that it needs are among them."""
    pending: list[Json] = [value for node in prompt.values() for value in node["inputs"].values()]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            pending.extend(value.values() if isinstance(value, dict) else value)


def _detail(file: ModelFile, error: BaseException) -> Detail:
    details = error.details if isinstance(error, WorkerError) else ()
    return Detail(f"models/{file.folder}/{file.file}: {error}", suggestion=details[0].suggestion if details else None)
