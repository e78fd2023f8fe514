"""A job's answer as an HTTP response, whole or bit by bit."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

from aiohttp import hdrs, web

from worker.api.errors import STREAMING
from worker.api.services import SAFE_HEADERS, Services, base_url, json_response
from worker.dialects import Dialect
from worker.intake import ResponseBody
from worker.job import Job, Output
from worker.storage.active_content import disposition

WHOLE = 1024 * 1024
"""Bytes up to which an answer is sent in one piece."""


async def job_response(
    request: web.Request, found: Services, job: Job, dialect: Dialect | None = None
) -> web.StreamResponse:
    """Send the job's result or error; where it stands (202) as long as it has neither."""
    if not job.state.ended:
        return pending_response(request, found, job, dialect)
    status, body = await found.intake.responses.of(job, base_url(request, found), dialect)
    return await send(request, status, body)


def pending_response(request: web.Request, found: Services, job: Job, dialect: Dialect | None = None) -> web.Response:
    """202: the job goes on, and its token opens the result."""
    answers, base = found.intake.responses, base_url(request, found)
    return json_response(answers.pending(job, base, dialect), 202, {"Location": answers.job_url(job, base)})


def file_headers(output: Output, content_type: str) -> dict[str, str]:
    """Headers of a response whose body is the file of an output, or its text."""
    name = output.filename or f"output-{output.index}.txt"
    return {
        **SAFE_HEADERS,
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CONTENT_DISPOSITION: content_disposition(name, disposition(content_type)),
    }


def content_disposition(filename: str, kind: str = "inline") -> str:
    """Name a file as RFC 6266 does: in ASCII for old clients, and in UTF-8 where that is not the same."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in filename)
    encoded = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'{kind}; filename="{plain}"{encoded}'


async def send(request: web.Request, status: int, body: ResponseBody) -> web.StreamResponse:
    """Send JSON with its length; a large body is encoded while it is sent."""
    if body.size <= WHOLE:
        json = await body.json()
        return web.Response(body=json, status=status, headers=SAFE_HEADERS, content_type="application/json")
    response = web.StreamResponse(status=status, headers=SAFE_HEADERS)
    response.content_type, response.content_length = "application/json", body.size
    with suppress(ConnectionError):  # the client left
        await response.prepare(request)
        request[STREAMING] = True
        async for piece in body.pieces():
            await response.write(piece)
        await response.write_eof()
    return response
