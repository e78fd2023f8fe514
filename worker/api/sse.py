"""A job's events as Server-Sent Events; a broken stream goes on after its Last-Event-ID."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
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
HEADERS = {
    **SAFE_HEADERS,
    "Content-Type": "text/event-stream",
    "Content-Disposition": 'inline; filename="events.txt"',
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


async def stream_events(request: web.Request, found: Services, job: Job) -> web.StreamResponse:
    after = last_event_id(request)
    job.request = replace(job.request, follows=True)  # seen where it is submitted, if that is still to come
    response = web.StreamResponse(headers=HEADERS)
    with suppress(ConnectionResetError):  # the client is gone before we are told so
        await response.prepare(request)
        request[STREAMING] = True
        await _write_events(EventSerializer(found, job, base_url(request, found)), response, after)
        await response.write_eof()
    return response


@dataclass(frozen=True, slots=True)
class EventSerializer:
    """Says what an event of a job is to the client that reaches this worker at `base_url`."""

    found: Services
    job: Job
    base_url: str

    async def describe(self, event: StreamedEvent) -> tuple[str, ResponseBody]:
        """Name and data of an event. `result` is what the sync route would have answered. Raises NotFound."""
        answers, job = self.found.intake.responses, self.job
        match event:
            case JobAccepted():
                url = answers.job_url(job, self.base_url)
                return "accepted", ResponseBody({"id": job.id, "token": job.token, "url": url})
            case OutputReady(output=output):
                output = await self.found.outputs.hashed(job, output)
                answer, large = await answers.facts(job, self.base_url, (output,))
                return "output", ResponseBody(native_output(answer, output).model_dump(exclude_none=True), large.files)
            case JobFinished():
                return "result", await self._result()
            case _:
                name, data = progress(event)
                return name, ResponseBody(data)

    async def _result(self) -> ResponseBody:
        try:
            _, body = await self.found.intake.responses.of(self.job, self.base_url)
        except NotFound as gone:
            return ResponseBody(BY_NAME[self.job.request.dialect].failed(self.job.id, gone))
        return body


async def _write_events(teller: EventSerializer, response: web.StreamResponse, after: int) -> None:
    found, job = teller.found, teller.job
    async with found.manager.count_waiter(job):
        keep_alive = asyncio.create_task(_keep_alive(response))
        try:
            async for number, event in found.replay.follow(job, after):
                try:
                    name, body = await teller.describe(event)
                except NotFound:
                    continue  # an output of a run that ComfyUI lost: it comes again, with the run
                await response.write(b"id: %d\nevent: %b\ndata: " % (number, name.encode()))
                async for piece in body.pieces():
                    await response.write(piece)
                await response.write(b"\n\n")
        finally:
            keep_alive.cancel()


def last_event_id(request: web.Request) -> int:
    """0 without the header. Raises InvalidField."""
    text = request.headers.get("Last-Event-ID", "0")
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise InvalidField(f"Last-Event-ID {text[:80]!r} is not a number of an event")
    return int(text)


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
