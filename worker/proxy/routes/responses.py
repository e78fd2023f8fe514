"""Responses for jobs of the proxy."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import orjson
from aiohttp import hdrs, web

from worker.api.errors import STREAMING
from worker.api.raw.accept import AcceptHeader
from worker.api.responses import content_disposition
from worker.api.services import SAFE_HEADERS, json_response
from worker.api.sse import HEADERS, kept_alive, last_event_id
from worker.bodies import in_thread
from worker.errors import NotAcceptable, NotFound
from worker.proxy.event_stream import events_of
from worker.proxy.job import ProxyJob, RemoteResult
from worker.proxy.results.answers import pending_body
from worker.proxy.results.outputs import OutputFile
from worker.proxy.services import base_url, proxy_of
from worker.storage.active_content import disposition

ANYTHING = "*/*"
PIECE = 1024 * 1024
"""Bytes of a result that are read and sent at a time."""


async def send_result(request: web.Request, job: ProxyJob) -> web.StreamResponse:
    """Send the result of a job that has ended: JSON, or a file if the client prefers files."""
    result = job.result
    assert result is not None  # noqa: S101 - it has ended
    headers = job_headers(job)
    if result.retry_after_s is not None:
        headers[hdrs.RETRY_AFTER] = str(math.ceil(result.retry_after_s))
    if result.status < 400 and request.headers.get(hdrs.ACCEPT, ANYTHING) != ANYTHING:
        accepted = AcceptHeader.read(request.headers.getall(hdrs.ACCEPT))
        if accepted.prefers_files:
            return await _send_accepted_file(request, job, accepted)
    if job.facts.wants_urls or result.data is not None:
        body = b"".join([piece async for piece in pieces_of(result)])
        body = _with_base_url(request, job, body)
        return web.Response(body=body, status=result.status, content_type=result.content_type, headers=headers)
    return await _send_pieces(request, result, headers)


async def send_pending(request: web.Request, job: ProxyJob) -> web.Response:
    """Send 202 with the state of a job."""
    status = await proxy_of(request).jobs.status(job)
    url = f"{base_url(request)}/jobs/{job.id}"
    progress = dict(status.progress) if status is not None else {"state": "queued"}
    return json_response(pending_body(job, url, progress), 202, {"Location": url})


async def send_events(request: web.Request, job: ProxyJob) -> web.StreamResponse:
    """Stream the events of a job until it ends. `Last-Event-ID` resumes them. Raises InvalidField."""
    services, url = proxy_of(request), f"{base_url(request)}/jobs/{job.id}"
    events = events_of(job, services.jobs, services.slots, last_event_id(request), url)
    response = web.StreamResponse(headers=HEADERS)
    with suppress(ConnectionResetError):  # the client disconnected
        await response.prepare(request)
        request[STREAMING] = True
        async with kept_alive(response) as writing:
            async for event in events:
                async with writing:
                    await response.write(b"id: %d\nevent: %b\ndata: " % (event.number, event.name.encode()))
                    if event.name == "result":
                        await _write_result(request, job, response)
                    else:
                        await response.write(event.data)
                    await response.write(b"\n\n")
        await response.write_eof()
    return response


async def send_file(job: ProxyJob, output: OutputFile) -> web.StreamResponse:
    """Send an output, with support of ranges, or redirect to its URL in a bucket."""
    if output.text is not None:
        return web.Response(text=output.text, headers={**SAFE_HEADERS, **job_headers(job)})
    if output.path is None:
        raise web.HTTPFound(output.url)
    return web.FileResponse(output.path, headers=_file_headers(job, output, output.mime))


async def _stream_file(request: web.Request, job: ProxyJob, output: OutputFile, mime: str) -> web.StreamResponse:
    """Send a file to its end, because it may be removed when the route has ended."""
    response = web.StreamResponse(headers=_file_headers(job, output, mime))
    assert output.path is not None  # noqa: S101 - it was chosen for its file
    with suppress(ConnectionResetError), output.path.open("rb") as file:  # the client disconnected
        response.content_length = os.fstat(file.fileno()).st_size
        await response.prepare(request)
        request[STREAMING] = True
        while piece := await in_thread(lambda: file.read(PIECE)):
            await response.write(piece)
        await response.write_eof()
    return response


def _file_headers(job: ProxyJob, output: OutputFile, mime: str) -> dict[str, str]:
    """Return the headers of a response whose body is an output."""
    name = content_disposition(output.filename, disposition(mime))
    return {**SAFE_HEADERS, **job_headers(job), hdrs.CONTENT_TYPE: mime, hdrs.CONTENT_DISPOSITION: name}


def job_headers(job: ProxyJob) -> dict[str, str]:
    """Return the headers with the backend that ran a job, and with the number of backends that were asked."""
    if not job.attempts:
        return {}
    return {"X-Comfy-Backend": job.attempts[-1].backend, "X-Comfy-Attempts": str(len(job.attempts))}


async def _send_accepted_file(request: web.Request, job: ProxyJob, accepted: AcceptHeader) -> web.StreamResponse:
    """Send the output that the client accepts. Raises NotAcceptable, and NotFound for a wrong `?output=`."""
    outputs = proxy_of(request).outputs
    index = request.query.get("output")
    files: Sequence[OutputFile] = [await outputs.output(job, index)] if index is not None else await outputs.all(job)
    choice = accepted.choose([output for output in files if output.path is not None])
    if choice is None:
        kinds = ", ".join(sorted({output.mime for output in files})) or "none"
        raise NotAcceptable(f"the job {job.id!r} has no output of an accepted type; the types are: {kinds}")
    return await _stream_file(request, job, choice.output, choice.content_type)


async def _send_pieces(request: web.Request, result: RemoteResult, headers: dict[str, str]) -> web.StreamResponse:
    """Send a large result in pieces. Raises NotFound if its file does not exist any more."""
    if result.data is None and (result.path is None or not await in_thread(result.path.is_file)):
        raise NotFound("the result of the job does not exist any more")
    response = web.StreamResponse(status=result.status, headers=headers)
    response.content_type, response.content_length = result.content_type, result.size
    with suppress(ConnectionResetError):  # the client disconnected
        await response.prepare(request)
        request[STREAMING] = True
        async for piece in pieces_of(result):
            await response.write(piece)
        await response.write_eof()
    return response


async def pieces_of(result: RemoteResult) -> AsyncIterator[bytes]:
    """Yield the body of a result."""
    if result.data is not None or result.path is None:
        yield result.data or b""
        return
    with result.path.open("rb") as file:
        while piece := await in_thread(lambda: file.read(PIECE)):
            yield piece


async def _write_result(request: web.Request, job: ProxyJob, response: web.StreamResponse) -> None:
    """Write the result of a job as the data of an event."""
    result = job.result
    assert result is not None  # noqa: S101 - it has ended
    if job.facts.wants_urls:
        body = b"".join([piece async for piece in pieces_of(result)])
        return await response.write(_with_base_url(request, job, body))
    async for piece in pieces_of(result):
        await response.write(piece)
    return None


def _with_base_url(request: web.Request, job: ProxyJob, body: bytes) -> bytes:
    """Return a result whose paths of this proxy are URLs for the client of a request."""
    if not job.facts.wants_urls or job.result is None or job.result.status >= 400:
        return body
    value = orjson.loads(body)
    base = base_url(request)
    for item in (value, *value.get("outputs", ())):
        for name in ("url", "image"):
            if str(item.get(name, "")).startswith("/jobs/"):
                item[name] = base + item[name]
    return orjson.dumps(value)
