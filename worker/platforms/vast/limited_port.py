"""The SDK's web servers, with limits on connections: it opens its ports itself, by aiohttp's own classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from aiohttp import web

from worker.connections import HANDLER_OPTIONS, ConnectionLimits, LimitedSite
from worker.errors import StartupError
from worker.supervision import Tasks

READ_AHEAD = 16 * 1024
"""Half of what aiohttp reads of a body before it is asked for it. A stranger's body lies in memory until then."""


@dataclass(frozen=True, slots=True)
class LimitedWeb:
    """In the place of `aiohttp.web` in the SDK's module, as far as that uses it."""

    limits: ConnectionLimits
    tasks: Tasks
    Application: type[web.Application] = web.Application

    def AppRunner(self, app: web.Application, **options: Any) -> web.AppRunner:  # noqa: N802, ANN401 - aiohttp's name
        """Bodies are not decompressed: what a stranger sends must not grow."""
        return web.AppRunner(app, auto_decompress=False, read_bufsize=READ_AHEAD, **HANDLER_OPTIONS, **options)

    @property
    def TCPSite(self) -> Callable[..., LimitedSite]:  # noqa: N802 - aiohttp's name
        return partial(LimitedSite, limits=self.limits, tasks=self.tasks)


def limit_port(server: ModuleType, limits: ConnectionLimits, tasks: Tasks) -> None:
    """Give the SDK's server module these. Raises StartupError where it opens its port in another way."""
    if getattr(server, "web", None) is None or not hasattr(server, "start_server_async"):
        raise StartupError("Vast's SDK opens its port in another way than this worker expects: it would have no limits")
    vars(server).update(web=LimitedWeb(limits, tasks))
