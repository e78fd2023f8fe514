"""A job's events as Server-Sent Events; a broken stream goes on after its Last-Event-ID."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from worker.api.errors import STREAMING
from worker.api.responses import answer, final_body, job_url
from worker.api.services import base_url, services
from worker.dialects import BY_NAME
from worker.dialects.native import output as native_output
from worker.errors import InvalidField, NotFound
from worker.events import (
    Followed,
    JobAccepted,
    JobFinished,
    NodeStarted,
    OutputReady,
    PreviewReady,
    StateChanged,
    StepDone,
)
from worker.job import Job

KEEP_ALIVE_S = 15.0
LONGEST_NUMBER = 18
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def stream_events(request: web.Request, job: Job) -> web.StreamResponse:
    after = last_event_id(request)
    response = web.StreamResponse(headers=HEADERS)
    with suppress(ConnectionResetError):  # the client is gone before we are told so
        await response.prepare(request)
        request[STREAMING] = True
        await _write_events(request, response, job, after)
        await response.write_eof()
    return response


async def _write_events(request: web.Request, response: web.StreamResponse, job: Job, after: int) -> None:
    async with services(request).manager.waiting(job):
        keep_alive = asyncio.create_task(_keep_alive(response))
        try:
            async for number, event in services(request).replay.follow(job, after):
                try:
                    name, data = await describe(request, job, event)
                except NotFound:
                    continue  # an output of a run that ComfyUI lost: it comes again, with the run
                await response.write(b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name.encode(), orjson.dumps(data)))
        finally:
            keep_alive.cancel()


def last_event_id(request: web.Request) -> int:
    """0 without the header. Raises InvalidField."""
    text = request.headers.get("Last-Event-ID", "0")
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise InvalidField(f"Last-Event-ID {text[:80]!r} is not a number of an event")
    return int(text)


async def describe(request: web.Request, job: Job, event: Followed) -> tuple[str, dict[str, Any]]:
    """Name and data of an event. `result` is what the sync route would have answered."""
    match event:
        case JobAccepted():
            return "accepted", {
                "id": job.id,
                "token": job.token,
                "url": job_url(services(request), job, base_url(request)),
            }
        case OutputReady(output=output):
            found = await answer(services(request), job, base_url(request), (output,))
            return "output", native_output(found, output).model_dump(exclude_none=True)
        case JobFinished():
            return "result", await _result(request, job)
        case _:
            return progress(event)


async def _result(request: web.Request, job: Job) -> dict[str, Any]:
    try:
        _, body = await final_body(services(request), job, base_url(request))
    except NotFound as gone:
        return BY_NAME[job.request.dialect].failed(job.id, gone)
    return body


def progress(event: StateChanged | NodeStarted | StepDone | PreviewReady) -> tuple[str, dict[str, Any]]:
    match event:
        case StateChanged(state=state):
            return "state", {"state": state.value}
        case NodeStarted(node_id=node_id, class_type=class_type, title=title):
            return "node", {"node_id": node_id, "class_type": class_type, "title": title}
        case StepDone(node_id=node_id, value=value, maximum=maximum):
            return "step", {"node_id": node_id, "value": value, "max": maximum}
        case PreviewReady(node_id=node_id, mime=mime, data=data):
            return "preview", {"node_id": node_id, "mime": mime, "data": base64.b64encode(data).decode()}


async def _keep_alive(response: web.StreamResponse) -> None:
    """A comment now and then, so that proxies don't take a long node for a dead connection."""
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            await response.write(b": keep-alive\n\n")
