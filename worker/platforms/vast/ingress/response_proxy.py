"""The answer to a request from Vast's router, and what the SDK has to count of it."""

from __future__ import annotations

import logging

from aiohttp import ClientError, ClientResponse, hdrs, web

from worker.api.auth import LOCAL
from worker.api.errors import respond
from worker.api.generate import STREAM
from worker.api.services import SAFE_HEADERS
from worker.app import App
from worker.errors import WorkerError, WorkerUnavailable
from worker.job import JobState
from worker.platforms.vast.ingress.refusal import refusal
from worker.platforms.vast.ingress.request_context import CONTEXT, RequestContext
from worker.platforms.vast.reporting.ledger import Ledger

log = logging.getLogger(__name__)

PASSED_ON = (
    *(hdrs.CONTENT_TYPE, hdrs.CONTENT_DISPOSITION, hdrs.CACHE_CONTROL, hdrs.LOCATION, hdrs.RETRY_AFTER),
    *SAFE_HEADERS,
    "X-Accel-Buffering",
)
IN_PIECES_FROM = 1024 * 1024
"""Larger bodies, and those of unknown length, are passed on in pieces instead of being held."""


async def forward_response(request: web.Request, answer: ClientResponse) -> web.StreamResponse:
    """Pass on the gateway's answer. One that breaks off is no error."""
    headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    response = web.StreamResponse(status=answer.status, headers=headers)
    try:
        async with answer:
            if answer.content_length is not None and answer.content_length < IN_PIECES_FROM:
                return web.Response(body=await answer.read(), status=answer.status, headers=headers)
            response.content_length = answer.content_length
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
    except (ClientError, ConnectionError) as error:
        log.warning("%s: the answer broke off: %s", request.path, error)
        if not response.prepared:
            return refusal(WorkerUnavailable("the gateway broke off its answer"))
        if request.transport is not None:
            request.transport.close()
    return response


class InProcessSession:
    """Takes the place of the SDK's HTTP session to its model server, which is this process.

    The SDK posts when it has counted a request as begun, and passes the answer to its `response_generator`. That one
    does the work: a job is submitted and awaited there, and its answer goes to the client without another hop.
    """

    async def post(self, url: str, json: object) -> None:
        """Return at once: there is nothing to send."""

    async def close(self) -> None:
        """Nothing was opened."""


class Responder:
    """The SDK's `response_generator`: does the work of a request, and puts right what the SDK is about to count."""

    def __init__(self, app: App, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger

    async def __call__(self, _: object, __: object) -> web.StreamResponse:
        context = CONTEXT.get()
        response = await respond(context.request, lambda _: self._work(context), lambda: self._app.services)
        context.status = response.status
        # Nothing is awaited from here on: when this returns the SDK counts the workload as served, in the same step.
        context.goes_on = response.status == 202
        if response.status >= 400 or context.goes_on or not _completed(context):
            self._ledger.discount(context.workload, rejected=context.rejected)
        return response

    async def _work(self, context: RequestContext) -> web.StreamResponse:
        self._app.services.access.count_request(LOCAL)
        if isinstance(context.submission, WorkerError):
            raise context.submission
        context.job = await self._app.intake.accept(context.submission)
        return await context.way.respond(context.request, self._app.services, context.job)


def _completed(context: RequestContext) -> bool:
    """How the job behind a stream ended: the stream itself is 200 in any case."""
    return context.way is not STREAM or (context.job is not None and context.job.state is JobState.COMPLETED)
