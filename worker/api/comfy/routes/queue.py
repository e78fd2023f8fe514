"""The caller's prompts that wait or run: `/queue`, `/prompt`, `/interrupt`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web

from worker.api.comfy.callers import prompts_of, scope_of
from worker.api.comfy.client_prompts import ClientPrompt
from worker.api.request_body import read_small_object
from worker.api.services import Services, json_response, services_of
from worker.errors import InvalidJson


async def get_prompt(request: web.Request) -> web.Response:
    """Handle `GET /prompt`: return the number of the caller's prompts that wait or run."""
    scope = scope_of(request)
    return json_response(services_of(request).comfy.prompts.status(scope).data["status"])


async def get_queue(request: web.Request) -> web.Response:
    """Handle `GET /queue`: return the caller's prompts that run and wait."""
    unfinished = list(prompts_of(request).unfinished())
    return json_response(
        {
            "queue_running": [prompt.queue_item for prompt in unfinished if prompt.running],
            "queue_pending": [prompt.queue_item for prompt in unfinished if not prompt.running],
        }
    )


async def post_queue(request: web.Request) -> web.Response:
    """Handle `POST /queue`: cancel prompts of the caller that wait. They leave no entry in the history."""
    services, scope, body = services_of(request), scope_of(request), await read_small_object(request) or {}
    pending = [prompt for prompt in services.comfy.prompts.of(scope).unfinished() if not prompt.running]
    chosen = pending if body.get("clear") else _named(pending, body.get("delete"))
    for prompt in chosen:
        prompt.hidden = True
    await _cancel(services, chosen)
    if chosen:
        services.comfy.prompts.announce_queue(scope)
    return web.Response()


async def interrupt(request: web.Request) -> web.Response:
    """Handle `POST /interrupt`: cancel the caller's prompt with this id, or without an id those that run."""
    services, prompts = services_of(request), prompts_of(request)
    try:
        body = await read_small_object(request) or {}
    except InvalidJson:  # ComfyUI accepts any body
        body = {}
    prompt_id, unfinished = body.get("prompt_id"), list(prompts.unfinished())
    await _cancel(
        services, [prompt for prompt in unfinished if (prompt.id == prompt_id if prompt_id else prompt.running)]
    )
    return web.Response()


async def cancel(request: web.Request) -> web.Response:
    """Handle `POST /api/jobs/{prompt_id}/cancel`: cancel a prompt, and return whether it waited or ran."""
    services, prompts = services_of(request), prompts_of(request)
    chosen = _named(prompts.unfinished(), [request.match_info["prompt_id"]])
    await _cancel(services, chosen)
    return json_response({"cancelled": bool(chosen)})


async def free(request: web.Request) -> web.Response:
    """Handle `POST /free`. It has no effect: the worker frees memory itself, and others use the engine, too."""
    scope_of(request)
    return web.Response()


def _named(prompts: Iterable[ClientPrompt], ids: object) -> list[ClientPrompt]:
    """Return those prompts whose id is in a list. Other values than lists name none, as in ComfyUI."""
    return [prompt for prompt in prompts if isinstance(ids, list) and prompt.id in ids]


async def _cancel(services: Services, prompts: list[ClientPrompt]) -> None:
    """Cancel prompts, and wait until they have ended. A node of them may still run."""
    await asyncio.gather(*(services.manager.cancel(prompt.job) for prompt in prompts))
