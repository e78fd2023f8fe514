"""What ran: GET and POST /history."""

from __future__ import annotations

from aiohttp import web

from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.server.responses import empty, json_answer, json_object, trouble


def routes() -> list[web.RouteDef]:
    return [
        web.get("/history", show),
        web.post("/history", change),
        web.get("/history/{prompt_id}", show_one),
    ]


async def show(request: web.Request) -> web.Response:
    """A window of the entries, oldest first."""
    max_items = _integer(request, "max_items")
    offset = _integer(request, "offset")
    entries = request.app[ENGINE].history.window(max_items, -1 if offset is None else offset)
    return json_answer({prompt_id: entry.listed() for prompt_id, entry in entries.items()})


async def show_one(request: web.Request) -> web.Response:
    """One entry by its id; `{}` for any that is not there, for whatever reason."""
    prompt_id = request.match_info["prompt_id"]
    entry = request.app[ENGINE].history.get(prompt_id)
    return json_answer({} if entry is None else {prompt_id: entry.listed()})


async def change(request: web.Request) -> web.Response:
    """`{"clear": true}` and `{"delete": [ids]}`."""
    history = request.app[ENGINE].history
    body = await json_object(request)
    if body.get("clear"):
        history.clear()
    ids = body.get("delete")
    if isinstance(ids, list | str):
        history.delete([str(item) for item in ids])
    return empty()


def _integer(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        trouble(f"{name} is no integer")
