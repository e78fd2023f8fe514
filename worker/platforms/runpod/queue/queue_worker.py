"""The life of a worker of a queue-based endpoint, from its start to its last result."""

from __future__ import annotations

import asyncio
import logging
import time

from worker.app import App, build
from worker.errors import Draining, EngineUnavailable, StartupError, WorkerError
from worker.platforms.base import Traits
from worker.platforms.runpod.queue.job_runs import JobRuns
from worker.platforms.runpod.queue.poll_pacing import PollPacing
from worker.platforms.runpod.queue.progress import ProgressUpdates
from worker.platforms.runpod.queue.queue_client import NO_ANSWER, QueueClient
from worker.platforms.runpod.queue.result_sender import ResultSender
from worker.platforms.runpod.queue.taker import Taker
from worker.platforms.runpod.queue.undelivered import FOLDER, UndeliveredResults
from worker.platforms.runpod.settings import RunpodSettings
from worker.settings import Settings

log = logging.getLogger("worker")

CHECK_S = 0.5
"""Seconds between two looks at the engines, and at the results of a worker that refreshes itself."""
RESULTS_S = 5.0
"""Seconds of a drain that are kept for sending the last results."""
LOST_S = 10.0
"""Seconds for the results of a worker that has lost its engines."""


class QueueWorker:
    """Takes and runs jobs, sends results and heartbeats, and stops the jobs that RunPod stops."""

    def __init__(self, app: App, client: QueueClient, settings: RunpodSettings) -> None:
        self._app, self._client, self._settings = app, client, settings
        undelivered = UndeliveredResults(app.settings.state / FOLDER)
        self._sender = ResultSender(client, undelivered, app.tasks)
        self._sender.stop_pod = settings.refresh
        progress = ProgressUpdates(app, client, settings.progress_s)
        self._runs = JobRuns(app, undelivered, self._sender, progress)
        self._taker = Taker(app, client, self._runs, settings.prefetch_s)
        if settings.refresh:
            self._taker.most = 1
        app.observers.add(self._taker)

    async def run(self) -> None:
        """Serve until cancelled, then drain. Return after the job of a worker that refreshes itself.

        Raises StartupError when ComfyUI is not ready in time, or is lost for good.
        """
        await self._runs.restore()
        try:
            await self._wait_until_ready()
            self._start_loops()
            lost = await self._wait_for_end()
        except asyncio.CancelledError:
            if self._app.tasks.failure is None:
                await self._drain()
            else:
                await self._give_up()
            raise
        if lost is not None:
            await self._give_up()
            raise StartupError(lost)
        await self._taker.close(time.monotonic())
        log.info("the worker stops its pod after the job, as REFRESH_WORKER says")

    async def _wait_until_ready(self) -> None:
        """Wait for the engine and the models. Raises StartupError when RunPod would have given up by then."""
        limit_s = self._settings.init_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._app.ready()
        except TimeoutError:
            cure = "raise RUNPOD_INIT_TIMEOUT, or bake the models into the image"
            raise StartupError(f"ComfyUI and the models were not ready within {limit_s:g} s: {cure}") from None
        await self._app.exclude_from_gc()
        log.info("ready: takes jobs of endpoint %s, %s", self._settings.endpoint_id or "unknown", self._app.timing)

    def _start_loops(self) -> None:
        """Start to take and stop jobs, and to send heartbeats."""
        self._taker.start()
        self._app.tasks.start("runpod-stop", self._stop_jobs)
        if self._client.urls.heartbeat:
            self._app.tasks.start("runpod-ping", self._ping)
        else:
            log.warning("RunPod gets no heartbeats: set RUNPOD_WEBHOOK_PING, RUNPOD_POD_ID and RUNPOD_AI_API_KEY")

    async def _wait_for_end(self) -> str | None:
        """Wait until the engines are lost for good, and return the reason.

        Return None when a worker that refreshes itself has delivered its job.
        """
        while True:
            if reason := self._lost_reason():
                return reason
            done = self._taker.taken >= self._taker.most and not (self._runs.job_ids or self._sender.job_ids)
            if done:
                return None
            await asyncio.sleep(CHECK_S)

    def _lost_reason(self) -> str | None:
        """Return why no engine will ever run a job again, or None."""
        reasons = [engine.final_error or engine.restart_needed for engine in self._app.engines.engines]
        return reasons[0] if all(reasons) else None

    async def _stop_jobs(self) -> None:
        """Cancel the jobs that were cancelled at RunPod, have timed out or have expired."""
        pacing = PollPacing()
        while True:
            started, answer, ids = time.monotonic(), None, list[str]()
            try:
                answer, ids = await self._client.stopped_jobs()
            except (*NO_ANSWER, WorkerError) as error:
                if not pacing.failures:
                    log.warning("the jobs to stop are not known, which is tried again: %s", type(error).__name__)
            for job_id in ids:  # in tasks of their own, because a node may take seconds to stop
                self._app.tasks.spawn(f"stop-{job_id}", self._runs.stop(job_id))
            await asyncio.sleep(pacing.pause(answer, len(ids), time.monotonic() - started))

    async def _ping(self) -> None:
        """Send heartbeats with the jobs whose results RunPod has not got.

        They come from the event loop that also runs the jobs, so a worker that hangs sends none (R5).
        """
        failures = 0
        while self._lost_reason() is None:
            try:
                answer = await self._client.ping(sorted({*self._runs.job_ids, *self._sender.job_ids}))
                failures = 0 if answer.accepted else failures + 1
                reason = f"status {answer.status}"
            except NO_ANSWER as error:
                failures, reason = failures + 1, type(error).__name__
            if failures == 1:
                log.warning("a heartbeat failed: %s", reason)
            await asyncio.sleep(self._settings.ping_s)

    async def _drain(self) -> None:
        """Take no more jobs, let those that run end in time, and send their results.

        The open take stays open: RunPod may have given a job to it already, and would not give it to another worker.
        """
        drain_s = self._app.traits.drain_within(self._app.settings.limits.drain_s)
        log.info("draining for at most %g s", drain_s)
        ends_at = time.monotonic() + drain_s
        jobs_end_at = max(ends_at - RESULTS_S, time.monotonic() + drain_s / 2)
        await self._taker.close(jobs_end_at)
        await self._runs.wait_until_ended(jobs_end_at - time.monotonic())
        await self._end_jobs(Draining("this worker is shutting down: send the job again"), ends_at - time.monotonic())

    async def _give_up(self) -> None:
        """Take no more jobs, and answer those that run. RunPod is asked to stop the pod with each result."""
        self._sender.stop_pod = True
        await self._taker.close(time.monotonic())
        await self._end_jobs(EngineUnavailable("this worker can run no more jobs: send the job again"), LOST_S)

    async def _end_jobs(self, error: WorkerError, timeout_s: float) -> None:
        """End all jobs with an error, and wait until their results are sent."""
        ends_at = time.monotonic() + timeout_s
        self._app.tasks.spawn("end-jobs", self._runs.end_all(error))
        await self._runs.wait_until_ended(timeout_s)
        await self._sender.wait_until_sent(ends_at - time.monotonic())


async def serve_queue(settings: Settings, runpod: RunpodSettings, traits: Traits) -> None:
    """Serve the queue of an endpoint until cancelled, then drain. Raises StartupError."""
    async with QueueClient.of(runpod) as client, build(settings, traits=traits) as app:
        log.info("listening on %s", app.url)
        await QueueWorker(app, client, runpod).run()
