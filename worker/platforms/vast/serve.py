"""`comfy-worker serve --platform vast`: from the public key to the last deletion."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

from worker.api.server import connection_limits
from worker.app import App
from worker.errors import RestartRequested, StartupError, WorkerFailed
from worker.events import EngineBlocked, EngineConnected, EngineEvent, EngineLost, Handlers, LoadReported
from worker.platforms.vast.certificate import FIXED, Certificate
from worker.platforms.vast.ingress.ingress import Ingress
from worker.platforms.vast.ingress.job_routes import JobRoutes
from worker.platforms.vast.ingress.request_context import CONTEXT
from worker.platforms.vast.ingress.response_proxy import InProcessSession, Responder
from worker.platforms.vast.ingress.signature_check import SignatureCheck
from worker.platforms.vast.ingress.update import UpdateRoute
from worker.platforms.vast.reporting.autoscaler import Autoscaler
from worker.platforms.vast.reporting.benchmark import Benchmark, ScoreFile
from worker.platforms.vast.reporting.ledger import Ledger
from worker.platforms.vast.reporting.metrics import ModelMetrics
from worker.platforms.vast.reporting.readiness import SCORE_FOR_SDK, Readiness
from worker.platforms.vast.sdk import (
    Callbacks,
    SdkWorker,
    build_worker,
    limit_connections,
    new_entry,
    point_at_score,
)
from worker.platforms.vast.settings import VastSettings
from worker.platforms.vast.signing import ensure_certificate, wait_until_renewal
from worker.settings import set_missing_variables
from worker.supervision import OnFailure

log = logging.getLogger(__name__)

LISTENING_S = 15.0
ANSWERS_S = 5.0


async def serve(app: App, settings: VastSettings) -> None:
    """Run until cancelled, then drain.

    Raises StartupError: a process that can't serve has to end, so that it is started again; the SDK's own would stay
    and only complain (T38). Who started it tells the autoscaler (`complaint`).
    """
    set_missing_variables(settings.for_sdk)
    async with ClientSession(timeout=ClientTimeout(total=10)) as session:
        autoscaler = Autoscaler(session, settings)
        check_ports(settings)
        signed = await ensure_certificate(FIXED, settings, session) if settings.use_ssl else None
        app.timing.mark("certificate")
        key = await autoscaler.public_key()
        app.timing.mark("key")
        await VastWorker(app, settings, autoscaler, key, signed).run()


def check_ports(settings: VastSettings) -> None:
    """What the SDK would fail on without an end. Raises StartupError."""
    for port in (settings.port, settings.http_port):
        try:
            socket.create_server((settings.host, port)).close()
        except OSError as error:
            raise StartupError(f"port {port} of {settings.host} can't be used: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class EngineChanges:
    """An observer that reports to the autoscaler soon after the share of the engines or the load of one has changed."""

    report_soon: Callable[[], None]

    @property
    def handlers(self) -> Handlers:
        return {EngineConnected: self._changed, EngineLost: self._changed, EngineBlocked: self._changed}

    def _changed(self, _: EngineEvent) -> None:
        self.report_soon()


class VastWorker:
    """The SDK's worker with our door before it."""

    def __init__(
        self,
        app: App,
        settings: VastSettings,
        autoscaler: Autoscaler,
        public_pem: str,
        certificate: Certificate | None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._certificate = certificate
        self._autoscaler = autoscaler
        self._state = app.settings.state.resolve()
        self._benchmark = Benchmark.read(settings)
        self._readiness = Readiness(self._measure, self._state)
        point_at_score(self._state / SCORE_FOR_SDK)
        callbacks = Callbacks(self._workload, self._respond, self._readiness)
        self._worker: SdkWorker = build_worker(app.url, callbacks, self._benchmark.payload)
        limit_connections(connection_limits(app.settings), app.tasks)
        self._worker.backend.report_addr = settings.autoscaler
        self._worker.backend.session = InProcessSession()
        self._given_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._update = UpdateRoute(settings.master_token)
        metrics = self._worker.backend.metrics
        self._ledger = Ledger(metrics, new_entry)
        self._responder = Responder(app, self._ledger)
        metrics.model_metrics = ModelMetrics(
            self._ledger.report_soon,
            self._give_up,
            self._reported,
            share=lambda: app.engines.share,
            leftover=lambda: app.engines.leftover_workload,
        )
        app.observers.add(EngineChanges(self._ledger.report_soon))
        signature_check = SignatureCheck(public_pem, settings.public_url, any_url=settings.any_url)
        self._ingress = Ingress(app, signature_check, self._ledger, self._give_up)

    async def run(self) -> None:
        """Raises StartupError; CancelledError and RestartRequested after draining."""
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=None)))
            job_routes = JobRoutes(self._ingress, session, self._app.url).routes()
            others = [*job_routes, *self._update.routes()]
            self._worker.routes[:] = self._ingress.routes(self._worker.routes, others)
            tasks = self._app.tasks
            tasks.start("vast-sdk-state", self._watch_sdk, OnFailure.END)
            running = tasks.start("vast-sdk", self._run_sdk, OnFailure.END)
            stack.push_async_callback(self._close, running)
            try:
                await self._start()
                await self._watch()
            except asyncio.CancelledError:
                if tasks.failure is None:
                    await self._drain()
                raise

    async def _run_sdk(self) -> None:
        """The SDK's own loop: it never ends in a worker that serves. Raises WorkerFailed."""
        await self._worker.run_async(host=self._settings.host)
        raise WorkerFailed("Vast's SDK gave up: it ended")

    async def _watch_sdk(self) -> None:
        """The SDK reports an error for ever and goes on refusing, once it has given up. Raises WorkerFailed."""
        raise WorkerFailed(f"Vast's SDK gave up: {await self._given_up}")

    async def _start(self) -> None:
        try:
            async with asyncio.timeout(LISTENING_S):
                await self._readiness.entered.wait()
        except TimeoutError:
            raise StartupError("Vast's SDK gave up: no open port") from None
        self._app.timing.mark("port")
        await self._readiness.loaded
        await self._app.settled()
        self._ledger.report_soon()
        self._app.timing.mark("benchmark")
        log.info("ready: %s takes requests, %s", self._settings.public_url, self._app.timing)

    async def _watch(self) -> None:
        """Wait for a reason to start anew, then drain. Raises RestartRequested."""
        asked = await self._restart_asked()
        await self._drain()
        raise RestartRequested(f"drained for {asked}; to be started again")

    async def _restart_asked(self) -> str:
        """By whom, or what for."""
        update = asyncio.create_task(self._update.requested.wait())
        ends: set[asyncio.Task[Any]] = {update}
        if self._certificate is not None:
            ends.add(
                asyncio.create_task(
                    wait_until_renewal(self._certificate, lambda: not self._app.manager.admission.load.jobs)
                )
            )
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return "an update by Vast" if update.done() else "a new certificate"
        finally:
            for task in ends:
                task.cancel()

    def _give_up(self, why: str) -> None:
        if not self._given_up.done():
            self._given_up.set_result(why)

    def _reported(self, taken: bool, load_units: float, max_perf_units: float) -> None:
        self._app.observers.notify(LoadReported(taken, load_units, max_perf_units))

    async def _respond(self, request: object, answer: object) -> web.StreamResponse:
        return await self._responder(request, answer)

    def _workload(self, payload: Mapping[str, Any]) -> float:
        """The SDK's question: the same number as in the ingress, so that what is taken back is what was counted."""
        context = CONTEXT.get(None)
        return self._app.intake.workload_of(payload) if context is None else context.workload

    async def _measure(self) -> float:
        """The speed of all engines together, as if those that did not start were as fast as the others."""
        await self._app.ready()
        engines = self._app.engines
        await engines.settled()
        engine, count = await engines.info(), len(engines.engines)
        conditions = (self._settings.image, engine.device, engine.version, *([f"{count} engines"] if count > 1 else ()))
        scores = ScoreFile(self._state, self._benchmark.key(*conditions))
        workload = self._app.intake.workload_of(self._benchmark.payload)
        score = await self._benchmark.score(self._app.url, workload, scores.known, len(engines.alive), engines.share)
        scores.keep(score)
        return score

    async def _drain(self) -> None:
        """New requests are refused from here on, running ones are given their time."""
        await self._app.drain()
        try:
            async with asyncio.timeout(ANSWERS_S):
                await self._ingress.wait_until_idle()
        except TimeoutError:
            log.warning("some answers were not fetched")

    async def _close(self, running: asyncio.Task[None]) -> None:
        """What the SDK leaves open, and what it had no time to tell."""
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if rows := self._ledger.take_deletions():
            await self._autoscaler.deleted(rows)
        await self._worker.backend.metrics.aclose()
        await self._worker.backend.session.close()
