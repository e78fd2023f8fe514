"""Events of a job as server-sent events. A client resumes a broken stream with `Last-Event-ID`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from worker.api.errors import STREAMING
from worker.api.services import SAFE_HEADERS, Services, base_url
from worker.dialects import BY_NAME
from worker.dialects.native import output as native_output
from worker.errors import InvalidField, NotFound
from worker.events import (
    JobAccepted,
    JobFinished,
    NodeStarted,
    OutputReady,
    PreviewReady,
    StateChanged,
    StepDone,
    StreamedEvent,
)
from worker.intake import ResponseBody
from worker.job import Job

KEEP_ALIVE_S = 15.0
LONGEST_NUMBER = 18
"""Digits of an event id."""
HEADERS = {
    **SAFE_HEADERS,
    "Content-Type": "text/event-stream",
    "Content-Disposition": 'inline; filename="events.txt"',
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


async def stream_events(request: web.Request, services: Services, job: Job) -> web.StreamResponse:
    """Stream the events of a job until it ends or the client disconnects.

    Raises InvalidField for a bad `Last-Event-ID`.
    """
    after = last_event_id(request)
    job.request = replace(job.request, follows=True)  # requests previews, if the job is not submitted yet
    response = web.StreamResponse(headers=HEADERS)
    with suppress(ConnectionResetError):  # the client disconnected
        await response.prepare(request)
        request[STREAMING] = True
        await _write_events(EventSerializer(services, job, base_url(request, services)), response, after)
        await response.write_eof()
    return response


@dataclass(frozen=True, slots=True)
class EventSerializer:
    """Serializes events of a job for a client that reaches this worker at `base_url`."""

    services: Services
    job: Job
    base_url: str

    async def describe(self, event: StreamedEvent, *, newest: bool = False) -> tuple[str, ResponseBody]:
        """Return name and data of an event. Raises NotFound if an output no longer exists.

        The data of `result` is the response of the synchronous route. The `newest` event of a job tells when it ends.
        """
        responses, job = self.services.intake.responses, self.job
        match event:
            case JobAccepted():
                url = responses.job_url(job, self.base_url)
                eta = responses.eta(job) if newest else {}
                return "accepted", ResponseBody({"id": job.id, "token": job.token, "url": url, **eta})
            case OutputReady(output=output):
                output = await self.services.outputs.hashed(job, output)
                response, large_files = await responses.response_data(job, self.base_url, (output,))
                return "output", ResponseBody(
                    native_output(response, output).model_dump(exclude_none=True), large_files.files
                )
            case JobFinished():
                return "result", await self._result()
            case _:
                name, data = progress(event)
                has_eta = newest and not isinstance(event, PreviewReady)
                return name, ResponseBody(data | responses.eta(job) if has_eta else data)

    async def _result(self) -> ResponseBody:
        """Return the response body of the synchronous route, or the error if an output no longer exists."""
        try:
            _, body = await self.services.intake.responses.of(self.job, self.base_url)
        except NotFound as error:
            return ResponseBody(BY_NAME[self.job.request.dialect].failed(self.job.id, error))
        return body


async def _write_events(serializer: EventSerializer, response: web.StreamResponse, after: int) -> None:
    """Write the events with a number above `after`, until the job ends."""
    services, job = serializer.services, serializer.job
    async with services.manager.count_waiter(job), kept_alive(response) as writing:
        async for number, event in services.replay.follow(job, after):
            try:
                is_newest = services.replay.is_newest(job, number)
                name, body = await serializer.describe(event, newest=is_newest)
            except NotFound:
                continue  # the run was lost and is repeated, so the output will be reported again
            async with writing:
                await response.write(b"id: %d\nevent: %b\ndata: " % (number, name.encode()))
                async for piece in body.pieces():
                    await response.write(piece)
                await response.write(b"\n\n")


def last_event_id(request: web.Request) -> int:
    """Return the number in `Last-Event-ID`, or 0 without the header. Raises InvalidField."""
    text = request.headers.get("Last-Event-ID", "0")
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise InvalidField(f"Last-Event-ID {text[:80]!r} is not the number of an event")
    return int(text)


def progress(event: StateChanged | NodeStarted | StepDone | PreviewReady) -> tuple[str, dict[str, Any]]:
    """Return name and data of an event that reports the progress of a job."""
    match event:
        case StateChanged(state=state):
            return "state", {"state": state.value}
        case NodeStarted(node_id=node_id, class_type=class_type, title=title):
            return "node", {"node_id": node_id, "class_type": class_type, "title": title}
        case StepDone(node_id=node_id, value=value, maximum=maximum):
            return "step", {"node_id": node_id, "value": value, "max": maximum}
        case PreviewReady(node_id=node_id, mime=mime, data=data):
            return "preview", {"node_id": node_id, "mime": mime, "data": base64.b64encode(data).decode()}


@asynccontextmanager
async def kept_alive(response: web.StreamResponse, every_s: float = KEEP_ALIVE_S) -> AsyncIterator[asyncio.Lock]:
    """Write a comment every `every_s` seconds, so that proxies do not close the connection during a long node.

    Yield the lock to hold while an event is written, because a comment in the middle of it would end it.
    """

    async def write_comments() -> None:
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(every_s)
                async with writing:
                    await response.write(b": keep-alive\n\n")

    writing = asyncio.Lock()
    task = asyncio.create_task(write_comments())
    try:
        yield writing
    finally:
        task.cancel()
