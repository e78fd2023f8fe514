"""Routes for the history of finished prompts: GET and POST /history."""

from __future__ import annotations

from aiohttp import web

from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.server.responses import empty_response, fail_request, json_object, json_response


def routes() -> list[web.RouteDef]:
    return [
        web.get("/history", list_history),
        web.post("/history", edit_history),
        web.get("/history/{prompt_id}", get_history),
    ]


async def list_history(request: web.Request) -> web.Response:
    """Return the entries, oldest first, limited by `max_items` and `offset`."""
    max_items = _integer(request, "max_items")
    offset = _integer(request, "offset")
    entries = request.app[ENGINE].history.window(max_items, -1 if offset is None else offset)
    return json_response({prompt_id: entry.as_json() for prompt_id, entry in entries.items()})


async def get_history(request: web.Request) -> web.Response:
    """Return one entry by its prompt id, or `{}` when there is none."""
    prompt_id = request.match_info["prompt_id"]
    entry = request.app[ENGINE].history.get(prompt_id)
    return json_response({} if entry is None else {prompt_id: entry.as_json()})


async def edit_history(request: web.Request) -> web.Response:
    """Delete all entries (`{"clear": true}`) or some (`{"delete": [ids]}`)."""
    history = request.app[ENGINE].history
    body = await json_object(request)
    if body.get("clear"):
        history.clear()
    ids = body.get("delete")
    if isinstance(ids, list | str):  # a string counts as a list of its characters, as in ComfyUI
        history.delete([str(item) for item in ids])
    return empty_response()


def _integer(request: web.Request, name: str) -> int | None:
    """Return a query parameter as an integer, or None when it is missing. An invalid one fails the request."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        fail_request(f"the query parameter {name} is not an integer")
