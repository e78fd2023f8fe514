"""What the editor saves, turned into a prompt with the catalog of the engine that will run it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace

from aiohttp import BodyPartReader, hdrs, web

from worker.api.errors import too_large
from worker.api.services import Services, services
from worker.dialects.base import Body, prompt_of
from worker.errors import ClientError, EngineUnavailable
from worker.job import JobRequest
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.editor import Conversion, convert, is_ui, stringify
from worker.workflow.embedded_metadata import workflow_in

MIB = 1024 * 1024


async def convert_workflow(request: web.Request) -> web.Response:
    """`POST /convert`: the prompt of what the editor saves, or of a picture or video that carries its workflow."""
    found = services(request)
    found.access.known(request.headers.get(hdrs.AUTHORIZATION, ""))
    workflow = workflow_in(await _sent(request))
    if is_ui(workflow):
        conversion = await _convert(found, workflow)
    else:
        conversion = Conversion(prompt_of(workflow))
    body: Body = {
        "prompt": conversion.prompt,
        "warnings": [asdict(detail) for detail in conversion.warnings],
        "left_out": [asdict(detail) for detail in conversion.left_out],
    }
    return web.Response(text=stringify(body), content_type="application/json")


async def converted(found: Services, job: JobRequest) -> JobRequest:
    """The job with a prompt that can run. Raises CannotConvert, InvalidWorkflow."""
    if not is_ui(job.prompt):
        return job
    conversion = await _convert(found, job.prompt)
    return replace(job, prompt=dict(prompt_of(conversion.prompt)))


async def _convert(found: Services, workflow: object) -> Conversion:
    """In a thread: a large workflow takes longer than others should wait."""
    return await asyncio.to_thread(convert, workflow, await _catalog(found))


async def _catalog(found: Services) -> Catalog:
    try:
        return await found.engine.catalog()
    except EngineUnavailable:
        return bundled_catalog()


async def _sent(request: web.Request) -> bytes:
    """The body; of a multipart one the first part. Raises BodyTooLarge, ClientError."""
    most = services(request).settings.max_body
    try:
        if request.content_type != "multipart/form-data":
            return await request.read()
        part = await (await request.multipart()).next()
        data = bytearray()
        while isinstance(part, BodyPartReader) and (chunk := await part.read_chunk(MIB)):
            data += chunk
            if len(data) > most * MIB:
                raise too_large(most)
    except (ValueError, web.RequestPayloadError) as error:
        raise ClientError(f"the body can't be read: {error}") from None
    return bytes(data)
