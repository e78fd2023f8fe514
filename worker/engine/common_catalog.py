"""One catalog for all engines of a worker: what every one of them has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from worker.engine.engine import Engine
from worker.errors import EngineUnavailable
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.common import common_catalog


class CommonCatalogCache:
    """The catalogs of engines, taken together. An engine that does not answer counts with what it had last."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines
        self._last: Sequence[Catalog] = ()
        self._common: Catalog | None = None
        """Of the catalogs in `_last`."""

    @property
    def known(self) -> Catalog | None:
        """What was read last, however long ago."""
        known = [engine.client.known_catalog for engine in self._counting]
        return self._together([catalog for catalog in known if catalog is not None])

    async def get(self) -> Catalog:
        """Return the newest that can be had. Raises EngineUnavailable."""
        try:
            return await self.current()
        except EngineUnavailable:
            if (known := self.known) is None:
                raise
            return known

    async def current(self) -> Catalog:
        """Return that of the engines that are reached now. Raises EngineUnavailable where none is."""
        return await self._read(lambda engine: engine.client.catalogs.current())

    async def refreshed(self, classes: Collection[str]) -> Catalog:
        """Return it with these classes as they are at this moment. Raises EngineUnavailable."""
        return await self._read(lambda engine: engine.client.catalogs.refreshed(classes))

    def invalidate(self) -> None:
        """There are files or classes now that it does not list."""
        for engine in self._engines:
            engine.client.catalogs.invalidate()

    @property
    def _counting(self) -> list[Engine]:
        return [engine for engine in self._engines if engine.final_error is None]

    @property
    def _reached(self) -> list[Engine]:
        """Raises EngineUnavailable."""
        if len(self._engines) == 1:
            return list(self._engines)
        reached = [engine for engine in self._engines if engine.connected]
        if not reached:
            raise EngineUnavailable("ComfyUI is not connected")
        return reached

    async def _read(self, read: Callable[[Engine], Awaitable[Catalog]]) -> Catalog:
        """Read from all engines that are reached; one that is lost meanwhile counts as before."""
        answers = await asyncio.gather(*map(read, self._reached), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        for failure in failures:
            if len(failures) == len(answers) or not isinstance(failure, EngineUnavailable):
                raise failure
        if (known := self.known) is None:
            raise EngineUnavailable("ComfyUI has not sent its catalog")
        return known

    def _together(self, catalogs: Sequence[Catalog]) -> Catalog | None:
        """Compare by identity: equal catalogs are one object, and nothing is done again while nothing has changed."""
        distinct = list({id(catalog): catalog for catalog in catalogs}.values())
        if len(distinct) < 2:
            return distinct[0] if distinct else None
        if self._common is None or list(map(id, distinct)) != list(map(id, self._last)):
            self._last, self._common = distinct, common_catalog(distinct)
        return self._common
