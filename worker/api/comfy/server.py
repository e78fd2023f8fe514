"""ComfyUI's API for one kind of caller: its routes, and ports of their own where those are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from worker.api.comfy.callers import IDENTIFY, Identify
from worker.api.comfy.refusals import with_comfyui_errors
from worker.api.comfy.routes import engine, history, prompt, queue, upload, view, websocket
from worker.api.edge.browsers import BrowserCheck, browser_check
from worker.api.errors import errors
from worker.api.services import SERVICES, Services
from worker.connections import HANDLER_OPTIONS
from worker.errors import CannotListen

API = "/api"
"""Prefix under which ComfyUI has every route again."""
ROUTES = (
    web.post("/prompt", prompt.post_prompt),
    web.get("/prompt", queue.get_prompt),
    web.get("/queue", queue.get_queue),
    web.post("/queue", queue.post_queue),
    web.post("/interrupt", queue.interrupt),
    web.post("/free", queue.free),
    web.get("/history", history.get_history),
    web.post("/history", history.post_history),
    web.get("/history/{prompt_id}", history.get_entry),
    web.get("/view", view.view),
    web.post("/upload/image", upload.upload_image),
    web.post("/upload/mask", upload.upload_mask),
    web.get("/ws", websocket.get_ws, allow_head=False),
    web.get("/object_info", engine.object_info),
    web.get("/object_info/{name}", engine.class_info),
    web.get("/system_stats", engine.system_stats),
    web.get("/features", engine.features),
    web.get("/embeddings", engine.embeddings),
    web.get("/models", engine.model_folders),
    web.get("/models/{folder}", engine.models),
)
API_ROUTES = (web.post("/jobs/{prompt_id}/cancel", queue.cancel),)
"""Routes that ComfyUI has only under the prefix."""


def add_comfy_routes(app: web.Application, identify: Identify) -> None:
    """Add all routes to an application that has the services. `identify` returns the caller of a request."""
    app[IDENTIFY] = identify
    app[engine.ENCODED_CATALOG] = engine.EncodedCatalog()
    app.add_routes([_route(route, "") for route in ROUTES])
    app.add_routes([_route(route, API) for route in (*ROUTES, *API_ROUTES)])


def _route(route: web.RouteDef, prefix: str) -> web.RouteDef:
    """Return a route with a prefix, whose errors have ComfyUI's form."""
    return web.RouteDef(route.method, prefix + route.path, with_comfyui_errors(route.handler), route.kwargs)


class ComfyServer:
    """Serves ComfyUI's API to processes on this machine, such as the handlers of a team.

    `identify` returns the caller of a request: its principal owns the jobs, and the caller sees only those with its own
    `parent`. Requests need no token, so `identify` decides who is served.
    """

    def __init__(self, services: Services, identify: Identify) -> None:
        self._services = services
        self._identify = identify

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve at an address until the context ends, and yield the port. Port 0 means any free one.

        Raises CannotListen.
        """
        app = web.Application(middlewares=[errors], client_max_size=self._services.intake.limits.total)
        app.middlewares.append(browser_check(BrowserCheck.of(self._services.settings.server)))
        app[SERVICES] = self._services
        add_comfy_routes(app, self._identify)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0, **HANDLER_OPTIONS)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except (OSError, OverflowError) as error:
                raise CannotListen(host, port, error) from error
            bound_port: int = runner.addresses[0][1]
            yield bound_port
        finally:
            await runner.cleanup()
