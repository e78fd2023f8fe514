"""Where requests come in: the SDK's own handlers, each behind the questions that the SDK doesn't ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.api.auth import LOCAL
from worker.api.edge.unknown_routes import route_hint
from worker.api.errors import DIALECT
from worker.api.generate import GENERATE_ROUTES, GenerateRoute
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
from worker.intake import Caller, Submission, normalize_body
from worker.intake.intake import dialect_of
from worker.job import Job, JobState
from worker.load.workload import FLOOR
from worker.platforms.vast.ingress.envelope_reader import EnvelopeReader, check_uncompressed
from worker.platforms.vast.ingress.refusal import refusal
from worker.platforms.vast.ingress.request_context import CONTEXT, HeaderOnly, RequestContext
from worker.platforms.vast.ingress.signature_check import AuthData, Envelope, SignatureCheck, repeat_key
from worker.platforms.vast.reporting.ledger import Ledger
from worker.platforms.vast.reporting.metrics import MetricsEntry

log = logging.getLogger(__name__)

NOT_SERVED = ("/session/create", "/session/end", "/session/get", "/session/health")
"""Routes that the SDK adds by itself: its sessions let strangers post through the worker (T24)."""


class Ingress:
    """Encoding and size, then signature, then whether there is room; only then does the SDK see a request and count it.

    `lost_key` is called when the SDK refuses what we found well signed: it has no public key and never will have.
    """

    def __init__(
        self, app: App, signature_check: SignatureCheck, ledger: Ledger, lost_key: Callable[[str], None]
    ) -> None:
        self._app = app
        body_s = app.settings.connections.body_s
        self._reader = EnvelopeReader(signature_check, app.intake.limits, body_s)
        self._ledger = ledger
        self._lost_key = lost_key
        self._inside = 0
        self._followers: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def routes(self, work: Sequence[web.RouteDef], others: Sequence[web.RouteDef]) -> list[web.RouteDef]:
        """The whole table: aiohttp takes the first match, so nothing that the SDK adds after it is ever reached."""
        return [
            *(web.route("*", path, _uncompressed(self._forbid)) for path in NOT_SERVED),
            *(web.post(route.path, _uncompressed(self._guarded(route.path, route.handler))) for route in work),
            *(web.route(route.method, route.path, _uncompressed(route.handler)) for route in others),
            web.route("*", "/{path:.*}", _uncompressed(self._nowhere)),
        ]

    async def read_payload(self, request: web.Request) -> Mapping[str, Any]:
        """What is asked by a request that is no work; through the router or not. Raises BodyTooLarge, InvalidJson."""
        async with SpoolFolder(self._app.intake.spool) as folder:
            received = await self._reader.read(request, folder, signed=False)
            if received.auth_data is not None:
                self._ledger.close(received.auth_data)
            envelope = received.envelope
            body = envelope.body if envelope.payload is None else envelope.payload
            await body.restore_texts()
            return dict(body.value)

    async def wait_until_idle(self) -> None:
        """Wait until every request was answered and every job behind an answer has ended."""
        await self._empty.wait()
        await asyncio.gather(*self._followers)

    def _guarded(self, path: str, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            async with SpoolFolder(self._app.intake.spool) as folder:
                try:
                    received = await self._reader.read(request, folder, signed=True)
                except WorkerError as error:
                    self._note_refusal(request, error)
                    return refusal(error)  # nobody that the router sent: nothing of it may reach the autoscaler
                envelope, auth_data = received.envelope, received.auth_data
                assert auth_data is not None  # noqa: S101 - asked for by `signed`
                context = await self._context(request, GENERATE_ROUTES[path], auth_data, envelope.payload)
                try:
                    self._admit(envelope, context.workload)
                except WorkerError as error:
                    self._note_refusal(request, error, envelope.payload.value if envelope.payload else None)
                    self._turn_away(context, error)
                    return refusal(error, envelope.payload)
                return await self._let_in(handler, context, envelope.raw_auth_data)

        return handle

    async def _context(
        self, request: web.Request, way: GenerateRoute, auth_data: AuthData, payload: ScannedBody | None
    ) -> RequestContext:
        """Read what a request asks for. One that can't be read goes on with the least workload, to be refused."""
        if payload is None:
            return RequestContext(request, auth_data, way, InvalidJson("`payload` has to be a JSON object"), FLOOR)
        try:
            asked = await self._asked_for(request, way, auth_data, payload)
            return RequestContext(request, auth_data, way, asked, self._app.intake.workload(asked.request))
        except WorkerError as error:
            return RequestContext(request, auth_data, way, error, FLOOR)
        except Exception:
            log.exception("a request can't be read, in a way nobody expected")
            return RequestContext(request, auth_data, way, InternalError("an unexpected error in the worker"), FLOOR)

    async def _asked_for(
        self, request: web.Request, way: GenerateRoute, auth_data: AuthData, payload: ScannedBody
    ) -> Submission:
        base_url = self._app.settings.server.public_url.rstrip("/")
        key = repeat_key(auth_data, payload)
        caller = Caller(LOCAL, base_url, repeat_key=key, collectable=way.collectable, api_key=api_key_of(request))
        await normalize_body(payload)
        request[DIALECT] = dialect_of(payload.value)
        return await self._app.intake.read(payload, replace(caller, follows=way.follows))

    def _admit(self, envelope: Envelope, workload: float) -> None:
        if envelope.payload is None:
            raise InvalidJson("`payload` has to be a JSON object")
        if envelope.in_session:
            raise Forbidden("this worker serves no sessions")
        self._app.admit(workload)

    def _note_refusal(self, request: web.Request, error: WorkerError, payload: Mapping[str, Any] | None = None) -> None:
        """Report a refusal to the observers. `payload` tells the dialect."""
        dialect = NATIVE if payload is None else detect(payload)
        self._app.observers.notify(RequestRefused(request.path, dialect.name, error.code, error.status))

    def _turn_away(self, context: RequestContext, error: WorkerError) -> None:
        log.debug("request %d: turned away, %s", context.auth_data.request_idx, error.code)
        if isinstance(error, ClientError):
            self._ledger.close(context.auth_data)
        else:
            self._ledger.refuse(context.auth_data, context.workload)

    async def _let_in(self, handler: Handler, context: RequestContext, auth_data: object) -> web.StreamResponse:
        CONTEXT.set(context)
        log.debug("request %d: let in, workload %g", context.auth_data.request_idx, context.workload)
        with self._counted():
            response = await handler(cast(web.Request, HeaderOnly(context.request, auth_data)))
            # The SDK has just put the request among the deletions; before anything is awaited they are ours.
            if context.goes_on and context.job is not None:
                self._hold(context.auth_data, context.job)
            if context.rejected:
                self._ledger.rejected(context.auth_data)
            self._ledger.report_soon()
        if context.status is None and response.status == 401:
            self._lost_key("it has no public key and refuses every request")
            return refusal(Draining("this worker can't check signatures and ends"))
        if context.status is None and response.status == 500:
            return refusal(WorkerUnavailable("the gateway did not answer"))
        return response

    def _hold(self, auth_data: AuthData, job: Job) -> None:
        entry = self._ledger.hold(auth_data)
        if entry is not None:
            task = self._app.tasks.spawn(f"follower-{job.id}", self._follow(entry, job))
            self._followers.add(task)
            task.add_done_callback(self._followers.discard)

    async def _follow(self, entry: MetricsEntry, job: Job) -> None:
        """Until the job's end its work counts as load; then it is served, or was for nothing."""
        try:
            await self._app.manager.wait_for_end(job)
        finally:
            self._ledger.release(entry, served=job.state is JobState.COMPLETED)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def _forbid(self, request: web.Request) -> web.StreamResponse:
        with suppress(WorkerError):
            await self.read_payload(request)
        return refusal(Forbidden(f"{request.path} is not served by this worker"))

    async def _nowhere(self, request: web.Request) -> web.StreamResponse:
        known = [resource.canonical for resource in request.app.router.resources()]
        return refusal(NotFound(f"no route {request.path}: {route_hint(request.path, known, job_urls=False)}"))


def _uncompressed(handler: Handler) -> Handler:
    """Refuse what is compressed before a byte of it is read."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            check_uncompressed(request)
        except WorkerError as error:
            return refusal(error)
        return await handler(request)

    return handle
