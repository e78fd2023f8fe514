"""The queue and the running prompt: looking, deleting, interrupting, freeing."""

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
    running, pending = request.app[ENGINE].queue.snapshot()
    return json_response(
        {"queue_running": [item.as_json() for item in running], "queue_pending": [item.as_json() for item in pending]}
    )


async def edit_queue(request: web.Request) -> web.Response:
    """`{"clear": true}` and `{"delete": [ids]}`; only pending prompts, and nobody is told which."""
    queue = request.app[ENGINE].queue
    body = await json_object(request)
    if body.get("clear"):
        queue.clear()
    for prompt_id in _listed(body.get("delete")):
        queue.delete(prompt_id)
    return empty_response()


async def interrupt(request: web.Request) -> web.Response:
    """Stop the running prompt, or with `prompt_id` only that one; a body that isn't an object counts as none."""
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
    body = await json_object(request)
    request.app[ENGINE].queue.request_free(
        unload_models=bool(body.get("unload_models")), free_memory=bool(body.get("free_memory"))
    )
    return empty_response()


def _listed(ids: object) -> list[str]:
    """Ids to delete; of a string each character is taken for one, as ComfyUI does."""
    return [str(item) for item in ids] if isinstance(ids, list | str) else []
