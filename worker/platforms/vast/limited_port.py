"""Connection limits for the SDK's web servers, which the SDK opens itself with aiohttp's classes."""

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
"""Half of the bytes of a body that aiohttp reads ahead. They are in memory before the sender is authenticated."""


@dataclass(frozen=True, slots=True)
class LimitedWeb:
    """Replaces `aiohttp.web` in the SDK's module, with the names that the SDK uses."""

    limits: ConnectionLimits
    tasks: Tasks
    Application: type[web.Application] = web.Application

    def AppRunner(self, app: web.Application, **options: Any) -> web.AppRunner:  # noqa: N802, ANN401 - aiohttp's name
        """Return a runner that does not decompress bodies, because a small body could become very large."""
        return web.AppRunner(app, auto_decompress=False, read_bufsize=READ_AHEAD, **HANDLER_OPTIONS, **options)

    @property
    def TCPSite(self) -> Callable[..., LimitedSite]:  # noqa: N802 - aiohttp's name
        """A replacement for aiohttp's class, with our limits on the connections of a site."""
        return partial(LimitedSite, limits=self.limits, tasks=self.tasks)


def limit_port(server: ModuleType, limits: ConnectionLimits, tasks: Tasks) -> None:
    """Replace `aiohttp.web` in the SDK's server module, so that its ports have limits on their connections.

    Raises StartupError when the module does not use `web` and `start_server_async`, because it may open its port in
    another way.
    """
    if getattr(server, "web", None) is None or not hasattr(server, "start_server_async"):
        raise StartupError("Vast's SDK opens its port in an unknown way, so its connections would have no limits")
    vars(server).update(web=LimitedWeb(limits, tasks))
