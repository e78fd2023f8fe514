"""A workflow asked about, not run."""

from __future__ import annotations

from random import SystemRandom

from aiohttp import hdrs, web

from worker.errors import EngineUnavailable
from worker.gateway.body import parse_object, read_body, read_job
from worker.gateway.services import json_response, services
from worker.graph.check import drawn
from worker.graph.models import downloads, saved_models


async def validate(request: web.Request) -> web.Response:
    """`POST /validate`: all that is wrong with a workflow, the models it needs and what it weighs; nothing runs."""
    found = services(request)
    found.access.enter(request.headers.get(hdrs.AUTHORIZATION, ""))
    body = parse_object(await read_body(request))
    workflow = body["workflow"] if "workflow" in body else (await read_job(request)).prompt
    report = await found.vetting.report(drawn(workflow, SystemRandom()), downloads(saved_models(workflow)))
    if report is None:
        raise EngineUnavailable("ComfyUI does not say now what it can run")
    return json_response(report.as_dict())
