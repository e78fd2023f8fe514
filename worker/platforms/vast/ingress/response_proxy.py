"""The gateway's answer on its way to the client: whole, with its status, and streams as they come."""

from __future__ import annotations

import logging
from collections.abc import Callable

import orjson
from aiohttp import ClientError, ClientResponse, hdrs, web

from worker.app import App
from worker.errors import NotFound, WorkerUnavailable
from worker.job import JobState
from worker.platforms.vast.ingress.refusal import refusal
from worker.platforms.vast.ingress.request_context import VISIT, JobHandle
from worker.sse import EventParser

log = logging.getLogger(__name__)

PASSED_ON = (hdrs.CONTENT_TYPE, hdrs.CACHE_CONTROL, hdrs.LOCATION, hdrs.RETRY_AFTER, "X-Accel-Buffering")
IN_PIECES_FROM = 1024 * 1024
"""Larger bodies, and those of unknown length, are passed on in pieces instead of being held."""


async def relay(
    request: web.Request, answer: ClientResponse, watch: Callable[[bytes], None] | None = None
) -> web.StreamResponse:
    """Pass on the gateway's answer; `watch` sees each piece of a stream. One that breaks off is no error."""
    headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    response = web.StreamResponse(status=answer.status, headers=headers)
    try:
        async with answer:
            if answer.content_length is not None and answer.content_length < IN_PIECES_FROM:
                return web.Response(body=await answer.read(), status=answer.status, headers=headers)
            response.content_length = answer.content_length
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                if watch:
                    watch(piece)
                await response.write(piece)
            await response.write_eof()
    except (ClientError, ConnectionError) as error:
        log.warning("%s: the answer broke off: %s", request.path, error)
        if not response.prepared:
            return refusal(WorkerUnavailable("the gateway broke off its answer"))
        if request.transport is not None:
            request.transport.close()
    return response


class ResponseProxy:
    """The SDK's `response_generator`: passes the answer on, and puts right what the SDK is about to count."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, request: web.Request, answer: ClientResponse) -> web.StreamResponse:
        context = VISIT.get()
        opening = Opening()
        response = await relay(request, answer, opening.watch)
        context.status = response.status
        # Nothing is awaited from here on: when this returns the SDK counts the workload as served, in the same step.
        if answer.status == 202 and isinstance(response, web.Response) and isinstance(response.body, bytes):
            context.job_handle = job_handle_of(response.body)
        if (
            response.status >= 400
            or context.job_handle
            or (opening.job_handle and not self._completed(opening.job_handle))
        ):
            context.ledger.discount(context.workload, rejected=context.rejected)
        return response

    def _completed(self, job_handle: JobHandle) -> bool:
        """How the job behind a stream ended: the stream itself is 200 in any case."""
        try:
            return self._app.manager.find(job_handle.job_id, job_handle.token).state is JobState.COMPLETED
        except NotFound:
            return False


class Opening:
    """Reads a stream up to its first event, which says what job it is of."""

    LONGEST = 16 * 1024

    def __init__(self) -> None:
        self.job_handle: JobHandle | None = None
        self._parser = EventParser()
        self._read = 0

    def watch(self, piece: bytes) -> None:
        if self._read > self.LONGEST:
            return
        self._read += len(piece)
        if events := self._parser.feed(piece):
            self.job_handle = job_handle_of(events[0].data)
            self._read = self.LONGEST + 1


def job_handle_of(body: bytes) -> JobHandle | None:
    """From a 202 of any dialect, or the first event of a stream."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    match found:
        case {"id": str(job_id), "token": str(token)}:
            return JobHandle(job_id, token)
    return None
