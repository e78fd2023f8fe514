"""A workflow asked about, not run."""

from __future__ import annotations

from contextlib import suppress
from random import SystemRandom

from aiohttp import hdrs, web

from worker.api.errors import DIALECT
from worker.api.request_body import caller_of, received
from worker.api.services import json_response, services
from worker.errors import ClientError, EngineUnavailable
from worker.intake.own_outputs import with_named_outputs
from worker.intake.workflow_files import put_stand_ins
from worker.load.workload import FLOOR
from worker.workflow.editor import is_ui
from worker.workflow.model_needs import downloads, saved_models
from worker.workflow.prompt import unwrap
from worker.workflow.validation.check import drawn, not_converted
from worker.workflow.validation.report import report


async def validate(request: web.Request) -> web.Response:
    """`POST /validate`: all that is wrong with a workflow, the models it needs and what it weighs; nothing runs."""
    found = services(request)
    principal = found.access.enter(request.headers.get(hdrs.AUTHORIZATION, ""))
    async with received(request) as (body, files):
        await put_stand_ins(body, request[DIALECT])
        saved = unwrap(body.value.get("workflow"))
        workflow = body.value.get("workflow")
        # A prompt is taken as it is, however wrong; anything else is read as a job is.
        if "workflow" not in body.value or is_ui(saved):
            try:
                workflow = (await found.intake.read(body, caller_of(request, principal), files)).request.prompt
            except ClientError as error:
                if not is_ui(saved):
                    raise
                return json_response(report(not_converted(error), (), FLOOR, lambda _: False).as_dict())
    with suppress(ValueError):  # what names no output stays, and is told as what it is
        workflow = with_named_outputs(workflow) if isinstance(workflow, dict) and not is_ui(workflow) else workflow
    told = await found.preflight.report(drawn(workflow, SystemRandom()), downloads(saved_models(saved)))
    if told is None:
        raise EngineUnavailable("ComfyUI does not say now what it can run")
    return json_response(told.as_dict())
