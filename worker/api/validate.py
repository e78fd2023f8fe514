"""A workflow asked about, not run."""

from __future__ import annotations

from collections.abc import Mapping
from random import SystemRandom
from typing import Any

from aiohttp import hdrs, web

from worker.api.request_body import parse_object, read_body, read_job
from worker.api.services import json_response, services
from worker.errors import ClientError, EngineUnavailable
from worker.load.workload import FLOOR
from worker.workflow.editor import is_ui
from worker.workflow.model_needs import downloads, saved_models
from worker.workflow.prompt import unwrap
from worker.workflow.validation.check import drawn, not_converted
from worker.workflow.validation.report import report


async def validate(request: web.Request) -> web.Response:
    """`POST /validate`: all that is wrong with a workflow, the models it needs and what it weighs; nothing runs."""
    found = services(request)
    found.access.enter(request.headers.get(hdrs.AUTHORIZATION, ""))
    body = parse_object(await read_body(request))
    saved = unwrap(body.get("workflow"))
    try:
        workflow = await _workflow(request, body)
    except ClientError as error:
        if not is_ui(saved):
            raise
        return json_response(report(not_converted(error), (), FLOOR, lambda _: False).as_dict())
    told = await found.preflight.report(drawn(workflow, SystemRandom()), downloads(saved_models(saved)))
    if told is None:
        raise EngineUnavailable("ComfyUI does not say now what it can run")
    return json_response(told.as_dict())


async def _workflow(request: web.Request, body: Mapping[str, Any]) -> object:
    """As it is, however wrong; what is no prompt yet is read as that of a job."""
    if "workflow" in body and not is_ui(unwrap(body["workflow"])):
        return body["workflow"]
    return (await read_job(request)).prompt
