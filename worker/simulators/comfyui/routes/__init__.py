"""The HTTP routes. Each module is one family with a function `routes()`."""

from __future__ import annotations

from aiohttp import web

from worker.simulators.comfyui.routes import (
    catalog,
    editor,
    features,
    history,
    internal,
    jobs,
    prompt,
    queue,
    socket,
    upload,
    view,
)

DOUBLED = (prompt, queue, history, socket, view, upload, catalog, features, editor)
"""Families that exist with and without the prefix /api."""


def all_routes() -> list[web.RouteDef]:
    """Return all routes in the order in which they are matched."""
    doubled = [route for family in DOUBLED for route in family.routes()]
    return [
        *doubled,
        *(web.route(route.method, f"/api{route.path}", route.handler) for route in doubled),
        *jobs.routes(),
        *editor.api_routes(),
        *internal.routes(),
        *editor.last_routes(),
    ]
