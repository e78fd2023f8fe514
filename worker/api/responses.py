"""HTTP responses for jobs."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import quote

from aiohttp import hdrs, web

from worker.api.errors import STREAMING
from worker.api.services import SAFE_HEADERS, Services, base_url, json_response
from worker.dialects import Dialect
from worker.intake import ResponseBody
from worker.job import Job, Output
from worker.storage.active_content import disposition

LARGEST_IN_ONE_PIECE = 1024 * 1024
"""Largest body in bytes that is sent in one piece."""


async def job_response(
    request: web.Request, services: Services, job: Job, dialect: Dialect | None = None
) -> web.StreamResponse:
    """Send the result or the error of a job, or 202 if it has not ended."""
    if not job.state.ended:
        return pending_response(request, services, job, dialect)
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
        async for piece in body.pieces():
            await response.write(piece)
        await response.write_eof()
    return response
