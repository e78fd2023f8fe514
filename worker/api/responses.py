"""HTTP responses for jobs."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from aiohttp import hdrs, web

from worker.api.errors import STREAMING
from worker.api.services import SAFE_HEADERS, Services, base_url, json_response
from worker.bodies import in_thread
from worker.dialects import Dialect
from worker.errors import NotFound
from worker.intake import ResponseBody
from worker.job import Job, JobState, Output
from worker.storage.active_content import disposition

LARGEST_IN_ONE_PIECE = 1024 * 1024
"""Largest body in bytes that is sent in one piece."""
LARGEST_ON_LOOP = 64 * 1024
"""Largest file in bytes that is read on the event loop, because a thread would take longer."""
PIECE = 1024 * 1024
"""Bytes of a file that are read and sent at a time."""
TIMED_STATES = (JobState.QUEUED, JobState.PREPARING, JobState.WAITING, JobState.GENERATING, JobState.DELIVERING)


async def job_response(
    request: web.Request, services: Services, job: Job, dialect: Dialect | None = None
) -> web.StreamResponse:
    """Send the result or the error of a job, or 202 if it has not ended. The result of a handler is sent as it is."""
    if not job.state.ended:
        return pending_response(request, services, job, dialect)
    if job.request.handler is not None and job.error is None and dialect is None:
        output = job.outputs[0]
        headers = file_headers(output, output.mime) | job_headers(job)
        return await send_file(request, services.outputs.path(job, output), output, headers)
    status, body = await services.intake.responses.of(job, base_url(request, services), dialect)
    return await send(request, status, body)


def pending_response(
    request: web.Request, services: Services, job: Job, dialect: Dialect | None = None
) -> web.Response:
    """Return 202 with the state of the job and the token for its result."""
    responses, url = services.intake.responses, base_url(request, services)
    return json_response(responses.pending(job, url, dialect), 202, {"Location": responses.job_url(job, url)})


def file_headers(output: Output, content_type: str) -> dict[str, str]:
    """Return the headers of a response whose body is an output."""
    name = output.filename or f"output-{output.index}.txt"
    return {
        **SAFE_HEADERS,
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CONTENT_DISPOSITION: content_disposition(name, disposition(content_type)),
    }


def job_headers(job: Job) -> dict[str, str]:
    """Return the headers of a response whose body says nothing about its job: id, token and times."""
    stages = [(state.value, job.stages[state]) for state in TIMED_STATES if state in job.stages]
    times = [f"{name};dur={seconds * 1000:.2f}" for name, seconds in (*stages, ("total", job.elapsed_s))]
    identity = {"X-Job-Id": job.id, "X-Job-Token": job.token}
    return identity | {"Server-Timing": ", ".join(times), "Cache-Control": "no-store"}


def content_disposition(filename: str, kind: str = "inline") -> str:
    """Return the value of `Content-Disposition` (RFC 6266). The name is in ASCII, and also in UTF-8 if it needs that.

    `kind` is `inline` or `attachment`.
    """
    ascii_name = re.sub(r'[^ -~]|["\\%]', "_", filename)
    utf8_part = "" if ascii_name == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'{kind}; filename="{ascii_name}"{utf8_part}'


async def send(request: web.Request, status: int, body: ResponseBody) -> web.StreamResponse:
    """Send a JSON body with its length. A large body is encoded while it is sent."""
    if body.size <= LARGEST_IN_ONE_PIECE:
        json = await body.json()
        return web.Response(body=json, status=status, headers=SAFE_HEADERS, content_type="application/json")
    response = web.StreamResponse(status=status, headers=SAFE_HEADERS)
    response.content_type, response.content_length = "application/json", body.size
    with suppress(ConnectionError):  # the client disconnected
        await response.prepare(request)
        request[STREAMING] = True
        if request.method != hdrs.METH_HEAD:
            async for piece in body.pieces():
                await response.write(piece)
        await response.write_eof()
    return response


async def send_file(request: web.Request, path: Path, output: Output, headers: dict[str, str]) -> web.StreamResponse:
    """Send the file of an output, a large one in pieces.

    Raises NotFound before anything is sent, or OSError if the file is shorter than the output.
    """
    try:
        if output.size <= LARGEST_ON_LOOP:
            return web.Response(body=_read(path, output.size), headers=headers)
        file, piece = await in_thread(partial(_open, path))
    except FileNotFoundError:
        raise NotFound(f"output {output.index} of the job no longer exists") from None
    size = output.size if request.method != hdrs.METH_HEAD else 0  # of what is sent
    with file:
        response = web.StreamResponse(headers=headers)
        response.content_length = output.size
        with suppress(ConnectionError):  # the client disconnected
            await response.prepare(request)
            request[STREAMING] = True
            sent_bytes = 0
            while piece and sent_bytes < size:
                await response.write(piece)
                sent_bytes += len(piece)
                piece = await in_thread(partial(file.read, PIECE)) if sent_bytes < size else b""
            _check_length(path, sent_bytes, size)
            await response.write_eof()
    return response


def _check_length(path: Path, length: int, expected: int) -> None:
    """Raise OSError if a file has another length than when its job ended, which is the `Content-Length`."""
    if length != expected:
        raise OSError(f"{path} has changed since the job ended, so the response is incomplete")


def _read(path: Path, size: int) -> bytes:
    """Return the content of a file. Raises OSError if its size has changed."""
    data = path.read_bytes()
    _check_length(path, len(data), size)
    return data


def _open(path: Path) -> tuple[BinaryIO, bytes]:
    """Return an open file and its first piece. With both in one call, most images need only one call of a thread."""
    file = path.open("rb", buffering=0)
    try:
        return file, file.read(PIECE)
    except BaseException:
        file.close()
        raise
