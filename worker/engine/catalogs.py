"""The node catalog of one engine, cached until it may have changed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from weakref import WeakValueDictionary

import orjson

from worker.engine.folders.marked_folder import marked_folder
from worker.engine.folders.saved_models import SavedModelFolders
from worker.engine.protocol.api import ComfyApi, read_object_info
from worker.engine.protocol.websocket import EngineSocket
from worker.errors import Detail, EngineUnavailable, ModelsMissing, StartupError
from worker.supervision import Tasks, await_shared, stop
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.catalog.saved_models import SavedModels
from worker.workflow.prompt import Prompt
from worker.workflow.validation.model_references import saved_model_problems

MOST_CLASSES = 24
"""Largest number of classes that are requested one by one. For more, the whole catalog is read."""
ParseCatalog = Callable[[bytes], Catalog]
"""Function that parses the response of `GET /object_info`."""


def read_catalog(path: Path) -> Catalog:
    """Return the catalog in a file with the response of `GET /object_info`, plain or as `.gz`.

    `comfy-worker verify-image` writes such a file. Raises StartupError when the file cannot be read or is not a
    catalog.
    """
    try:
        data = path.read_bytes()
        info = orjson.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except OSError as error:
        raise StartupError(f"the catalog {path} cannot be read: {error.strerror or error}") from error
    except (orjson.JSONDecodeError, EOFError, zlib.error) as error:
        raise StartupError(f"the catalog {path} is not JSON: {error}") from error
    if not isinstance(info, dict):
        raise StartupError(f"the catalog {path} is not a response of GET /object_info, which is a JSON object")
    return Catalog.from_object_info(info).without_job_folders()


JOB_FOLDERS = re.compile(rb',?\s*"job-[0-9a-f]{32}[^"]*"')
"""Matches the folders of jobs in lists of choices.

They are in the shared input folder, and may be added or removed between the responses of two engines."""


class SharedCatalogs:
    """Parser for the catalogs of several engines that returns one object for equal responses.

    An object is kept only while it is in use.
    """

    def __init__(self) -> None:
        self._by_digest: WeakValueDictionary[bytes, Catalog] = WeakValueDictionary()

    def __call__(self, data: bytes) -> Catalog:
        """Return the catalog in a response of `GET /object_info`.

        For responses that differ only in the folders of jobs, this is the same object. Raises UnexpectedShape and
        JSONDecodeError.
        """
        digest = hashlib.blake2b(JOB_FOLDERS.sub(b"", data), digest_size=16).digest()
        catalog = self._by_digest.get(digest)
        if catalog is None:
            catalog = self._by_digest[digest] = read_object_info(data)
        return catalog


class CatalogCache:
    """Cache of one engine's catalog.

    ComfyUI takes some hundred milliseconds to send its catalog, so it is read once, and all callers share the result.
    `from_file` is used until this engine has sent its own.
    """

    def __init__(self, api: ComfyApi, socket: EngineSocket, tasks: Tasks, from_file: Catalog | None = None) -> None:
        self.parse: ParseCatalog = read_object_info
        """Parser of the response. The engines of a pool share one, so that equal catalogs are one object."""
        self.saved_models = SavedModelFolders(None)
        """Model files that jobs have written. They are scanned at each read, because no catalog may list them."""
        self.input: Path | None = None
        """ComfyUI's input folder, or None if this process cannot reach it."""
        self._api = api
        self._tasks = tasks
        self._socket = socket
        self._catalog = from_file
        self._read_in_connection = -1
        """Number of the connection during which the catalog was read. -1 marks an outdated catalog."""
        self._reading: asyncio.Task[Catalog | BaseException] | None = None

    @property
    def known(self) -> Catalog | None:
        """The catalog that was read last, however old, or None before the first one."""
        return self._catalog

    async def get(self) -> Catalog:
        """Return the current catalog, or the last known one while ComfyUI does not respond.

        Raises EngineUnavailable when there is neither.
        """
        try:
            return await self.current()
        except EngineUnavailable:
            if self._catalog is None:
                raise
            return self._catalog

    async def current(self) -> Catalog:
        """Return the catalog of the ComfyUI that is connected now.

        Raises EngineUnavailable when it does not respond.
        """
        # ComfyUI may have been restarted with other node packs or models between two connections.
        if self._catalog is not None and self._read_in_connection == self._socket.connections:
            return self._catalog
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.start_shared("catalog", self._read())
        return await await_shared(self._reading)

    async def refreshed(self, classes: Collection[str]) -> Catalog:
        """Read these classes again, because their lists of files may have changed, and return the updated catalog.

        Raises EngineUnavailable when ComfyUI does not respond.
        """
        if len(classes) > MOST_CLASSES:
            self.invalidate()
            return await self.current()
        await self.current()
        saved_before = await self.saved_models.scan()
        new_classes = await asyncio.gather(*(self._api.node_class(name) for name in classes))
        catalog = (await self.current()).with_classes(dict(zip(classes, new_classes, strict=True)))
        self._catalog = await self._without_saved_models(catalog, saved_before.merged_with(catalog.saved_models))
        return self._catalog

    def invalidate(self) -> None:
        """Mark the catalog as outdated, because files or classes were added that it does not list."""
        self._read_in_connection = -1

    async def check_models(self, prompt: Prompt) -> None:
        """Raise ModelsMissing when the prompt names a model file that another job has saved.

        The request was checked before, but such a file may have been written since then.
        """
        saved = await self.saved_models.scan()
        if not saved.by_folder:
            return
        problems = saved_model_problems(prompt, self._catalog or bundled_catalog(), saved)
        details = [
            Detail(
                problem.message,
                problem.node_id,
                problem.node_title,
                problem.class_type,
                problem.input,
                expected=problem.expected,
            )
            for problem in problems
        ]
        if details:
            raise ModelsMissing(details[0].message, details)

    async def close(self) -> None:
        """Cancel a read that is in progress."""
        if self._reading is not None:
            await stop(self._reading)

    async def _read(self) -> Catalog:
        """Read the whole catalog and store it.

        Meanwhile a marked folder is in the input folder. A choice with its name belongs to a list of input files.
        """
        connection = self._socket.connections
        saved_before = await self.saved_models.scan()
        async with marked_folder(self.input):
            catalog = await self._api.catalog(self.parse)
        catalog = await self._without_saved_models(catalog, saved_before)
        self._catalog, self._read_in_connection = catalog, connection
        return catalog

    async def _without_saved_models(self, catalog: Catalog, saved_before: SavedModels) -> Catalog:
        """Return the catalog without the model files that jobs have saved.

        `saved_before` are the files that existed before the request to ComfyUI. Its response may list them as well as
        those that exist now.
        """
        return catalog.without_saved_models(await self.saved_models.scan(saved_before))
