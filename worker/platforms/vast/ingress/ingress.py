"""The routes of Vast's port: the SDK's own handlers, each behind checks that the SDK does not make."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.api.auth import LOCAL
from worker.api.edge.unknown_routes import route_hint
from worker.api.generate import GenerateRoute
from worker.api.request_body import api_key_of
from worker.app import App
from worker.bodies import ScannedBody, SpoolFolder
from worker.dialects import NATIVE, detect
from worker.errors import (
    ClientError,
    Draining,
    Forbidden,
    InternalError,
    InvalidJson,
    NotFound,
    WorkerError,
    WorkerUnavailable,
)
from worker.events import RequestRefused
from worker.intake import Caller, Submission
from worker.intake.handler_calls import CallSubmission
from worker.job import Job, JobState
from worker.load.workload import FLOOR
from worker.platforms.vast.ingress.envelope_reader import EnvelopeReader, check_uncompressed
from worker.platforms.vast.ingress.refusal import refusal
from worker.platforms.vast.ingress.request_context import CONTEXT, HeaderOnly, RequestContext
from worker.platforms.vast.ingress.signature_check import AuthData, Envelope, SignatureCheck, repeat_key
from worker.platforms.vast.ingress.work_routes import HANDLERS, SYNC, WORK_ROUTES, read_work, units_of
from worker.platforms.vast.reporting.ledger import Ledger
from worker.platforms.vast.reporting.new_work import MetricsEntry
from worker.platforms.vast.reporting.reported_load import ReportedLoad

log = logging.getLogger(__name__)

SESSION_PATHS = ("/session/create", "/session/end", "/session/get", "/session/health")
"""Routes of the SDK's sessions, which would let anyone send requests through the worker (T24)."""
KEY_S = 5.0
"""Seconds from the start within which the SDK fetches the public key. A router sends requests to a worker that was
restarted at once, so the first ones may arrive before the key."""


class Ingress:
    """Checks each request before the SDK handles and counts it: its encoding, its size, its signature, and the queue.

    `report_lost_key` is called with a message when the SDK rejects a valid signature, because it still has no public
    key after `KEY_S`.
    """

    def __init__(
        self,
        app: App,
        signature_check: SignatureCheck,
        ledger: Ledger,
        load: ReportedLoad,
        report_lost_key: Callable[[str], None],
    ) -> None:
        self._app = app
        body_s = app.settings.connections.body_s
        self._reader = EnvelopeReader(signature_check, app.intake.limits, body_s)
        self._ledger = ledger
        self._load = load
        self._report_lost_key = report_lost_key
        self._made_at = time.monotonic()
        self._open_sdk_requests = 0
        """Number of requests that the SDK is handling."""
        self._tasks_until_job_end: set[asyncio.Task[None]] = set()
        """Tasks that wait for the end of a job whose request already has its response."""
        self._without_job: dict[str, RequestContext] = {}
        """The requests whose job does not exist yet, by its id."""
        self._idle = asyncio.Event()
        """Set while the SDK handles no request."""
        self._idle.set()

    def routes(self, work: Sequence[web.RouteDef], others: Sequence[web.RouteDef]) -> list[web.RouteDef]:
        """Return the route table of Vast's port.

        `work` are the SDK's routes for jobs, and `others` are our own. aiohttp uses the first route that matches, so
        routes that the SDK adds after these are never reached.
        """
        sync = next(route.handler for route in work if route.path == SYNC)
        return [
            *(web.route("*", path, _refusing_compressed_bodies(self._reject_session)) for path in SESSION_PATHS),
            *(
                web.post(route.path, _refusing_compressed_bodies(self._checked(route.path, route.handler)))
                for route in work
            ),
            web.post(HANDLERS, _refusing_compressed_bodies(self._checked(HANDLERS, sync))),
            *(web.route(route.method, route.path, _refusing_compressed_bodies(route.handler)) for route in others),
            web.route("*", "/{path:.*}", _refusing_compressed_bodies(self._reject_unknown)),
        ]

    async def read_payload(self, request: web.Request) -> Mapping[str, Any]:
        """Return the payload of a request that starts no job, such as `/result`.

        If the request came through Vast's router, it is reported as done. The body of any other request is its payload.
        Raises BodyTooLarge and InvalidJson.
        """
        async with SpoolFolder(self._app.intake.spool) as folder:
            received = await self._reader.read(request, folder, must_be_signed=False)
            if received.auth_data is not None:
                self._ledger.record_done(received.auth_data)
            envelope = received.envelope
            body = envelope.body if envelope.payload is None else envelope.payload
            await body.restore_texts()
            return dict(body.value)

    async def wait_until_idle(self) -> None:
        """Wait until every request has its response and no job is running any longer."""
        await self._idle.wait()
        await asyncio.gather(*self._tasks_until_job_end)

    def _checked(self, path: str, handler: Handler) -> Handler:
        """Return a handler for one of the SDK's routes that checks a request and then calls the SDK's `handler`."""

        async def handle(request: web.Request) -> web.StreamResponse:
            async with SpoolFolder(self._app.intake.spool) as folder:
                try:
                    received = await self._reader.read(request, folder, must_be_signed=True)
                except WorkerError as error:
                    self._notify_refusal(request, error)
                    # No report to the autoscaler, because the router did not send this request.
                    return refusal(error)
                envelope, auth_data = received.envelope, received.auth_data
                assert auth_data is not None  # noqa: S101 - because of `must_be_signed`
                context = await self._context(request, WORK_ROUTES[path], auth_data, envelope.payload)
                try:
                    self._admit(envelope, context.workload)
                except WorkerError as error:
                    self._notify_refusal(request, error, envelope.payload.value if envelope.payload else None)
                    self._report_refusal(context, error)
                    return refusal(error, envelope.payload)
                return await self._forward(handler, context, envelope.raw_auth_data)

        return handle

    async def _context(
        self, request: web.Request, route: GenerateRoute, auth_data: AuthData, payload: ScannedBody | None
    ) -> RequestContext:
        """Parse a request and return its context. An invalid request has an error there, and the least workload."""
        if payload is None:
            return RequestContext(request, auth_data, route, InvalidJson("`payload` has to be a JSON object"), FLOOR)
        try:
            submission = await self._parse(request, route, auth_data, payload)
            workload = await units_of(self._app, submission)
            first = self._without_job.get(submission.request.job_id or "")
            is_first = first is None and self._app.manager.would_start(submission.request, LOCAL)
            return RequestContext(request, auth_data, route, submission, workload if is_first else 0.0, first=first)
        except WorkerError as error:
            return RequestContext(request, auth_data, route, error, FLOOR)
        except Exception:
            log.exception("a request cannot be parsed because of an unexpected error")
            return RequestContext(request, auth_data, route, InternalError("an unexpected error in the worker"), FLOOR)

    async def _parse(
        self, request: web.Request, route: GenerateRoute, auth_data: AuthData, payload: ScannedBody
    ) -> Submission | CallSubmission:
        """Return the request as the intake reads it. Raises the error of an invalid request."""
        base_url = self._app.settings.server.public_url.rstrip("/")
        key = repeat_key(auth_data, payload)
        caller = Caller(LOCAL, base_url, repeat_key=key, collectable=route.collectable, api_key=api_key_of(request))
        return await read_work(self._app, request, route, payload, caller)

    def _admit(self, envelope: Envelope, workload: float) -> None:
        """Raise an error when a request has to be rejected before the SDK counts it. Otherwise, do nothing."""
        if envelope.payload is None:
            raise InvalidJson("`payload` has to be a JSON object")
        if envelope.in_session:
            raise Forbidden("this worker serves no sessions")
        self._app.admit(workload)

    def _notify_refusal(
        self, request: web.Request, error: WorkerError, payload: Mapping[str, Any] | None = None
    ) -> None:
        """Notify the observers of a rejected request. The dialect is detected from `payload`."""
        dialect = NATIVE if payload is None else detect(payload)
        self._app.observers.notify(RequestRefused(request.path, dialect.name, error.code, error.status))

    def _report_refusal(self, context: RequestContext, error: WorkerError) -> None:
        """Add a rejected request to the next report to the autoscaler.

        It is reported as done when the client is at fault, and otherwise as work that was rejected.
        """
        log.debug("request %d: rejected, %s", context.auth_data.request_idx, error.code)
        if isinstance(error, ClientError):
            self._ledger.record_done(context.auth_data)
        else:
            self._ledger.record_rejected(context.auth_data, context.workload)

    async def _forward(self, handler: Handler, context: RequestContext, auth_data: object) -> web.StreamResponse:
        """Call the SDK's handler, correct what the SDK counted, and return the response.

        The SDK itself responds with 401 if it has no public key, and with 500 if it fails.
        """
        CONTEXT.set(context)
        log.debug("request %d: forwarded, workload %g", context.auth_data.request_idx, context.workload)
        with self._counting(), context.arriving:
            context.arriving.enter_context(self._load.arriving(context.workload))
            context.arriving.enter_context(self._waiting_for_job(context))
            response = await handler(cast(web.Request, HeaderOnly(context.request, auth_data)))
            context.has_ended = True
            # The SDK has just added the request to its deletions. Correct them before anything is awaited.
            if context.job is not None and (context.job_continues or (context.has_left and context.workload)):
                self._keep_in_load(context, context.job)
            if context.rejected:
                self._ledger.mark_rejected(context.auth_data)
            self._ledger.report_soon()
        if context.status is None and response.status == 401:
            if time.monotonic() - self._made_at < KEY_S:
                return refusal(WorkerUnavailable("this worker cannot check signatures yet"))
            self._report_lost_key("it has no public key and refuses every request")
            return refusal(Draining("this worker cannot check signatures and is shutting down"))
        if context.status is None and response.status == 500:
            return refusal(WorkerUnavailable("the gateway did not respond"))
        return response

    @contextmanager
    def _waiting_for_job(self, context: RequestContext) -> Iterator[None]:
        """Let requests that are equal to this one find it while the context lasts."""
        job_id = None if isinstance(context.submission, WorkerError) else context.submission.request.job_id
        if job_id is None or not context.workload:
            yield
            return
        self._without_job[job_id] = context
        try:
            yield
        finally:
            del self._without_job[job_id]

    def _keep_in_load(self, context: RequestContext, job: Job) -> None:
        """Keep a request in the reported load until its job ends."""
        entry = self._ledger.hold(context.auth_data)
        if entry is not None:
            task = self._app.tasks.spawn(f"follower-{job.id}", self._follow(entry, job, has_left=context.has_left))
            self._tasks_until_job_end.add(task)
            task.add_done_callback(self._tasks_until_job_end.discard)

    async def _follow(self, entry: MetricsEntry, job: Job, *, has_left: bool) -> None:
        """Wait for the end of the job, then report the request as done, with its work as served if it completed."""
        try:
            await self._app.manager.wait_for_end(job)
        finally:
            self._ledger.release(entry, served=job.state is JobState.COMPLETED, has_left=has_left)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Count a request as handled by the SDK while the context lasts."""
        self._open_sdk_requests += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._open_sdk_requests -= 1
            if not self._open_sdk_requests:
                self._idle.set()

    async def _reject_session(self, request: web.Request) -> web.StreamResponse:
        """Respond with 403. A request that came through the router is reported as done, like one that was served."""
        with suppress(WorkerError):
            await self.read_payload(request)
        return refusal(Forbidden(f"{request.path} is not served by this worker"))

    async def _reject_unknown(self, request: web.Request) -> web.StreamResponse:
        """Respond with 404 and the nearest route."""
        routes = [resource.canonical for resource in request.app.router.resources()]
        return refusal(NotFound(f"no route {request.path}: {route_hint(request.path, routes, job_urls=False)}"))


def _refusing_compressed_bodies(handler: Handler) -> Handler:
    """Return a handler that rejects a compressed body before any of it is read."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            check_uncompressed(request)
        except WorkerError as error:
            return refusal(error)
        return await handler(request)

    return handle
