"""Every exchange passes here: it gets the faults on demand, and is logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from worker.simulators.runpod.call_log import RunpodCall, header_pairs, kept
from worker.simulators.runpod.control_api import PREFIX
from worker.simulators.runpod.endpoint_state import EndpointState
from worker.simulators.runpod.fault_config import FaultRule, RunpodFault
from worker.simulators.runpod.job_queue.client_refused import ClientRefused
from worker.simulators.runpod.job_queue.worker_api import FAULT, TAKEN

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NO_RESPONSE = 0
OPERATION_PART = 3
"""Position of the operation in a path like `/v2/ENDPOINT/OPERATION/...`."""


def exchange_middleware(state: EndpointState) -> Middleware:
    """Return the middleware of an endpoint."""

    @web.middleware
    async def exchange(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(PREFIX):
            return await handler(request)
        at, started = time.time(), time.monotonic()
        body = await request.read()
        response: web.StreamResponse | None = None
        try:
            response = await _answer(state, request, handler)
        finally:
            reached = response is not None and request.transport is not None and not request.transport.is_closing()
            if not reached:
                _put_back(state, request)
            call = RunpodCall(
                at=at,
                held_s=time.monotonic() - started,
                method=request.method,
                path=request.rel_url.raw_path_qs,
                headers=header_pairs(request.raw_headers),
                body=kept(body),
                size=len(body),
                status=response.status if response is not None and reached else NO_RESPONSE,
                answer=_text(response),
            )
            state.calls.add(call)
        return response

    return exchange


async def _answer(state: EndpointState, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request with the fault that is configured for it."""
    parts = request.path.split("/")
    operation = parts[OPERATION_PART] if len(parts) > OPERATION_PART else ""
    rule = state.faults.next(operation, request.match_info.get("worker", ""), request.match_info.get("job", ""))
    if rule is None:
        return await _handle(state, request, handler)
    return await _fail(state, request, handler, rule)


async def _fail(state: EndpointState, request: web.Request, handler: Handler, rule: FaultRule) -> web.StreamResponse:
    """Handle a request with a fault."""
    request[FAULT] = rule
    if rule.fault is RunpodFault.STATUS:
        return web.Response(status=rule.status)
    if rule.fault is RunpodFault.CLOSED:
        return _closed(request)
    if rule.fault is RunpodFault.STALL:
        await asyncio.sleep(rule.seconds)
    response = await _handle(state, request, handler)
    if rule.fault is RunpodFault.LATE:
        await asyncio.sleep(rule.seconds)
    if rule.fault is RunpodFault.CANCEL:
        for job in request.get(TAKEN, []):
            state.jobs.cancel(job, state.clock())
        state.changes.notify()
    return _closed(request) if rule.fault is RunpodFault.DROPPED else response


def _closed(request: web.Request) -> web.Response:
    """Close the connection, and return a response that is never sent."""
    if request.transport:
        request.transport.close()
    return web.Response()


async def _handle(state: EndpointState, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request without a fault. Errors become responses."""
    if request.match_info.get("endpoint", state.endpoint) != state.endpoint:
        return web.json_response({"error": "endpoint not found"}, status=404)
    try:
        return await handler(request)
    except ClientRefused as error:
        return web.Response(status=error.status, text=error.body, content_type="application/json")
    except web.HTTPException as error:
        return web.Response(status=error.status, text=error.text)


def _put_back(state: EndpointState, request: web.Request) -> None:
    """Queue the jobs again that a lost response to a take had, if RunpodAssumptions says so."""
    jobs = request.get(TAKEN, [])
    if jobs and state.assumptions.requeues_undelivered_jobs:
        state.jobs.put_back(jobs, request.match_info["worker"])
        state.changes.notify()


def _text(response: web.StreamResponse | None) -> str:
    """Return the body of a response as text."""
    body = response.body if isinstance(response, web.Response) else None
    return kept(body) if isinstance(body, bytes) else ""
