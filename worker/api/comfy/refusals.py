"""Errors of ComfyUI's API, in the form of ComfyUI's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from worker.api.comfy.client_prompts import output_nodes_of
from worker.api.errors import DIALECT, headers_of
from worker.api.services import json_response, services_of
from worker.dialects import COMFYUI
from worker.dialects.comfyui import refusal
from worker.errors import WorkerError
from worker.events import RequestRefused
from worker.intake import status_of
from worker.workflow.prompt import Prompt

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REFUSED = 400
"""ComfyUI's only status for a prompt that it refuses."""
OTHER_STATUSES = frozenset({409, 422})
"""Statuses of the worker that ComfyUI does not have. Its clients get 400 instead."""


def with_comfyui_errors(handler: Handler) -> Handler:
    """Return a handler whose errors have ComfyUI's form."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[DIALECT] = COMFYUI
        try:
            return await handler(request)
        except WorkerError as error:
            return refusal_response(request, error)

    return handle


def refusal_response(request: web.Request, error: WorkerError, prompt: Prompt | None = None) -> web.Response:
    """Return the response for an error, and notify observers. `prompt` is the prompt that was refused."""
    services, route = services_of(request), request.match_info.route.resource
    status = status_of(error, services.traits)
    status = REFUSED if status in OTHER_STATUSES else status
    path = route.canonical if route is not None else ""
    services.observers.notify(RequestRefused(path, COMFYUI.name, error.code, status))
    prompt = prompt or {}
    output_nodes = output_nodes_of(prompt, services.engines.known_catalog)
    return json_response(refusal(error, prompt, output_nodes), status, headers_of(error))


def plain_refusal(kind: str, message: str) -> web.Response:
    """Return the response for a body that ComfyUI refuses before it reads the prompt."""
    error: Mapping[str, object] = {"type": kind, "message": message, "details": message, "extra_info": {}}
    return json_response({"error": error, "node_errors": {}}, REFUSED)
