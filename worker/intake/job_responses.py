"""From a job to the body that its client gets, in the dialect it was asked in."""

from __future__ import annotations

from dataclasses import dataclass

from worker.delivery_options import Webhook
from worker.dialects import BY_NAME, Body, Dialect, JobResponse
from worker.dialects.base import changes_of
from worker.engine.pool import EnginePool
from worker.errors import DeliveryFailed, EngineUnavailable, NotFound, OutputTooLargeForInline, WorkerError
from worker.intake.response_body import SMALL, LargeFiles, ResponseBody, encoded
from worker.job import Job, JobState, Output, OutputMode
from worker.outputs.delivery import Delivery
from worker.outputs.files import Outputs
from worker.platforms.base import Traits

RUN = frozenset({JobState.GENERATING, JobState.DELIVERING})
"""States in which no other job runs before this one."""


@dataclass(frozen=True, slots=True)
class JobResponses:
    """Reads the outputs of jobs. `base_url` is where the client that asks reaches this worker."""

    traits: Traits
    outputs: Outputs
    engines: EnginePool
    delivery: Delivery

    async def of(self, job: Job, base_url: str, dialect: Dialect | None = None) -> tuple[int, ResponseBody]:
        """Return the HTTP status and the body for a job, whether it has ended or not. Raises NotFound."""
        dialect = dialect or BY_NAME[job.request.dialect]
        if not job.state.ended:
            return 202, ResponseBody(self.pending(job, base_url, dialect))
        if job.state is JobState.DELIVERY_PENDING and job.error is not None:
            return self.withheld(job, job.error, base_url, dialect)
        if job.error is not None:
            return status_of(job.error, self.traits), ResponseBody(_failed(job, job.error, dialect))
        try:
            self.delivery.check_inline(job)  # not done yet for a job that was asked for as a file
        except OutputTooLargeForInline as too_large:
            return self.withheld(job, too_large, base_url, dialect)
        job.outputs = tuple([await self.outputs.hashed(job, output) for output in job.outputs])
        answer, large = await self.facts(job, base_url, job.outputs)
        answered, most = ResponseBody(dialect.completed(answer), large.files), self.traits.max_response_bytes
        if most is not None and answered.size > most:
            error = OutputTooLargeForInline(
                f"the answer has {answered.size:,} bytes, and {most:,} can be sent: {self.delivery.inline_alternatives}"
            )
            return error.status, ResponseBody(_failed(job, error, dialect))
        return 200, answered

    def withheld(
        self, job: Job, error: WorkerError, base_url: str, dialect: Dialect | None = None
    ) -> tuple[int, ResponseBody]:
        """Return status and body for a job whose result is kept but not in this answer; its token opens it."""
        body = _failed(job, error, dialect or BY_NAME[job.request.dialect])
        body |= {"token": job.token, "url": self.job_url(job, base_url)}
        return status_of(error, self.traits), ResponseBody(body)

    async def facts(self, job: Job, base_url: str, outputs: tuple[Output, ...]) -> tuple[JobResponse, LargeFiles]:
        """Return what an answer is made of; files that go into it are there as base64, the large ones to be read later.

        Raises NotFound for a file that is gone.
        """
        files = [(output, self.outputs.path(job, output)) for output in outputs if output.text is None]
        large, data = LargeFiles(), {}
        if job.request.output_mode is OutputMode.BASE64:
            try:
                for output, path in files:
                    small = output.size <= SMALL
                    data[output.index] = encoded(path.read_bytes()).decode() if small else large.add(path, output.size)
            except FileNotFoundError:
                raise NotFound(f"outputs of job {job.id!r} are gone") from None
        try:
            engine = await self.engines.info(job.engine)
        except EngineUnavailable:
            engine = None
        local_paths = {output.index: str(path) for output, path in files}
        return JobResponse(job, data, base_url, engine, local_paths), large

    def pending(self, job: Job, base_url: str, dialect: Dialect | None = None) -> Body:
        """Return what says how far the job is, and where its result will be."""
        position = 0 if job.state in RUN else self.engines.position(job)
        dialect = dialect or BY_NAME[job.request.dialect]
        return dialect.pending(job, self.job_url(job, base_url), progress(job, position)) | changes_of(job)

    async def webhook(self, job: Job, webhook: Webhook) -> bytes:
        """Return what the sync route would have answered, in the envelope of the dialect's webhooks."""
        _, answered = await self.of(job, job.request.base_url)
        body = BY_NAME[job.request.dialect].event(job, webhook, answered.value)
        return await ResponseBody(body, answered.files).json()

    def job_url(self, job: Job, base_url: str) -> str:
        """The job's own, or the worker's where clients can only POST, to `/result`, `/cancel` and `/events`."""
        return f"{base_url}/jobs/{job.id}" if self.traits.job_urls else base_url


def _failed(job: Job, error: WorkerError, dialect: Dialect) -> Body:
    return dialect.failed(job.id, error) | changes_of(job)


def status_of(error: WorkerError, traits: Traits) -> int:
    """Return the HTTP status of an error.

    Where a client sends a 5xx again without end, to any worker, a bug of ours would come with it each time, and a
    result that is only not delivered would be made again: both are 422 there.
    """
    again = traits.retries_server_errors and (error.status == 500 or isinstance(error, DeliveryFailed))
    return 422 if again else error.status


def progress(job: Job, position: int) -> Body:
    """Return how far a job is that has not ended. `position`: how many jobs run before it."""
    node, step, now = None, None, job.progress
    if now is not None:
        node = {"node_id": now.node_id, "class_type": now.class_type, "title": now.title}
        step = None if now.value is None else {"value": now.value, "max": now.maximum}
    return {"state": job.state.value, "position": position, "node": node, "step": step}
