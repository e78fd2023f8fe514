"""The engine's catalog, kept until it may have changed: after every new connection, and where somebody knows better."""

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
from worker.engine.protocol.api import ComfyApi, read_object_info
from worker.engine.protocol.websocket import EngineSocket
from worker.engine.saved_models import SavedModelFolders
from worker.errors import Detail, EngineUnavailable, ModelsMissing, StartupError
from worker.supervision import Tasks, await_shared, stop
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.catalog.saved_models import SavedModels
from worker.workflow.prompt import Prompt
from worker.workflow.validation.model_references import saved_model_problems

MOST_CLASSES = 24
"""Asked for one by one; for more the whole catalog is read."""
ParseCatalog = Callable[[bytes], Catalog]
"""Parses the answer of `GET /object_info`."""


def read_catalog(path: Path) -> Catalog:
    """What `verify-image` has kept, or anybody else of `GET /object_info`. Raises StartupError."""
    try:
        data = path.read_bytes()
        info = orjson.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except OSError as error:
        raise StartupError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except (orjson.JSONDecodeError, EOFError, zlib.error) as error:
        raise StartupError(f"{path} is not JSON: {error}") from error
    if not isinstance(info, dict):
        raise StartupError(f"{path} is not what GET /object_info answers")
    return Catalog.from_object_info(info).without_job_folders()


OF_JOBS = re.compile(rb',?\s*"job-[0-9a-f]{32}[^"]*"')
"""Folders of jobs in the shared input folder, which come and go between the answers of two engines."""


class SharedCatalogs:
    """Parses the answers of several engines: the same bytes are the same object for as long as anybody holds it."""

    def __init__(self) -> None:
        self._by_digest: WeakValueDictionary[bytes, Catalog] = WeakValueDictionary()

    def __call__(self, data: bytes) -> Catalog:
        """Raises UnexpectedShape and JSONDecodeError."""
        digest = hashlib.blake2b(OF_JOBS.sub(b"", data), digest_size=16).digest()
        catalog = self._by_digest.get(digest)
        if catalog is None:
            catalog = self._by_digest[digest] = read_object_info(data)
        return catalog


class CatalogCache:
    """Reading takes ComfyUI some hundred milliseconds, so it is done once, however many wait for it.

    `kept` is of an earlier life, from a file: good enough until this one has answered.
    """

    def __init__(self, api: ComfyApi, socket: EngineSocket, tasks: Tasks, kept: Catalog | None = None) -> None:
        self.parse: ParseCatalog = read_object_info
        """Several engines have the same one, so that equal catalogs are one object."""
        self.saved = SavedModelFolders(None)
        """Looked at whenever the engine is asked: what jobs wrote is in no catalog of ours."""
        self.input: Path | None = None
        """ComfyUI's input folder, where this process can reach it."""
        self._api = api
        self._tasks = tasks
        self._socket = socket
        self._catalog = kept
        self._life = -1
        """The connection under which it was read."""
        self._reading: asyncio.Task[Catalog | BaseException] | None = None

    @property
    def known(self) -> Catalog | None:
        """What was read last, however long ago."""
        return self._catalog

    async def get(self) -> Catalog:
        """The newest that can be had: of ComfyUI's last life where it doesn't answer. Raises EngineUnavailable."""
        try:
            return await self.current()
        except EngineUnavailable:
            if self._catalog is None:
                raise
            return self._catalog

    async def current(self) -> Catalog:
        """Of the ComfyUI that is there now. Raises EngineUnavailable."""
        if self._catalog is not None and self._life == self._socket.connections:
            return self._catalog
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.start_shared("catalog", self._read())
        return await await_shared(self._reading)

    async def refreshed(self, classes: Collection[str]) -> Catalog:
        """With these classes as they are at this moment: their files may have come since. Raises EngineUnavailable."""
        if len(classes) > MOST_CLASSES:
            self.invalidate()
            return await self.current()
        await self.current()
        before = await self.saved.scan()
        answers = await asyncio.gather(*(self._api.node_class(name) for name in classes))
        catalog = (await self.current()).with_classes(dict(zip(classes, answers, strict=True)))
        self._catalog = await self._hiding(catalog, before.merged_with(catalog.saved))
        return self._catalog

    def invalidate(self) -> None:
        """There are files or classes now that it does not list."""
        self._life = -1

    async def check_models(self, prompt: Prompt) -> None:
        """A file may have been written since the prompt was looked at. Raises ModelsMissing for one of another job."""
        saved = await self.saved.scan()
        if not saved.by_folder:
            return
        problems = saved_model_problems(prompt, self._catalog or bundled_catalog(), saved)
        details = [
            Detail(one.message, one.node_id, one.node_title, one.class_type, one.input, expected=one.expected)
            for one in problems
        ]
        if details:
            raise ModelsMissing(details[0].message, details)

    async def close(self) -> None:
        if self._reading is not None:
            await stop(self._reading)

    async def _read(self) -> Catalog:
        life = self._socket.connections
        before = await self.saved.scan()
        async with marked_folder(self.input):
            read = await self._api.catalog(self.parse)
        catalog = await self._hiding(read, before)
        self._catalog, self._life = catalog, life
        return catalog

    async def _hiding(self, catalog: Catalog, before: SavedModels) -> Catalog:
        """Without the files that were there before the engine was asked, or are there now: either may be listed."""
        return catalog.without_saved_models(await self.saved.scan(before))
