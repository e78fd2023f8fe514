"""Routes that start no job, which the worker of a backend answers."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from worker.api.request_body import strict_of
from worker.errors import BackendError, NoBackend, NotFound
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.requests import receive
from worker.proxy.services import caller_of, proxy_of

STRICT = "?strict=true"


async def validate(request: web.Request) -> web.Response:
    """Handle `POST /validate`: list all problems of a workflow, as the first backend that answers sees it."""
    return await _answered(request)


async def convert(request: web.Request) -> web.Response:
    """Handle `POST /convert`: convert a file of the editor to a prompt, with the nodes of the first backend."""
    return await _answered(request)


async def list_handlers(request: web.Request) -> web.Response:
    """Handle `GET /handlers`: list the functions of the team's app, as the first backend that answers has them."""
    return await _answered(request)


async def _answered(request: web.Request) -> web.Response:
    """Return the answer of the first backend that has one. Raises NoBackend, and NotFound if none has such routes."""
    services, caller, body, path = proxy_of(request), caller_of(request), None, request.path
    if request.method == "POST":
        services.callers.count_request(caller)
        body = (await receive(request, services.spool, services.limits)).json
        path += STRICT if strict_of(request) else ""
    slots = [slot for slot in services.slots.values() if caller.may_use(slot.name)]
    problem: BackendError | None = None
    for slot in _able(slots):
        try:
            async with slot.backend.ask(request.method, path, body) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)
        except BackendError as error:
            problem = error
    if problem is not None:
        raise NoBackend(f"no backend answers {request.path} now: {problem}")
    raise NotFound(f"no backend of this proxy answers {request.path}: that takes a worker at a URL, or `local:`")


def _able(slots: list[BackendSlot]) -> Iterator[BackendSlot]:
    """Yield the backends that can answer, those that respond first."""
    able = [slot for slot in slots if slot.backend.capabilities.answers]
    yield from sorted(able, key=lambda slot: bool(slot.problem))
