"""Responses whose body is an output file, for clients that prefer files to JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web

from worker.api.raw.accept import AcceptHeader, FileChoice
from worker.api.responses import file_headers, job_headers, job_response, send, send_file
from worker.api.services import Services, base_url
from worker.errors import Detail, InvalidField, NotAcceptable, NotFound, OutputTooLargeForInline, WorkerError
from worker.job import Job, Output, sorted_by_node
from worker.platforms.base import Traits


@dataclass(frozen=True, slots=True)
class FileRequest:
    """A request for a file as the body. `index` selects an output, and None means the first accepted one."""

    accepted: AcceptHeader
    index: int | None

    def select(self, outputs: Sequence[Output]) -> list[Output]:
        """Return the outputs that may be sent: the one with the requested index, or all. Raises NotFound."""
        if self.index is None:
            return list(outputs)
        requested = [output for output in outputs if output.index == self.index]
        if not requested:
            indexes = ", ".join(str(output.index) for output in outputs) or "none"
            raise NotFound(f"the job has no output {self.index}; its outputs are: {indexes}")
        return requested


def file_request_of(request: web.Request, traits: Traits) -> FileRequest | None:
    """Return the file that `Accept` and `?output=` request, or None if the response is JSON. Raises InvalidField."""
    headers = request.headers.getall(hdrs.ACCEPT, ())
    if not headers or not traits.raw_answers:
        return None
    accepted = AcceptHeader.read(headers)
    if not accepted.prefers_files:
        return None
    index = request.query.get("output")
    if index is not None and not (index.isascii() and index.isdecimal() and len(index) < 10):
        raise InvalidField(f"?output={index[:80]} must be the index of an output, counted from 0")
    return FileRequest(accepted, None if index is None else int(index))


async def file_response(
    request: web.Request, services: Services, job: Job, file_request: FileRequest
) -> web.StreamResponse:
    """Send the file that the client accepts.

    The response is JSON for an error, for a job that has not ended, and if JSON is preferred to all files of the job.
    """
    if not job.state.ended or job.error is not None:
        return await job_response(request, services, job)
    try:
        outputs = file_request.select(sorted_by_node(job.outputs))
        choice = file_request.accepted.choose(outputs)
        if choice is None and not file_request.accepted.json_quality:
            raise _not_acceptable(outputs)
        if choice is None:
            return await job_response(request, services, job)
        _check_size(choice.output, services)
        return await send_file(request, services.outputs.path(job, choice.output), choice.output, _headers(job, choice))
    except WorkerError as error:
        status, body = services.intake.responses.kept_result_error(job, error, base_url(request, services))
        return await send(request, status, body)


def _not_acceptable(outputs: Sequence[Output]) -> NotAcceptable:
    """Return the error for outputs of which none is accepted."""
    kinds = Counter(output.kind for output in outputs)
    available = ", ".join(f"{kind} ({count})" for kind, count in kinds.items()) or "none"
    details = [
        Detail(
            f"output {output.index} is {output.kind}, {output.mime}",
            output.node_id,
            suggestion=f"Accept: {output.mime}" if output.text is None else "Accept: application/json",
        )
        for output in outputs
    ]
    return NotAcceptable(f"no output has a type that `Accept` names; the outputs are: {available}", details)


def _check_size(output: Output, services: Services) -> None:
    """Raise OutputTooLargeForInline if the platform cannot carry the file."""
    limit = services.traits.max_response_bytes
    if limit is not None and output.size > limit:
        raise OutputTooLargeForInline(
            f"the file has {output.size:,} bytes, and the limit is {limit:,}: {services.delivery.inline_alternatives}"
        )


def _headers(job: Job, choice: FileChoice[Output]) -> dict[str, str]:
    """Return the headers of a file. They include ids, counts and times that the JSON response would have."""
    request = job.request
    lists = {"Problems": job.problems, "Repairs": request.repairs, "Warnings": request.warnings}
    counts = {f"X-Job-{name}": str(len(listed)) for name, listed in lists.items() if listed}
    return (
        file_headers(choice.output, choice.content_type)
        | counts
        | job_headers(job)
        | {"X-Job-Outputs": str(len(job.outputs)), "X-Output-Index": str(choice.output.index)}
    )
