"""One catalog for several engines, with the classes and choices that all of them have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from worker.engine.engine import Engine
from worker.errors import EngineUnavailable
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.common import common_catalog


class CommonCatalogCache:
    """The common catalog of several engines. For an engine that does not respond, its last catalog is used."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines
        self._last_catalogs: Sequence[Catalog] = ()
        self._common: Catalog | None = None
        """The common catalog of those in `_last_catalogs`."""

    @property
    def known(self) -> Catalog | None:
        """The common catalog of the catalogs that were read last, however old, or None before the first read."""
        catalogs = [engine.client.known_catalog for engine in self._usable]
        return self._common_of([catalog for catalog in catalogs if catalog is not None])

    async def get(self) -> Catalog:
        """Return the current catalog, or the last known one. Raises EngineUnavailable when there is neither."""
        try:
            return await self.current()
        except EngineUnavailable:
            catalog = self.known
            if catalog is None:
                raise
            return catalog

    async def current(self) -> Catalog:
        """Return the catalog of the engines that are connected. Raises EngineUnavailable when none is."""
        return await self._read(lambda engine: engine.client.catalogs.current())

    async def refreshed(self, classes: Collection[str]) -> Catalog:
        """Return the catalog after reading these classes again. Raises EngineUnavailable."""
        return await self._read(lambda engine: engine.client.catalogs.refreshed(classes))

    def invalidate(self) -> None:
        """Mark the catalogs of all engines as outdated."""
        for engine in self._engines:
            engine.client.catalogs.invalidate()

    @property
    def _usable(self) -> list[Engine]:
        """Engines that the worker has not given up."""
        return [engine for engine in self._engines if engine.final_error is None]

    @property
    def _connected(self) -> list[Engine]:
        """Engines that are connected. A single engine is always included, connected or not.

        Raises EngineUnavailable when none of several engines is connected.
        """
        if len(self._engines) == 1:
            return list(self._engines)
        connected = [engine for engine in self._engines if engine.connected]
        if not connected:
            raise EngineUnavailable("ComfyUI is not connected")
        return connected

    async def _read(self, read: Callable[[Engine], Awaitable[Catalog]]) -> Catalog:
        """Call `read` for each connected engine, and return the common catalog.

        For an engine that is lost meanwhile, its last catalog is used. Raises EngineUnavailable when none responds.
        """
        results = await asyncio.gather(*map(read, self._connected), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if len(failures) == len(results):
            raise failures[0]
        for failure in failures:
            if not isinstance(failure, EngineUnavailable):
                raise failure
        catalog = self.known
        if catalog is None:
            raise EngineUnavailable("ComfyUI has not sent its catalog")
        return catalog

    def _common_of(self, catalogs: Sequence[Catalog]) -> Catalog | None:
        """Return the common catalog, or None without catalogs. It is computed again only when a catalog has changed.

        Catalogs are compared by identity, because equal catalogs are one object.
        """
        distinct = list({id(catalog): catalog for catalog in catalogs}.values())
        if len(distinct) < 2:
            return distinct[0] if distinct else None
        if self._common is None or list(map(id, distinct)) != list(map(id, self._last_catalogs)):
            self._last_catalogs, self._common = distinct, common_catalog(distinct)
        return self._common
