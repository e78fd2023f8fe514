"""Builds the response body for a job, in the dialect of its request."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from worker.bodies import in_thread
from worker.delivery_options import Webhook
from worker.dialects import BY_NAME, Body, Dialect, JobResponse
from worker.dialects.base import changes_of
from worker.engine.pool import EnginePool
from worker.errors import DeliveryFailed, EngineUnavailable, NotFound, OutputTooLargeForInline, WorkerError
from worker.handlers.pool import HandlerPool
from worker.intake.response_body import SMALL, LargeFiles, ResponseBody, encode_base64
from worker.job import Job, JobState, Output, OutputMode
from worker.outputs.delivery import Delivery
from worker.outputs.files import Outputs
from worker.platforms.base import Traits

STARTED_STATES = frozenset({JobState.GENERATING, JobState.DELIVERING})
"""States in which no other job runs before this one."""


@dataclass(frozen=True, slots=True)
class JobResponses:
    """Builds responses.

    In its methods, `base_url` is the URL at which the client reaches this worker. `dialect` is by default that of the
    request that started the job.
    """

    traits: Traits
    outputs: Outputs
    engines: EnginePool
    delivery: Delivery
    usd_hour: float = 0.0
    """Price of a GPU in US dollars an hour, 0 if it is not known."""
    handlers: HandlerPool | None = None

    async def of(self, job: Job, base_url: str, dialect: Dialect | None = None) -> tuple[int, ResponseBody]:
        """Return HTTP status and body for a job in any state. Store the hashes of its outputs in the job.

        Raises NotFound if its outputs no longer exist.
        """
        dialect = dialect or BY_NAME[job.request.dialect]
        if not job.state.ended:
            return 202, ResponseBody(self.pending(job, base_url, dialect))
        if job.error is not None:
            return self._error(job, job.error, base_url, dialect)
        if job.request.handler is not None:
            return 200, await self.handler_result(job)
        try:
            # At the end of the job this is not checked if its response was planned to be a file.
            self.delivery.check_inline(job)
        except OutputTooLargeForInline as too_large:
            return self.kept_result_error(job, too_large, base_url, dialect)
        job.outputs = tuple([await self.outputs.hashed(job, output) for output in job.outputs])
        data, large_files = await self.response_data(job, base_url, job.outputs)
        response, limit = ResponseBody(dialect.completed(data), large_files.files), self.traits.max_response_bytes
        if limit is not None and response.size > limit:
            error = OutputTooLargeForInline(
                f"the response has {response.size:,} bytes, and the limit is {limit:,}: "
                f"{self.delivery.inline_alternatives}"
            )
            return error.status, ResponseBody(_error_body(job, error, dialect))
        return 200, response

    def _error(self, job: Job, error: WorkerError, base_url: str, dialect: Dialect) -> tuple[int, ResponseBody]:
        """Return HTTP status and body for a job that has failed, or whose result could not be delivered."""
        if job.state is JobState.DELIVERY_PENDING:
            return self.kept_result_error(job, error, base_url, dialect)
        return status_of(error, self.traits), ResponseBody(_error_body(job, error, dialect))

    async def handler_result(self, job: Job) -> ResponseBody:
        """Return the result of a handler with the id of its job. Bytes are base64. Raises NotFound."""
        output = job.outputs[0]
        try:
            data = await in_thread(self.outputs.path(job, output).read_bytes)
        except FileNotFoundError:
            raise NotFound(f"the result of job {job.id!r} no longer exists") from None
        file = {"media_type": output.mime, "data": encode_base64(data).decode()}
        result = orjson.Fragment(data) if output.kind == "json" else file
        return ResponseBody({"id": job.id, "status": "completed", "result": result})

    def kept_result_error(
        self, job: Job, error: WorkerError, base_url: str, dialect: Dialect | None = None
    ) -> tuple[int, ResponseBody]:
        """Return HTTP status and body of the error, for a job whose result is kept but not in this response.

        With the token and the URL in the body, the client can fetch the result.
        """
        body = _error_body(job, error, dialect or BY_NAME[job.request.dialect])
        body |= {"token": job.token, "url": self.job_url(job, base_url)}
        return status_of(error, self.traits), ResponseBody(body)

    async def response_data(
        self, job: Job, base_url: str, outputs: tuple[Output, ...]
    ) -> tuple[JobResponse, LargeFiles]:
        """Return the data for a response, and the large files, which are encoded only while the response is sent.

        If the request wants base64, the data has the base64 of small files and the placeholders of large files. Raises
        NotFound if a file no longer exists.
        """
        files = [(output, self.outputs.path(job, output)) for output in outputs if output.text is None]
        large_files, base64_by_index = LargeFiles(), {}
        if job.request.output_mode is OutputMode.BASE64:
            try:
                for output, path in files:
                    if output.size <= SMALL:
                        base64_by_index[output.index] = encode_base64(path.read_bytes()).decode()
                    else:
                        base64_by_index[output.index] = large_files.add(path, output.size)
            except FileNotFoundError:
                raise NotFound(f"the outputs of job {job.id!r} no longer exist") from None
        try:
            engine = await self.engines.info(job.engine)
        except EngineUnavailable:
            engine = None
        local_paths = {output.index: str(path) for output, path in files}
        return JobResponse(job, base64_by_index, base_url, engine, local_paths, self.usd_hour), large_files

    def pending(self, job: Job, base_url: str, dialect: Dialect | None = None) -> Body:
        """Return the body for a job that has not ended: its progress, and the URL of its result."""
        position = 0 if job.state in STARTED_STATES else self._position(job)
        dialect = dialect or BY_NAME[job.request.dialect]
        fields = progress(job, position) | self.eta(job)
        return dialect.pending(job, self.job_url(job, base_url), fields) | changes_of(job)

    def _position(self, job: Job) -> int:
        """Return the number of jobs that run before a job, for the call of a handler the number of such calls."""
        if job.request.handler is None:
            return self.engines.position(job)
        return self.handlers.position(job) if self.handlers is not None else 0

    def eta(self, job: Job) -> Body:
        """Return the fields with the seconds until ComfyUI has run a job: the median, and the 90 % quantile.

        There are none for the call of a handler, whose prompts are not known in advance.
        """
        if job.request.handler is not None:
            return {}
        seconds = self.engines.estimates.finish(job)
        return {"eta_s": round(seconds.p50_s, 1), "eta_p90_s": round(seconds.p90_s, 1)}

    async def webhook_body(self, job: Job, webhook: Webhook) -> bytes:
        """Return the body of a webhook for a job, with the response of the synchronous route in it."""
        _, response = await self.of(job, job.request.base_url)
        body = BY_NAME[job.request.dialect].event(job, webhook, response.value)
        return await ResponseBody(body, response.files).json()

    def job_url(self, job: Job, base_url: str) -> str:
        """Return the URL of the job.

        On a platform whose clients can only POST it is `base_url`, to which they add `/result`, `/cancel` or `/events`.
        """
        return f"{base_url}/jobs/{job.id}" if self.traits.job_urls else base_url


def _error_body(job: Job, error: WorkerError, dialect: Dialect) -> Body:
    """Return the body of an error with the repairs and warnings of the job."""
    return dialect.failed(job.id, error) | changes_of(job)


def status_of(error: WorkerError, traits: Traits) -> int:
    """Return the HTTP status of an error.

    The clients of some platforms repeat a request without end after a 5xx response, on any worker. They get 422 for a
    bug, which would occur again, and for a failed delivery, because the repeated request would compute the result anew.
    """
    is_useless_to_repeat = error.status == 500 or isinstance(error, DeliveryFailed)
    return 422 if traits.retries_server_errors and is_useless_to_repeat else error.status


def progress(job: Job, position: int) -> Body:
    """Return the progress of a job that has not ended: its state, its position, the running node and its step.

    `position` is the number of jobs that run before it. Node and step are None if they are not known.
    """
    node, step, running_node = None, None, job.progress
    if running_node is not None:
        node = {"node_id": running_node.node_id, "class_type": running_node.class_type, "title": running_node.title}
        step = None if running_node.value is None else {"value": running_node.value, "max": running_node.maximum}
    return {"state": job.state.value, "position": position, "node": node, "step": step}
