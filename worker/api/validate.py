"""A workflow asked about, not run."""

from __future__ import annotations

from dataclasses import replace
from random import SystemRandom

from aiohttp import hdrs, web

from worker.api.errors import DIALECT
from worker.api.request_body import caller_of, received
from worker.api.services import json_response, services
from worker.errors import ClientError, Detail, EngineUnavailable
from worker.intake.workflow_files import put_stand_ins
from worker.load.workload import FLOOR
from worker.prompt_changes import SeedField
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
        beside = saved if is_ui(saved) else _beside(body.value)
        workflow = body.value.get("workflow")
        warnings: tuple[Detail, ...] = ()
        seeds: tuple[SeedField, ...] = ()
        # A prompt is taken as it is, however wrong; anything else is read as a job is.
        if "workflow" not in body.value or is_ui(saved):
            try:
                job = (await found.intake.read(body, caller_of(request, principal), files)).request
                workflow, warnings, seeds = job.prompt, job.warnings, job.seed_fields
            except ClientError as error:
                if not is_ui(saved):
                    raise
                return json_response(report(not_converted(error), (), FLOOR, lambda _: False).as_dict())
    told = await found.preflight.report(drawn(workflow, SystemRandom()), downloads(saved_models(saved)), beside)
    if told is None:
        raise EngineUnavailable("ComfyUI does not say now what it can run")
    return json_response(replace(told, warnings=warnings, seeds=seeds).as_dict())


def _beside(body: object) -> object:
    """What the editor saved, where it came beside a prompt."""
    match body:
        case {"extra_data": {"extra_pnginfo": {"workflow": workflow}}}:
            return workflow
    return None
