"""What the editor saves, turned into a prompt with the catalog of the engine that will run it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict

from aiohttp import BodyPartReader, hdrs, web

from worker.api.edge.form_parts import multipart_errors_as_client_errors
from worker.api.errors import too_large
from worker.api.request_body import strict_of
from worker.api.services import SAFE_HEADERS, services_of
from worker.bodies import BodyLimits
from worker.bodies.limits import parse_units
from worker.dialects.base import Body, prompt_of
from worker.errors import ClientError
from worker.prompt_changes import Repair, SeedField
from worker.workflow.editor import Conversion, is_ui, stringify
from worker.workflow.embedded_metadata import extract_workflow
from worker.workflow.json_value import Json
from worker.workflow.repairs import repair
from worker.workflow.walk import run_off_loop_if_large

MIB = 1024 * 1024
JSON = re.compile(rb"[\s\0\xef\xbb\xbf\xff\xfe]*[{\[]")
"""The beginning of JSON in any encoding, which no other kind of file has."""


async def convert_workflow(request: web.Request) -> web.Response:
    """`POST /convert`: the prompt of what the editor saves, or of a file that carries its workflow."""
    found = services_of(request)
    found.access.admit(request.headers.get(hdrs.AUTHORIZATION, ""))
    data = await _sent(request)
    workflow = await asyncio.to_thread(_workflow, data, request.charset or "", found.intake.limits)
    if is_ui(workflow):
        conversion = await found.intake.convert(workflow)
    else:
        conversion = Conversion(prompt_of(workflow))
    body: Body = {
        "prompt": conversion.prompt,
        "warnings": [asdict(detail) for detail in conversion.warnings],
        "left_out": [asdict(detail) for detail in conversion.left_out],
    }
    # The prompt is the editor's, seeds included: this is what a job would change in it.
    strict = strict_of(request)
    repairs: Sequence[Repair] = ()
    if not strict:
        repairs = (await asyncio.to_thread(repair, conversion.prompt, await found.intake.catalog())).repairs
    changes: dict[str, Sequence[Repair | SeedField]] = {"repairs": repairs, "seeds": () if strict else conversion.seeds}
    body |= {name: [asdict(one) for one in listed] for name, listed in changes.items() if listed}
    text = await run_off_loop_if_large(body, lambda: stringify(body))
    return web.Response(text=text, headers=SAFE_HEADERS, content_type="application/json")


def _workflow(data: bytes, charset: str, limits: BodyLimits) -> Json:
    """Read a workflow file. Raises BodyTooLarge for JSON that would take too long to parse, CannotConvert."""
    if JSON.match(data):
        limits.check_units(parse_units(data))
    return extract_workflow(data, charset)


async def _sent(request: web.Request) -> bytes:
    """The body; of a multipart one the first part. Raises BodyTooLarge, ClientError."""
    most = services_of(request).settings.server.max_body
    data = bytearray()
    try:
        if request.content_type != "multipart/form-data":
            return await request.read()
        with multipart_errors_as_client_errors():
            part = await (await request.multipart()).next()
            while isinstance(part, BodyPartReader) and (chunk := await part.read_chunk(MIB)):
                data += chunk
                if len(data) > most * MIB:
                    raise too_large(most)
    except web.RequestPayloadError as error:
        raise ClientError(f"the body can't be read: {error}") from None
    return bytes(data)
