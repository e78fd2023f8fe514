"""`/history`: the caller's prompts that have ended."""

from __future__ import annotations

from aiohttp import web

from worker.api.comfy.callers import prompts_of
from worker.api.comfy.client_prompts import ClientPrompt
from worker.api.edge.prefer import wait_if_preferred
from worker.api.request_body import read_small_object
from worker.api.services import SAFE_HEADERS, services_of
from worker.errors import InvalidField


async def get_history(request: web.Request) -> web.Response:
    """Handle `GET /history`: return the entries in the order of acceptance, with `max_items` and `offset`."""
    ended = list(prompts_of(request).ended())
    most, offset = _number(request, "max_items"), _number(request, "offset")
    if most is not None and offset is not None and offset >= 0:
        ended = ended[offset : offset + max(most, 0)]
    elif most is not None:
        ended = ended[-most:] if most > 0 else []
    elif offset is not None and offset >= 0:
        ended = ended[offset:]
    return _response(request, ended)


async def get_entry(request: web.Request) -> web.Response:
    """Handle `GET /history/{prompt_id}`: return the entry, or an empty object while the prompt has not ended.

    With `Prefer: wait=SECONDS` (RFC 7240), the response is sent when the prompt ends, at the latest after this time.
    """
    prompt = prompts_of(request).by_id.get(request.match_info["prompt_id"])
    if prompt is not None:
        await wait_if_preferred(request, prompt.job)
    return _response(request, [prompt] if prompt and prompt.job.state.ended and not prompt.hidden else [])


async def post_history(request: web.Request) -> web.Response:
    """Handle `POST /history`: remove entries of the caller. Their files can still be viewed."""
    prompts, body = prompts_of(request), await read_small_object(request) or {}
    ids = body.get("delete")
    for prompt in prompts.ended():
        if body.get("clear") or (isinstance(ids, list) and prompt.id in ids):
            prompt.hidden = True
    return web.Response()


def _response(request: web.Request, ended: list[ClientPrompt]) -> web.Response:
    """Return a response with the entries of prompts by their ids."""
    body = services_of(request).comfy.prompts.history(ended)
    return web.Response(body=body, headers=SAFE_HEADERS, content_type="application/json")


def _number(request: web.Request, name: str) -> int | None:
    """Return a number in the query, or None if it is not there. Raises InvalidField."""
    text = request.query.get(name)
    try:
        return int(text[:20]) if text else None
    except ValueError:
        raise InvalidField(f"the query parameter {name}={text!r:.80} is not an integer") from None
