"""`comfy-worker serve --platform vast`: the life of a worker, from fetching the public key to the last report."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

from worker.api.server import connection_limits
from worker.app import App
from worker.errors import RestartRequested, StartupError, WorkerFailed
from worker.events import LoadReported
from worker.load.throughput import Throughput
from worker.platforms.vast.benchmark.benchmark import Benchmark
from worker.platforms.vast.benchmark.choice import CURE, MISSING, PACKAGED, chosen_name
from worker.platforms.vast.benchmark.workflow import read_workflow
from worker.platforms.vast.certificate import SDK_PATHS, Certificate
from worker.platforms.vast.ingress.ingress import Ingress
from worker.platforms.vast.ingress.job_routes import JobRoutes
from worker.platforms.vast.ingress.request_context import CONTEXT
from worker.platforms.vast.ingress.response_proxy import InProcessSession, Responder
from worker.platforms.vast.ingress.signature_check import SignatureCheck
from worker.platforms.vast.ingress.update import UpdateRoute
from worker.platforms.vast.reporting.autoscaler import Autoscaler
from worker.platforms.vast.reporting.changes import EngineChanges, watch_load
from worker.platforms.vast.reporting.ledger import Ledger
from worker.platforms.vast.reporting.metrics import ModelMetrics
from worker.platforms.vast.reporting.new_work import NewWork
from worker.platforms.vast.reporting.readiness import SCORE_FOR_SDK, Readiness
from worker.platforms.vast.reporting.reported_load import ReportedLoad
from worker.platforms.vast.reporting.speed import WorkerSpeed
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
"""Seconds that the SDK has to open its port."""
RESPONSES_S = 5.0
"""Seconds for sending the last responses after draining."""


async def serve(app: App, settings: VastSettings) -> None:
    """Serve until cancelled, then drain.

    Raises StartupError when the worker cannot serve, so that the process exits and is restarted. The SDK's own process
    would keep running and only report errors (T38). The caller reports the error to the autoscaler (`failure_report`).
    """
    set_missing_variables(settings.for_sdk)
    async with ClientSession(timeout=ClientTimeout(total=10)) as session:
        autoscaler = Autoscaler(session, settings)
        check_ports(settings)
        certificate = await ensure_certificate(SDK_PATHS, settings, session) if settings.use_ssl else None
        app.timing.mark("certificate")
        key = await autoscaler.public_key()
        app.timing.mark("key")
        await VastWorker(app, settings, autoscaler, key, certificate).run()


def check_ports(settings: VastSettings) -> None:
    """Raise StartupError when a port is in use, because the SDK would keep running without its port."""
    for port in (settings.port, settings.http_port):
        try:
            socket.create_server((settings.host, port)).close()
        except OSError as error:
            raise StartupError(f"port {port} of {settings.host} cannot be used: {error.strerror}") from error


def read_benchmark(settings: VastSettings, app: App) -> Benchmark:
    """Return the benchmark that the settings choose. Raises StartupError when its workflow cannot be read.

    If they choose none, it is the packaged one: a worker that refused to start would be rented again and again.
    """
    name = chosen_name(settings.benchmark, app.settings.models.templates)
    if not name:
        log.warning("%s: the packaged workflow is used, which says little about a GPU; %s", MISSING, CURE)
    workflow = read_workflow(name or PACKAGED, app.intake.library)
    return Benchmark(workflow, max(1, settings.benchmark_runs), settings.benchmark_timeout_s)


class VastWorker:
    """The SDK's worker behind our ingress, with its reports corrected."""

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
        benchmark = read_benchmark(settings, app)
        throughput = Throughput()
        self._speed = WorkerSpeed(app, benchmark, settings.image, throughput)
        self._load = ReportedLoad(app.engines.estimates, throughput, settings.running)
        self._readiness = Readiness(self._speed.measure, self._state)
        point_at_score(self._state / SCORE_FOR_SDK)
        callbacks = Callbacks(self._workload, self._respond, self._readiness)
        self._worker: SdkWorker = build_worker(app.url, callbacks)
        limit_connections(connection_limits(app.settings), app.tasks)
        self._worker.backend.report_addr = settings.autoscaler
        self._worker.backend.session = InProcessSession()
        self._given_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._update = UpdateRoute(settings.master_token)
        metrics = self._worker.backend.metrics
        self._ledger = Ledger(metrics, new_entry)
        self._responder = Responder(app, self._ledger)
        new_work = NewWork(lambda: self._load.engine_perf if settings.metering else None)
        metrics.model_metrics = ModelMetrics(
            self._load, self._ledger.report_soon, self._give_up, self._notify_report, new_work
        )
        app.observers.add(EngineChanges(self._ledger.report_soon), self._speed)
        signature_check = SignatureCheck(public_pem, settings.public_url, any_url=settings.any_url)
        self._ingress = Ingress(app, signature_check, self._ledger, self._load, self._give_up)

    async def run(self) -> None:
        """Serve until cancelled or until a restart is requested, then drain.

        Raises StartupError when the worker cannot serve, and CancelledError or RestartRequested after draining.
        """
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=None)))
            job_routes = JobRoutes(self._ingress, session, self._app.url).routes()
            others = [*job_routes, *self._update.routes()]
            self._worker.routes[:] = self._ingress.routes(self._worker.routes, others)
            tasks = self._app.tasks
            metrics = self._worker.backend.metrics.model_metrics
            tasks.start("vast-load", partial(watch_load, self._load, metrics, self._ledger.report_soon))
            tasks.start("vast-speed", self._speed.store_periodically)
            tasks.start("vast-sdk-state", self._watch_sdk, OnFailure.END)
            running = tasks.start("vast-sdk", self._run_sdk, OnFailure.END)
            stack.push_async_callback(self._close, running)
            try:
                await self._start()
                await self._wait_for_restart()
            except asyncio.CancelledError:
                if tasks.failure is None:
                    await self._drain()
                raise

    async def _run_sdk(self) -> None:
        """Run the SDK's own loop. Raises WorkerFailed when it ends, because it should run until it is cancelled."""
        await self._worker.run_async(host=self._settings.host)
        raise WorkerFailed("Vast's SDK gave up: it stopped")

    async def _watch_sdk(self) -> None:
        """Wait until the SDK gives up, and raise WorkerFailed. Without this, it would only reject requests."""
        reason = await self._given_up
        raise WorkerFailed(f"Vast's SDK gave up: {reason}")

    async def _start(self) -> None:
        """Wait until the SDK has opened its port and read the score. Raises StartupError when it does not.

        The port has to be open within LISTENING_S seconds.
        """
        try:
            async with asyncio.timeout(LISTENING_S):
                await self._readiness.entered.wait()
        except TimeoutError:
            raise StartupError("Vast's SDK gave up: no open port") from None
        self._app.timing.mark("port")
        await self._readiness.loaded
        await self._app.exclude_from_gc()
        self._ledger.report_soon()
        self._app.timing.mark("benchmark")
        log.info("ready: %s accepts requests, %s", self._settings.public_url, self._app.timing)

    async def _wait_for_restart(self) -> None:
        """Wait for a reason to restart, then drain and raise RestartRequested."""
        reason = await self._restart_reason()
        await self._drain()
        raise RestartRequested(f"drained for {reason}; restarting")

    async def _restart_reason(self) -> str:
        """Wait for an update by Vast or for the certificate's renewal. Return the reason as part of a message."""
        update = asyncio.create_task(self._update.requested.wait())
        triggers: set[asyncio.Task[Any]] = {update}
        if self._certificate is not None:
            renewal = wait_until_renewal(self._certificate, lambda: not self._app.manager.admission.load.jobs)
            triggers.add(asyncio.create_task(renewal))
        try:
            await asyncio.wait(triggers, return_when=asyncio.FIRST_COMPLETED)
            return "an update by Vast" if update.done() else "a new certificate"
        finally:
            for task in triggers:
                task.cancel()

    def _give_up(self, reason: str) -> None:
        """Record the reason why the SDK cannot go on, which ends the worker. Only the first reason counts."""
        if not self._given_up.done():
            self._given_up.set_result(reason)

    def _notify_report(self, accepted: bool, load_units: float, max_perf_units: float) -> None:
        self._app.observers.notify(LoadReported(accepted, load_units, max_perf_units))

    async def _respond(self, request: object, response: object) -> web.StreamResponse:
        return await self._responder(request, response)

    def _workload(self, payload: Mapping[str, Any]) -> float:
        """Return a request's workload in units. The SDK calls this with the payload.

        It is the same number that the ingress uses, so that the corrections of the SDK's counters are exact.
        """
        context = CONTEXT.get(None)
        return self._app.intake.workload_of(payload) if context is None else context.workload

    async def _drain(self) -> None:
        """Reject new requests, and wait for the running jobs and then for their responses, each with a time limit."""
        await self._app.drain()
        try:
            async with asyncio.timeout(RESPONSES_S):
                await self._ingress.wait_until_idle()
        except TimeoutError:
            log.warning("clients did not read all responses within %g s after draining", RESPONSES_S)

    async def _close(self, running: asyncio.Task[None]) -> None:
        """Stop the SDK, report the requests that are done and that it did not report, and close its connections."""
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self._speed.store()
        if rows := self._ledger.take_deletions():
            await self._autoscaler.send_deletions(rows)
        await self._worker.backend.metrics.aclose()
        await self._worker.backend.session.close()
