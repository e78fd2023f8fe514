"""The response to a request from Vast's router, and the corrections of what the SDK counts for it."""

from __future__ import annotations

import logging
import math

from aiohttp import ClientError, ClientResponse, hdrs, web

from worker.api.auth import LOCAL
from worker.api.errors import respond
from worker.api.generate import STREAM_ROUTE
from worker.api.services import SAFE_HEADERS
from worker.app import App
from worker.errors import WorkerError, WorkerUnavailable
from worker.events import CostDiffered
from worker.job import Job, JobState
from worker.platforms.vast.ingress.refusal import refusal
from worker.platforms.vast.ingress.request_context import CONTEXT, RequestContext
from worker.platforms.vast.ingress.work_routes import accept
from worker.platforms.vast.reporting.ledger import Ledger

log = logging.getLogger(__name__)

FORWARDED_HEADERS = (
    *(hdrs.CONTENT_TYPE, hdrs.CONTENT_DISPOSITION, hdrs.CACHE_CONTROL, hdrs.LOCATION, hdrs.RETRY_AFTER),
    *SAFE_HEADERS,
    "X-Accel-Buffering",
)
STREAM_FROM = 1024 * 1024
"""Bodies from this many bytes on, and those of unknown length, are streamed instead of being held in memory."""

SAME_COST = 0.01
"""Largest part by which a client's cost may differ from the units and still count as equal."""


async def forward_response(request: web.Request, upstream: ClientResponse) -> web.StreamResponse:
    """Send the gateway's response to the client, and return it.

    If the gateway's response breaks before anything was sent, return a 503. If it breaks later, close the connection to
    the client, which cannot receive another status.
    """
    headers = {name: upstream.headers[name] for name in FORWARDED_HEADERS if name in upstream.headers}
    response = web.StreamResponse(status=upstream.status, headers=headers)
    try:
        async with upstream:
            if upstream.content_length is not None and upstream.content_length < STREAM_FROM:
                return web.Response(body=await upstream.read(), status=upstream.status, headers=headers)
            response.content_length = upstream.content_length
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
    except (ClientError, ConnectionError) as error:
        log.warning("%s: the gateway's response broke: %s", request.path, error)
        if not response.prepared:
            return refusal(WorkerUnavailable("the gateway's response broke"))
        if request.transport is not None:
            request.transport.close()
    return response


class InProcessSession:
    """Replaces the SDK's HTTP session to its model server, which is this process.

    The SDK posts a request to the model server after counting it as started, and passes the response to its
    `response_generator`. Here the `response_generator` (`Responder`) does all the work: it submits the job, waits for
    it, and returns the response to the client without another HTTP hop.
    """

    async def post(self, url: str, json: object) -> None:
        """Do nothing, because there is nothing to send."""

    async def close(self) -> None:
        """Do nothing, because nothing was opened."""


class Responder:
    """The SDK's `response_generator`: runs a request's job, and corrects what the SDK is about to count."""

    def __init__(self, app: App, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger

    async def __call__(self, _: object, __: object) -> web.StreamResponse:
        """Run the job of the present request and return the response. The SDK's arguments are not needed."""
        context = CONTEXT.get()
        response = await respond(context.request, lambda _: self._work(context), lambda: self._app.services)
        context.status = response.status
        # Do not await from here on: right after this returns, the SDK counts the workload as served.
        context.job_continues = response.status == 202
        served = response.status < 400 and not context.job_continues and _stream_completed(context)
        if not served:
            self._ledger.discount(context.workload, rejected=context.rejected)
        return response

    async def _work(self, context: RequestContext) -> web.StreamResponse:
        """Submit the job and return its response. Raises the error of an invalid request."""
        self._app.services.access.count_request(LOCAL)
        if isinstance(context.submission, WorkerError):
            raise context.submission
        context.job = await accept(self._app, context.submission)
        context.arriving.close()
        self._carry_units(context, context.job)
        self._compare_cost(context, context.job)
        return await context.route.respond(context.request, self._app.services, context.job)

    def _carry_units(self, context: RequestContext, job: Job) -> None:
        """Give a request the units of its job if the equal one that had them ended before there was a job."""
        first = context.first
        if first is not None and first.has_ended and first.job is None:
            first.job, context.workload = job, job.workload
            self._ledger.carry(context.auth_data, job.workload)

    def _compare_cost(self, context: RequestContext, job: Job) -> None:
        """Notify the observers if the client told the router another cost than the units of its request (T21).

        The cost of a request that has another one's job says nothing about its units.
        """
        cost, units = context.auth_data.cost, context.workload
        if units and not math.isclose(cost, units, rel_tol=SAME_COST):
            log.debug("job %s: the client's cost is %g, and the request has %g units", job.id, cost, units)
            self._app.observers.notify(CostDiffered(job.ref, cost, units))


def _stream_completed(context: RequestContext) -> bool:
    """Return whether a stream's job completed, because the status of a stream is always 200.

    Return True for a request that is no stream.
    """
    return context.route is not STREAM_ROUTE or (context.job is not None and context.job.state is JobState.COMPLETED)
