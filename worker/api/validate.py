"""A workflow asked about, not run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import SystemRandom
from typing import Any

from aiohttp import hdrs, web

from worker.api.errors import DIALECT
from worker.api.request_body import caller_of, receive_body, strict_of
from worker.api.services import Services, json_response, services_of
from worker.errors import ClientError, EngineUnavailable, PromptError
from worker.inputs.unused import unused_files
from worker.intake.output_references import prompt_with_output_references
from worker.intake.workflow_files import replace_data_uris
from worker.job import JobRequest
from worker.load.workload import FLOOR
from worker.workflow.editor import is_ui
from worker.workflow.model_needs import downloads_by_file, saved_downloads
from worker.workflow.prompt import draw_random_integers, parse_prompt, unwrap
from worker.workflow.repairs import PreparedPrompt, prepare_prompt
from worker.workflow.validation.check import conversion_failure
from worker.workflow.validation.report import build_report
from worker.workflow.walk import run_off_loop_if_large


async def validate(request: web.Request) -> web.Response:
    """`POST /validate`: all that is wrong with a workflow, the models it needs and what it weighs; nothing runs."""
    found = services_of(request)
    principal = found.access.admit(request.headers.get(hdrs.AUTHORIZATION, ""))
    async with receive_body(request) as (body, sent):
        await replace_data_uris(body, request[DIALECT])
        saved = unwrap(body.value.get("workflow"))
        beside = saved if is_ui(saved) else _beside(body.value)
        workflow = body.value.get("workflow")
        others = _brought(body.value)
        files = sent
        job = _options(body.value, strict_of(request))
        # A prompt is taken as it is, however wrong; anything else is read as a job is.
        if "workflow" not in body.value or is_ui(saved):
            try:
                submission = await found.intake.read(body, caller_of(request, principal), sent)
                job, workflow = submission.request, submission.request.prompt
                others, files = submission.own, ()
            except ClientError as error:
                if not is_ui(saved):
                    raise
                return json_response(build_report(conversion_failure(error), (), FLOOR, lambda _: False).as_dict())
    workflow = await run_off_loop_if_large(workflow, partial(_with_outputs, workflow))
    brought = others | {file.name for file in files}
    ready = await _ready(found, workflow, job, brought)
    if ready is not None and files:
        brought = others | {file.name for file in await found.intake.named(files, others, ready.prompt)}
    prompt, known = ready.prompt if ready else workflow, downloads_by_file(saved_downloads(saved))
    coming = brought if job.strict else None
    told = await found.preflight.report(prompt, known, beside, coming, strict=job.strict)
    if told is None:
        raise EngineUnavailable("ComfyUI does not say now what it can run")
    if ready is not None:
        unused = unused_files(brought, ready.prompt, await found.intake.catalog()) if brought else ()
        told = replace(told, repairs=ready.repairs, warnings=(*job.warnings, *unused), seeds=ready.fields)
    return json_response(told.as_dict())


def _options(body: Mapping[str, Any], strict: bool) -> JobRequest:
    """Return what stands beside a prompt that is taken as it is."""
    return JobRequest(prompt={}, strict=strict or body.get("strict") is True, keep_seeds=body.get("keep_seeds") is True)


async def _ready(found: Services, workflow: object, job: JobRequest, own: frozenset[str]) -> PreparedPrompt | None:
    """Return what a job would run of a workflow; None for what is none."""
    catalog = await found.intake.catalog()

    def ready() -> PreparedPrompt | None:
        try:
            prompt = draw_random_integers(parse_prompt(workflow), SystemRandom())
        except PromptError:
            return None
        return prepare_prompt(replace(job, prompt=dict(prompt)), catalog, own, SystemRandom())

    return await asyncio.to_thread(ready)


def _with_outputs(workflow: object) -> object:
    """Return the workflow with texts for the outputs that it names. What names none stays, to be told as what it is."""
    with suppress(ValueError):
        return (
            prompt_with_output_references(workflow) if isinstance(workflow, dict) and not is_ui(workflow) else workflow
        )
    return workflow


def _beside(body: object) -> object:
    """What the editor saved, where it came beside a prompt."""
    match body:
        case {"extra_data": {"extra_pnginfo": {"workflow": workflow}}}:
            return workflow
    return None


def _brought(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of files that stand beside a prompt that is taken as it is."""
    inputs = body.get("inputs")
    return frozenset(inputs) if isinstance(inputs, dict) else frozenset()
