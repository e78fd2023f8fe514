"""A job's files, made ready for ComfyUI's input folder, and the prompt pointed to where they will be in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from worker.engine.protocol.api import ComfyApi
from worker.errors import Detail, EngineUnavailable, WorkerError
from worker.fetch.fetcher import Fetcher
from worker.fetch.store import Held
from worker.inputs.content import check_content
from worker.inputs.file_inputs import FileInput, OpenFolders, file_inputs, texts
from worker.inputs.folder_inputs import check_paths, folder_inputs
from worker.inputs.paths.known_links import with_known_paths
from worker.inputs.paths.name_check import check_names
from worker.inputs.paths.own_paths import inside_output, inside_own_folder
from worker.inputs.placement import PlacedInputs
from worker.inputs.sources import NO_SOURCES, Source, Sources, find_sources, with_earlier
from worker.inputs.store import InputStore
from worker.job import InputFile, Job
from worker.settings import InputSettings
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt, is_link

Earlier = Callable[[str, str, str], Path | None]
"""Finds the file that a principal made earlier, by its folder (output or temp) and its name in there."""
Key = tuple[str, str]
"""Node id and name of an input."""
AT_ONCE = 8
"""Files of one job: a request may name thousands."""


@dataclass(frozen=True, slots=True)
class InputEngine:
    """Where the files go: ComfyUI's API, its catalog, and its input folder where this process can reach it.

    `output` is the output folder of the only engine, where this process can reach it.
    """

    api: ComfyApi
    catalog: Callable[[], Awaitable[Catalog]]
    placed: PlacedInputs | None
    output: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The input folder."""
        return self.placed.shared if self.placed else None


class Inputs:
    """Makes a job's files ready: checked, fetched, and staged for a folder of the job's own in ComfyUI's input folder.

    A ComfyUI whose input folder can't be reached gets them at once, by upload, and keeps them.
    """

    def __init__(
        self,
        engine: InputEngine,
        fetcher: Fetcher,
        store: InputStore,
        settings: InputSettings,
        earlier: Earlier | None = None,
    ) -> None:
        """`earlier` finds earlier outputs, where the engine may not have them. Raises StartupError."""
        self.store = store
        self._api = engine.api
        self._catalog = engine.catalog
        self._fetcher = fetcher
        self._opened = OpenFolders.read(settings.input_folders, engine.folder, engine.output)
        self._max_megapixels = settings.max_megapixels
        self._shared = engine.folder
        self._placed = engine.placed
        self._any_link = settings.allow_linked_paths
        self._earlier = earlier
        self._held: dict[str, list[Held]] = {}
        """Fetched files that a job needs, by its folder."""

    async def prepare(self, job: Job, prompt: Prompt) -> Prompt:
        """The prompt with every name, URL and data URI of one of the job's files replaced by where the file lies.

        Raises FileNotAllowed, InvalidInputFile, UrlRefused, FetchFailed, InputTooLarge, CacheFull, EngineUnavailable.
        """
        catalog = await self._engines_catalog()
        prompt = with_known_paths(prompt, file_inputs(prompt, catalog))
        places, sent = list(file_inputs(prompt, catalog)), bool(job.request.inputs or job.request.urls)
        folders = list(folder_inputs(prompt, catalog)) if sent else []
        sources = find_sources(job.request, places, folders) if places or sent else NO_SOURCES
        places = [place for place in places if place.key not in sources.folders]
        folders = [place for place in folders if place.key in sources.folders]
        if folders:
            check_paths(prompt, folders, self._opened)
        nodes = {place.node_id for place in folders}
        check_names(prompt, places, sources.by_text, self._opened, folders=nodes, any_link=self._any_link)
        if self._earlier is not None and places:
            find = partial(self._earlier, job.principal)
            sources = await asyncio.to_thread(with_earlier, sources, places, find)
        stored = await self._store_all(job, sources.all) if sources.all else {}
        by_input = self._by_input(job, places, sources, stored)
        if not stored and not any(by_input.values()):
            return prompt
        for place in folders:
            name = f"{job.folder}/{sources.folders[place.key]}"
            by_input[place.key] = dict.fromkeys(texts(place.value), self._path(name) if place.path else name)
        return _pointed(prompt, by_input, {text: stored[source.name] for text, source in sources.named.items()})

    def has_files(self, job: Job) -> bool:
        """Whether there is anything to remove of a job."""
        return job.folder in self._held or (self._placed is not None and self._placed.has_files(job.folder))

    async def remove(self, job: Job) -> None:
        """Forget the files of a job that has ended. ComfyUI has no route that deletes an upload."""
        for held in self._held.pop(job.folder, ()):
            held.release()
        if self._placed is not None:
            await self._placed.forget(job.folder)

    async def _engines_catalog(self) -> Catalog:
        try:
            return await self._catalog()
        except EngineUnavailable:
            return bundled_catalog()

    async def _store_all(self, job: Job, sources: list[Source]) -> dict[str, str]:
        """Names as loaders take them, by the sources' names; a few at once, and none goes on when one has failed."""
        places = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {source.name: group.create_task(self._store(job, source, places)) for source in sources}
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return {name: task.result() for name, task in tasks.items()}

    async def _store(self, job: Job, source: Source, places: asyncio.Semaphore) -> str:
        try:
            async with places:
                match source.content:
                    case InputFile(path=path):
                        return await self._store_file(job, source, path)
                    case Path() as path:
                        return await self._store_file(job, source, path, stays=False)
                    case bytes(data):
                        return await self._store_data(job, source, data)
                    case url:
                        held = await self._fetcher.fetch(url)
                        self._held.setdefault(job.folder, []).append(held)
                        return await self._store_file(job, source, held.path)
        except WorkerError as error:
            raise _about(error, source) from error

    async def _store_data(self, job: Job, source: Source, data: bytes) -> str:
        await asyncio.to_thread(check_content, BytesIO(data), source.kinds, self._max_megapixels)
        if self._placed is None:
            return await self._upload(job, source, data)
        await self._placed.stage_data(job.folder, source.name, data)
        return f"{job.folder}/{source.name}"

    async def _store_file(self, job: Job, source: Source, path: Path, *, stays: bool = True) -> str:
        """`stays`: the file is the worker's own and does not change until the job has ended."""
        await asyncio.to_thread(check_content, path, source.kinds, self._max_megapixels)
        if self._placed is None:
            with path.open("rb") as file:
                return await self._upload(job, source, file)
        if stays:
            self._placed.stage(job.folder, source.name, path)
        else:
            await self._placed.stage_copy(job.folder, source.name, path)
        return f"{job.folder}/{source.name}"

    async def _upload(self, job: Job, source: Source, data: bytes | BinaryIO) -> str:
        path = PurePosixPath(job.folder, source.name)
        return await self._api.upload(str(path.parent), path.name, data)

    def _by_input(
        self, job: Job, places: list[FileInput], sources: Sources, stored: dict[str, str]
    ) -> dict[Key, dict[str, str]]:
        """What takes the place of each text, by the file input that it stands in."""
        names = {text: stored[source.name] for text, source in sources.by_text.items()}
        paths = {text: self._path(name) for text, name in names.items()}
        inside = inside_own_folder(places, paths, Path(self._path(job.folder))) if self._shared else {}
        own = {
            place.key: {**paths, **inside.get(place.key, {})} if place.path else names
            for place in places
            if place.uploads
        }
        written = inside_output(places, self._opened.output) if self._opened.output else {}
        return own | {place.key: written.get(place.key, {}) for place in places if not place.takes_files}

    def _path(self, name: str) -> str:
        return str((self._shared or Path()).absolute() / name)


def _pointed(prompt: Prompt, by_input: dict[Key, dict[str, str]], named: dict[str, str]) -> Prompt:
    """Return the prompt with the texts of each input replaced by its own table, or by `named`."""
    return {
        node_id: {
            **node,
            "inputs": {
                name: replace_texts(value, by_input.get((node_id, name), named))
                for name, value in node["inputs"].items()
            },
        }
        for node_id, node in prompt.items()
    }


def _about(error: WorkerError, source: Source) -> WorkerError:
    """The same error, told of the input that it is about."""
    details = error.details or (Detail(error.message),)
    return type(error)(
        f"{source.label}: {error.message}",
        [replace(detail, input=source.label if detail.input is None else detail.input) for detail in details],
        error.retry_after_s,
    )


def replace_texts(value: Json, stored: dict[str, str]) -> Json:
    """Return the value with each text that is in `stored` replaced. Links stay."""
    match value:
        case str():
            return stored.get(value, value)
        case list() if not is_link(value):
            return [replace_texts(item, stored) for item in value]
        case dict():
            return {name: replace_texts(item, stored) for name, item in value.items()}
    return value
