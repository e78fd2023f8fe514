"""Preparation of a job's input files: fetch, check and stage them, and put their final paths into the prompt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from worker.engine.protocol.api import ComfyApi
from worker.errors import Detail, EngineUnavailable, WorkerError
from worker.fetch.fetcher import Fetcher
from worker.fetch.store import FileHold
from worker.inputs.content.check import check_content
from worker.inputs.content.sizes import size_of, sizes_in_folders
from worker.inputs.file_inputs import FileInput, OpenFolders, file_inputs, texts
from worker.inputs.folder_inputs import check_folder_paths, folder_inputs
from worker.inputs.paths.known_links import with_known_paths
from worker.inputs.paths.name_check import check_names
from worker.inputs.paths.own_paths import paths_in_job_folder, paths_in_output_folder
from worker.inputs.placement import PlacedInputs
from worker.inputs.sources import NO_SOURCES, Source, Sources, find_sources, with_earlier_outputs
from worker.inputs.store import InputStore
from worker.job import InputFile, Job
from worker.load.features.content_size import Size
from worker.settings import InputSettings
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt, is_link

FindEarlierOutput = Callable[[str, str, str], Path | None]
"""Returns an earlier output by principal, ComfyUI folder (output or temp) and name in that folder, or None."""
Key = tuple[str, str]
"""Node id and name of an input."""
AT_ONCE = 8
"""Files of one job that are prepared at the same time. A request may name thousands."""


@dataclass(frozen=True, slots=True)
class InputEngine:
    """The ComfyUI that gets the files.

    `placed` is None if this process cannot access ComfyUI's input folder. `output` is the output folder, if there is
    one engine and this process can access the folder.
    """

    api: ComfyApi
    catalog: Callable[[], Awaitable[Catalog]]
    placed: PlacedInputs | None
    output: Path | None = None

    @property
    def folder(self) -> Path | None:
        """ComfyUI's input folder, or None if this process cannot access it."""
        return self.placed.shared if self.placed else None


@dataclass(frozen=True, slots=True)
class PreparedInputs:
    """The prompt with the paths of the placed files, and the sizes of files by the texts in the job's own prompt."""

    prompt: Prompt
    sizes: Mapping[str, Size]


@dataclass(frozen=True, slots=True)
class StoredInput:
    """A stored file: its name as a loader accepts it, and its size if it is a picture or video."""

    name: str
    size: Size | None


class Inputs:
    """Fetches, checks and stages the files of jobs for ComfyUI's input folder.

    If this process cannot access that folder, the files are uploaded to ComfyUI at once. ComfyUI keeps them.
    """

    def __init__(
        self,
        engine: InputEngine,
        fetcher: Fetcher,
        store: InputStore,
        settings: InputSettings,
        earlier: FindEarlierOutput | None = None,
    ) -> None:
        """`earlier` finds outputs of other engines, and is None with one engine.

        Raises StartupError for a bad WORKER_INPUT_FOLDERS.
        """
        self.store = store
        self._api = engine.api
        self._get_catalog = engine.catalog
        self._fetcher = fetcher
        self._open_folders = OpenFolders.read(settings.input_folders, engine.folder, engine.output)
        self._max_megapixels = settings.max_megapixels
        self._input_folder = engine.folder
        self._placed_inputs = engine.placed
        self._allow_any_link = settings.allow_linked_paths
        self._find_earlier = earlier
        self._holds: dict[str, list[FileHold]] = {}
        """Fetched files that a job uses, by the job's folder."""

    async def prepare(self, job: Job, prompt: Prompt) -> PreparedInputs:
        """Return the prompt with each name, URL and data URI of a file replaced with the path of the placed file.

        Raises FileNotAllowed, InvalidInputFile, UrlRefused, FetchFailed, InputTooLarge, CacheFull, EngineUnavailable.
        """
        catalog = await self._read_catalog()
        prompt = with_known_paths(prompt, file_inputs(prompt, catalog))
        files = list(file_inputs(prompt, catalog))
        request_has_files = bool(job.request.inputs or job.request.urls)
        folders = list(folder_inputs(prompt, catalog)) if request_has_files else []
        sources = find_sources(job.request, files, folders) if files or request_has_files else NO_SOURCES
        # An input that names a folder of the request is no file input, even if it also matches as one.
        files = [node_input for node_input in files if node_input.key not in sources.folders]
        folders = [node_input for node_input in folders if node_input.key in sources.folders]
        if folders:
            check_folder_paths(prompt, folders, self._open_folders)
        folder_nodes = {node_input.node_id for node_input in folders}
        check_names(
            prompt, files, sources.by_text, self._open_folders, folders=folder_nodes, any_link=self._allow_any_link
        )
        if self._find_earlier is not None and files:
            find_output = partial(self._find_earlier, job.principal)
            sources = await asyncio.to_thread(with_earlier_outputs, sources, files, find_output)
        stored = await self._store_all(job, sources.all) if sources.all else {}
        sizes = await self._sizes(files, sources, stored)
        by_input = self._replacements_by_input(job, files, sources, stored)
        if not stored and not any(by_input.values()):
            return PreparedInputs(prompt, sizes)
        for node_input in folders:
            name = f"{job.folder}/{sources.folders[node_input.key]}"
            replacement = self._absolute_path(name) if node_input.needs_path else name
            by_input[node_input.key] = dict.fromkeys(texts(node_input.value), replacement)
        by_name = {text: stored[source.name].name for text, source in sources.named.items()}
        return PreparedInputs(_with_replacements(prompt, by_input, by_name), sizes)

    def has_files(self, job: Job) -> bool:
        """Return True if `remove` has anything to do for a job."""
        if job.folder in self._holds:
            return True
        return self._placed_inputs is not None and self._placed_inputs.has_files(job.folder)

    async def remove(self, job: Job) -> None:
        """Release the files of a job that has ended. Uploads stay, because ComfyUI has no route that deletes them."""
        for hold in self._holds.pop(job.folder, ()):
            hold.release()
        if self._placed_inputs is not None:
            await self._placed_inputs.forget(job.folder)

    async def _read_catalog(self) -> Catalog:
        """Return the engine's catalog, or the bundled one while the engine is unavailable."""
        try:
            return await self._get_catalog()
        except EngineUnavailable:
            return bundled_catalog()

    async def _sizes(
        self, node_inputs: list[FileInput], sources: Sources, stored: Mapping[str, StoredInput]
    ) -> dict[str, Size]:
        """Return the sizes of the files that the prompt names, those in ComfyUI's own folders included, by text."""
        if not node_inputs:
            return {}
        folders = {"input": self._input_folder, "output": self._open_folders.output}
        sizes = await asyncio.to_thread(sizes_in_folders, node_inputs, sources.by_text, folders)
        for text, source in sources.by_text.items():
            size = stored[source.name].size
            if size is not None:
                sizes[text] = size
        return sizes

    async def _store_all(self, job: Job, sources: list[Source]) -> dict[str, StoredInput]:
        """Store all files, a few at a time, and return them by the names of their sources.

        After the first failure the other files are cancelled, and its error is raised.
        """
        slots = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {source.name: group.create_task(self._store(job, source, slots)) for source in sources}
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return {name: task.result() for name, task in tasks.items()}

    async def _store(self, job: Job, source: Source, slots: asyncio.Semaphore) -> StoredInput:
        """Check and stage or upload one file."""
        try:
            async with slots:
                match source.content:
                    case InputFile(path=path):
                        return await self._store_file(job, source, path)
                    case Path() as path:
                        return await self._store_file(job, source, path, copy=True)
                    case bytes(data):
                        return await self._store_data(job, source, data)
                    case url:
                        hold = await self._fetcher.fetch(url)
                        self._holds.setdefault(job.folder, []).append(hold)
                        return await self._store_file(job, source, hold.path)
        except WorkerError as error:
            raise _with_label(error, source) from error

    async def _store_data(self, job: Job, source: Source, data: bytes) -> StoredInput:
        """Check and stage or upload the bytes of a file."""
        size = await asyncio.to_thread(self._check, source, BytesIO(data))
        if self._placed_inputs is None:
            return StoredInput(await self._upload(job, source, data), size)
        await self._placed_inputs.stage_data(job.folder, source.name, data)
        return StoredInput(f"{job.folder}/{source.name}", size)

    def _check(self, source: Source, file: Path | BytesIO) -> Size | None:
        """Check the content of a file, and return its size if it is a picture or video. Blocks."""
        check_content(file, source.kinds, self._max_megapixels)
        return size_of(file, source.name)

    async def _store_file(self, job: Job, source: Source, path: Path, *, copy: bool = False) -> StoredInput:
        """Check and stage or upload a file. `copy` is for a file that may change before the job has ended."""
        size = await asyncio.to_thread(self._check, source, path)
        if self._placed_inputs is None:
            with path.open("rb") as file:
                return StoredInput(await self._upload(job, source, file), size)
        if copy:
            await self._placed_inputs.stage_copy(job.folder, source.name, path)
        else:
            self._placed_inputs.stage(job.folder, source.name, path)
        return StoredInput(f"{job.folder}/{source.name}", size)

    async def _upload(self, job: Job, source: Source, data: bytes | BinaryIO) -> str:
        """Upload a file to ComfyUI and return the name that ComfyUI gave it."""
        path = PurePosixPath(job.folder, source.name)
        return await self._api.upload(str(path.parent), path.name, data)

    def _replacements_by_input(
        self, job: Job, node_inputs: list[FileInput], sources: Sources, stored: Mapping[str, StoredInput]
    ) -> dict[Key, dict[str, str]]:
        """Return the texts to replace in each file input, with their replacements.

        An input that accepts uploads gets the names of the job's files, or their absolute paths if it needs a path. An
        input that accepts no files of the job gets paths in the output folder if it writes. Any other input is
        omitted. `stored` are the stored files by the names of their sources.
        """
        names = {text: stored[source.name].name for text, source in sources.by_text.items()}
        paths = {text: self._absolute_path(name) for text, name in names.items()}
        job_folder, output = Path(self._absolute_path(job.folder)), self._open_folders.output
        missing_paths = paths_in_job_folder(node_inputs, paths, job_folder) if self._input_folder else {}
        output_paths = paths_in_output_folder(node_inputs, output) if output else {}
        replacements: dict[Key, dict[str, str]] = {}
        for node_input in node_inputs:
            key = node_input.key
            if not node_input.accepts_job_files:
                replacements[key] = output_paths.get(key, {})
            elif node_input.accepts_upload:
                replacements[key] = {**paths, **missing_paths.get(key, {})} if node_input.needs_path else names
        return replacements

    def _absolute_path(self, name: str) -> str:
        """Return the absolute path of a name in ComfyUI's input folder."""
        return str((self._input_folder or Path()).absolute() / name)


def _with_replacements(prompt: Prompt, by_input: dict[Key, dict[str, str]], by_name: dict[str, str]) -> Prompt:
    """Return the prompt with texts replaced: in a file input by its own table, in other inputs by `by_name`."""
    return {
        node_id: {
            **node,
            "inputs": {
                name: replace_texts(value, by_input.get((node_id, name), by_name))
                for name, value in node["inputs"].items()
            },
        }
        for node_id, node in prompt.items()
    }


def _with_label(error: WorkerError, source: Source) -> WorkerError:
    """Return the error with the label of the file added to its message and details."""
    details = error.details or (Detail(error.message),)
    return type(error)(
        f"{source.label}: {error.message}",
        [replace(detail, input=source.label if detail.input is None else detail.input) for detail in details],
        error.retry_after_s,
    )


def replace_texts(value: Json, replacements: Mapping[str, str]) -> Json:
    """Return a JSON value with each text replaced that `replacements` contains. Links are not changed."""
    match value:
        case str():
            return replacements.get(value, value)
        case list() if not is_link(value):
            return [replace_texts(item, replacements) for item in value]
        case dict():
            return {name: replace_texts(item, replacements) for name, item in value.items()}
    return value
