"""The jobs that were taken and have not ended: from the take to the result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass

from worker.app import App
from worker.dialects import RUNPOD, Dialect
from worker.errors import Draining, InternalError, WorkerError, WorkerUnavailable
from worker.intake import Caller
from worker.intake.body_forms import handler_call_in, normalize_body
from worker.intake.enclosed_request import enclosed_dialect, unwrap_request
from worker.job import Job, JobState
from worker.platforms.runpod.queue.progress import ProgressUpdates
from worker.platforms.runpod.queue.result_sender import ResultSender
from worker.platforms.runpod.queue.results import Results
from worker.platforms.runpod.queue.taken_job import TakenJob
from worker.platforms.runpod.queue.undelivered import UndeliveredResults

log = logging.getLogger(__name__)

PRINCIPAL = "runpod"
"""Owner of the jobs of the queue."""
BEFORE_RUN = frozenset({JobState.QUEUED, JobState.PREPARING, JobState.WAITING, JobState.GENERATING})
"""States of a job that still needs an engine."""
LATE = "this worker is shutting down, and the job would not end in time: send it again"


@dataclass(slots=True, eq=False)
class QueueRun:
    """A job that was taken. `job` is None until it was accepted."""

    job: Job | None = None
    stopped: bool = False
    """Whether RunPod wants no result, because the job was cancelled or has timed out there."""
    error: WorkerError | None = None
    """The error with which this worker ends the job, whatever becomes of it."""
    enclosed: Dialect | None = None
    """Dialect of the whole request in the job, None for a job of worker-comfyui's form."""

    @property
    def is_call(self) -> bool:
        """Whether this is a call of a handler that has not ended."""
        return self.job is not None and self.job.request.handler is not None and not self.job.state.ended

    @property
    def needs_engine(self) -> bool:
        """Whether this is another job, and still has to run or runs."""
        return self.job is None or (self.job.request.handler is None and self.job.state in BEFORE_RUN)


class JobRuns:
    """Runs jobs, and passes their results to the sender. A job that is delivered again is the one that was accepted."""

    def __init__(
        self, app: App, undelivered: UndeliveredResults, sender: ResultSender, progress: ProgressUpdates
    ) -> None:
        self._app = app
        self._undelivered = undelivered
        self._sender = sender
        self._progress = progress
        self._results = Results(app)
        self._runs: dict[str, QueueRun] = {}
        self._unfinished: set[str] = set()
        """Ids of the jobs that an earlier process has not ended. Their results are errors."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def job_ids(self) -> Collection[str]:
        """Ids of the jobs that have not ended."""
        return self._runs.keys()

    @property
    def needing_engine(self) -> int:
        """Number of jobs that still have to run or run, without calls of handlers."""
        return sum(run.needs_engine for run in self._runs.values())

    @property
    def calls(self) -> int:
        """Number of calls of handlers that have not ended."""
        return sum(run.is_call for run in self._runs.values())

    async def restore(self) -> None:
        """Send the results that an earlier process of this worker has left, and answer the jobs that it had."""
        for result in await self._undelivered.load():
            if result.body is not None:
                self._sender.start(result.job_id, result.body)
                continue
            error = WorkerUnavailable("this worker was restarted while it had the job: send the job again")
            self._unfinished.add(result.job_id)
            await self._sender.send_error(result.job_id, error)

    async def begin(self, taken: TakenJob, ends_within_s: float | None = None) -> None:
        """Start a job that was taken. Never raises: a job that cannot start gets its error as result.

        With `ends_within_s`, a job that is expected to take longer ends at once with an error that says to retry.
        """
        if taken.id in self._unfinished:  # RunPod has queued the job again, so that it runs in place of the error
            self._unfinished.remove(taken.id)
            await self._sender.cancel(taken.id)
        if taken.id in self._runs or self._sender.send_again(taken.id):
            return log.warning("job %s was delivered again while this worker has it", taken.id)
        run = self._runs[taken.id] = QueueRun()
        await self._undelivered.begin(taken.id)
        try:
            job = run.job = await self._submit(taken, run)
        except WorkerError as error:
            return await self._end_with_error(taken.id, run, error)
        except Exception:  # without a result, the job would stay in progress until its timeout
            log.exception("job %s cannot be started", taken.id)
            return await self._end_with_error(taken.id, run, InternalError("an unexpected error in the worker"))
        self._follow(taken.id, run, job)
        if run.stopped or run.error is not None:  # since it was taken
            await self._app.cancel(job)
        elif ends_within_s is not None and self._app.engines.estimates.finish(job).p50_s > ends_within_s:
            await self.end(taken.id, Draining(LATE))
        return None

    async def stop(self, job_id: str) -> None:
        """Cancel a job for which RunPod wants no result. An id that is unknown here has ended."""
        run = self._runs.get(job_id)
        if run is None:
            if await self._sender.cancel(job_id):
                log.info("job %s was cancelled while its result was being sent", job_id)
            return
        log.info("job %s was cancelled or has timed out at RunPod", job_id)
        run.stopped = True
        if run.job is not None:
            await self._app.cancel(run.job)

    async def end(self, job_id: str, error: WorkerError) -> None:
        """End a job with this error."""
        run = self._runs.get(job_id)
        if run is None or (run.job is not None and run.job.state.ended):
            return
        run.error = error
        if run.job is not None:
            await self._app.cancel(run.job)

    async def end_all(self, error: WorkerError) -> None:
        """End all jobs with this error."""
        await asyncio.gather(*(self.end(job_id, error) for job_id in list(self._runs)))

    async def wait_until_ended(self, timeout_s: float) -> None:
        """Wait until all jobs have ended and their results are stored, for at most `timeout_s` seconds."""
        if self._tasks and timeout_s > 0:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def _submit(self, taken: TakenJob, run: QueueRun) -> Job:
        """Start the job of a request. Raises WorkerError."""
        body = taken.request
        if isinstance(body, WorkerError):
            raise body
        # Not collectable: no client requests the job here, so the journal needs no copy of the request.
        caller = Caller(PRINCIPAL, repeat_key=taken.id)
        await normalize_body(body)
        if (enclosed_caller := await unwrap_request(body, caller)) is not None:
            caller, run.enclosed = enclosed_caller, enclosed_dialect(body)
        if (call := handler_call_in(body)) is None:
            return await self._app.intake.submit(body, caller, dialect=run.enclosed or RUNPOD)
        calls = self._app.services.handler_calls
        return await calls.accept(await calls.read_input(*call, caller))

    def _follow(self, job_id: str, run: QueueRun, job: Job) -> None:
        """Wait for the end of a job in a task of its own."""
        self._runs[job_id] = run
        job.detached = True  # nobody waits for it over HTTP
        task = self._app.tasks.spawn(f"run-{job_id}", self._finish(job_id, run, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, job_id: str, run: QueueRun, job: Job) -> None:
        """Wait for the end of a job, and start sending its result."""
        async with self._progress.running(job):
            await self._app.manager.wait_for_end(job)
        if run.error is not None:
            return await self._end_with_error(job_id, run, run.error)
        body = await self._results.of(job, stop_pod=self._sender.stop_pod) if not run.stopped else b""
        if run.stopped:  # no result is wanted, also if RunPod has said so while it was built
            await self._undelivered.remove(job_id)
        else:
            await self._sender.send(job_id, body)
        self._runs.pop(job_id, None)
        return None

    async def _end_with_error(self, job_id: str, run: QueueRun, error: WorkerError) -> None:
        """End a job with an error, unless RunPod wants no result."""
        if run.stopped:
            await self._undelivered.remove(job_id)
        else:
            await self._sender.send_error(job_id, error, run.enclosed)
        self._runs.pop(job_id, None)
