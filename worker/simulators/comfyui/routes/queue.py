"""Routes for the queue and the running prompt: GET and POST /queue, POST /interrupt and POST /free."""

from __future__ import annotations

import orjson
from aiohttp import web

from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.server.responses import empty_response, json_object, json_response


def routes() -> list[web.RouteDef]:
    return [
        web.get("/queue", get_queue),
        web.post("/queue", edit_queue),
        web.post("/interrupt", interrupt),
        web.post("/free", free),
    ]


async def get_queue(request: web.Request) -> web.Response:
    """Return the running and the pending prompts."""
    running, pending = request.app[ENGINE].queue.snapshot()
    return json_response(
        {"queue_running": [item.as_json() for item in running], "queue_pending": [item.as_json() for item in pending]}
    )


async def edit_queue(request: web.Request) -> web.Response:
    """Remove all pending prompts (`{"clear": true}`) or some (`{"delete": [ids]}`).

    The response does not say which prompts were removed.
    """
    queue = request.app[ENGINE].queue
    body = await json_object(request)
    if body.get("clear"):
        queue.clear()
    for prompt_id in _ids_to_delete(body.get("delete")):
        queue.delete(prompt_id)
    return empty_response()


async def interrupt(request: web.Request) -> web.Response:
    """Interrupt the running prompt. With `prompt_id` in the body, only if it is that one.

    A body that is not a JSON object is ignored.
    """
    engine = request.app[ENGINE]
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        body = {}
    prompt_id = body.get("prompt_id") if isinstance(body, dict) else None
    if prompt_id:
        engine.queue.if_running(str(prompt_id), engine.executor.interrupt.set)
    else:
        engine.executor.interrupt.set()
    return empty_response()


async def free(request: web.Request) -> web.Response:
    """Request that models are unloaded or memory is freed after the running prompt."""
    body = await json_object(request)
    request.app[ENGINE].queue.request_free(
        unload_models=bool(body.get("unload_models")), free_memory=bool(body.get("free_memory"))
    )
    return empty_response()


def _ids_to_delete(ids: object) -> list[str]:
    """Return the ids to delete. A string counts as a list of its characters, as in ComfyUI."""
    return [str(item) for item in ids] if isinstance(ids, list | str) else []
