"""Route that converts a file of the editor to a prompt."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict

from aiohttp import BodyPartReader, web

from worker.api.edge.authorization import authorization_of
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
"""Beginning of JSON in any encoding. No image or video begins like this."""


async def convert_workflow(request: web.Request) -> web.Response:
    """Handle `POST /convert`: return the prompt for a file of the editor, or for a file with an embedded workflow."""
    services = services_of(request)
    services.access.admit(authorization_of(request))
    data = await _file_in_body(request)
    workflow = await asyncio.to_thread(_read_workflow, data, request.charset or "", services.intake.limits)
    if is_ui(workflow):
        conversion = await services.intake.convert(workflow)
    else:
        conversion = Conversion(prompt_of(workflow))
    body: Body = {
        "prompt": conversion.prompt,
        "warnings": [asdict(detail) for detail in conversion.warnings],
        "left_out": [asdict(detail) for detail in conversion.left_out],
    }
    if not strict_of(request):
        # The prompt in the response is not changed. The response lists the changes that a job would make in it.
        catalog = await services.intake.catalog()
        repaired = await asyncio.to_thread(repair, conversion.prompt, catalog)
        changes: dict[str, Sequence[Repair | SeedField]] = {"repairs": repaired.repairs, "seeds": conversion.seeds}
        body |= {name: [asdict(item) for item in items] for name, items in changes.items() if items}
    text = await run_off_loop_if_large(body, lambda: stringify(body))
    return web.Response(text=text, headers=SAFE_HEADERS, content_type="application/json")


def _read_workflow(data: bytes, charset: str, limits: BodyLimits) -> Json:
    """Return the workflow in the bytes of a JSON file, or in the metadata of an image or video.

    Raises BodyTooLarge for JSON that would take too long to parse, or CannotConvert.
    """
    if JSON.match(data):
        limits.check_units(parse_units(data))
    return extract_workflow(data, charset)


async def _file_in_body(request: web.Request) -> bytes:
    """Return the body, or the first part of a multipart body. Raises BodyTooLarge or ClientError."""
    max_mib = services_of(request).settings.server.max_body
    data = bytearray()
    try:
        if request.content_type != "multipart/form-data":
            return await request.read()  # aiohttp checks its size
        with multipart_errors_as_client_errors():
            part = await (await request.multipart()).next()
            if not isinstance(part, BodyPartReader):
                return b""  # no part, or a nested multipart body
            while chunk := await part.read_chunk(MIB):
                data += chunk
                if len(data) > max_mib * MIB:
                    raise too_large(max_mib)
    except web.RequestPayloadError as error:
        raise ClientError(f"cannot read the body: {error}") from None
    return bytes(data)
