"""From a job to a response, in the dialect it was asked in."""

from __future__ import annotations

import orjson
from aiohttp import web

from worker.api.errors import status_of
from worker.api.services import Services, base_url, json_response, services
from worker.delivery_options import Webhook
from worker.dialects import BY_NAME, Answer, Body, Dialect
from worker.errors import EngineUnavailable, NotFound, OutputTooLargeForInline
from worker.job import Job, JobState, Output, OutputMode
from worker.storage.inline import encode


async def job_response(request: web.Request, job: Job, dialect: Dialect | None = None) -> web.Response:
    """The job's result or error; where it stands (202) as long as it has neither."""
    dialect = dialect or BY_NAME[job.request.dialect]
    if not job.state.ended:
        return pending_response(request, job, dialect)
    status, body = await final_body(services(request), job, base_url(request), dialect)
    return json_response(body, status)


async def final_body(found: Services, job: Job, base: str, dialect: Dialect | None = None) -> tuple[int, Body]:
    """HTTP status and body of a job that has ended."""
    dialect = dialect or BY_NAME[job.request.dialect]
    if job.error is not None:
        body = dialect.failed(job.id, job.error)
        if job.state is JobState.DELIVERY_PENDING:  # the result is kept, and this opens it
            body |= {"token": job.token, "url": job_url(found, job, base)}
        return status_of(job.error, found.traits), body
    body = dialect.completed(await answer(found, job, base, job.outputs))
    most = found.traits.largest_answer
    if most is not None and (size := len(orjson.dumps(body))) > most:
        too_large = OutputTooLargeForInline(
            f"the answer has {size:,} bytes, and {most:,} can be sent: {found.delivery.outside_inline}"
        )
        return too_large.status, dialect.failed(job.id, too_large)
    return 200, body


async def answer(found: Services, job: Job, base: str, outputs: tuple[Output, ...]) -> Answer:
    """With these outputs' files in base64 where the job wants them inline. Raises NotFound for a file that is gone."""
    files = {output: found.outputs.path(job, output) for output in outputs if output.text is None}
    data: dict[int, str] = {}
    if job.request.output_mode is OutputMode.BASE64:
        try:
            data = {output.index: await encode(path, output.size) for output, path in files.items()}
        except FileNotFoundError:
            raise NotFound(f"outputs of job {job.id!r} are gone") from None
    try:
        engine = await found.engines.info(job.engine)
    except EngineUnavailable:
        engine = None
    return Answer(job, data, base, engine, {output.index: str(path) for output, path in files.items()})


def pending_response(request: web.Request, job: Job, dialect: Dialect | None = None) -> web.Response:
    """202: the job goes on, and its token opens the result."""
    dialect = dialect or BY_NAME[job.request.dialect]
    url = job_url(services(request), job, base_url(request))
    return json_response(dialect.pending(job, url), 202, {"Location": url})


def job_url(found: Services, job: Job, base: str) -> str:
    """The job's own, or the worker's where clients can only POST, to `/result`, `/cancel` and `/events`."""
    return f"{base}/jobs/{job.id}" if found.traits.job_urls else base


async def webhook_body(found: Services, job: Job, webhook: Webhook) -> bytes:
    """What the sync route would have answered, in the envelope of the dialect's webhooks."""
    dialect = BY_NAME[job.request.dialect]
    _, body = await final_body(found, job, job.request.base_url, dialect)
    return orjson.dumps(dialect.event(job, webhook, body))
